"""Who may use the control API: programs on this machine, and no web page that its user happens to look at."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PORTS = {"http": 80, "https": 443}


class Guard:
    """Lets requests through to the control API, or refuses them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        refusal = _refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            status, text = refusal
            await JSONResponse({"error": text}, status)(scope, receive, send)


def _refusal(scope: Scope) -> tuple[int, str] | None:
    """Status and text for a request that is not let through."""
    headers = Headers(scope=scope)
    client, own = scope["client"], headers.get("host", "")
    if client is None or client[0] not in _LOOPBACK:
        return 403, "the control API answers callers on this machine only"
    # A page's own name may lead to this machine (DNS rebinding); its Host header still has that name.
    if not _is_loopback(f"{scope['scheme']}://{own}", scope["server"][1]):
        return 403, "the control API answers at a loopback address and its own port only"
    # Browsers tell which page a request comes from.
    if headers.get("origin", f"{scope['scheme']}://{own}") != f"{scope['scheme']}://{own}":
        return 403, "the control API does not answer web pages"
    # What pages of other sites may send without being asked first is of other types.
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if has_body and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, "the control API takes application/json"
    return None


def _is_loopback(origin: str, port: int) -> bool:
    try:
        parts = urlsplit(origin)
        return parts.hostname in _LOOPBACK and (parts.port or _PORTS[parts.scheme]) == port and parts.path == ""
    except ValueError:  # no port
        return False
