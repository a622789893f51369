"""What each kind of fault does: the answers that stand in for the API's, and what becomes of good ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

import orjson

from exact_online_sandbox import errors
from exact_online_sandbox.clock import http_date
from exact_online_sandbox.damage import damage
from exact_online_sandbox.errors import ApiError
from exact_online_sandbox.faults import ROWS, Asked, Fault
from exact_online_sandbox.http import HTML, JSON_TYPE, Answer
from exact_online_sandbox.pages import html
from exact_online_sandbox.render import error_json

LOGIN_PATH = "/docs/Login.aspx"
LOGIN_PAGE = html("Login - Exact Online", f'<form action="{LOGIN_PATH}" method="post"></form>')
_MAINTENANCE = html("Exact Online", "<h1>Exact Online is being updated and is not available.</h1>")
_FIREWALL = html("Access Denied", "<h1>Access Denied</h1>You do not have permission to access this server.")
_OTHER_SITE = "https://start.exactonline.be"

# exactonline-api-dotnet-client #152
_GATEWAY_FAULT = {
    "fault": {
        "faultstring": "Failed to execute the ExtractVariables: ExtractAccessToken",
        "detail": {"errorcode": "steps.extractvariables.ExecutionFailed"},
    }
}
_PROXY_NOT_FOUND = {
    "fault": {
        "faultstring": "Unable to identify proxy for host: start.exactonline.nl:443 and url: /api/oauth2/token",
        "detail": {"errorcode": "messaging.adaptors.http.flow.ApplicationNotFound"},
    }
}

_STAND_INS: Mapping[str, tuple[int, bytes, str]] = MappingProxyType(
    {
        "gateway_fault": (500, orjson.dumps(_GATEWAY_FAULT), JSON_TYPE),
        "proxy_not_found": (404, orjson.dumps(_PROXY_NOT_FOUND), JSON_TYPE),
        "maintenance": (503, _MAINTENANCE, HTML),
        "request_timeout": (408, b"", HTML),
        "gateway_timeout": (599, b"", HTML),
        "firewall": (403, _FIREWALL, HTML),
        "login_page": (200, LOGIN_PAGE, HTML),
        "login_redirect": (302, b"", HTML),
        "other_site": (301, b"", HTML),
    }
)


def instead(fault: Fault, asked: Asked) -> Answer | ApiError | None:
    """The answer of a fault that stands in for the API; None for one that needs the request's quota."""
    if fault.kind == "status":
        return Answer(fault.status, fault.raw, fault.content_type, list(fault.headers.items()))
    if fault.kind == "unauthorized":
        return ApiError(401, fault.text)
    if fault.kind == "rate_limit_bare":
        return ApiError(429, None)
    if fault.kind == "reset":
        return Answer(0, cut="reset")
    if fault.kind == "refused":
        return Answer(0, cut="refused", pause=fault.seconds)
    if fault.kind not in _STAND_INS:
        return None
    status, body, content_type = _STAND_INS[fault.kind]
    return Answer(status, body, content_type, list({**_headers(fault, asked), **fault.headers}.items()))


def _headers(fault: Fault, asked: Asked) -> dict[str, str]:
    if fault.kind == "login_redirect":
        return {"Location": LOGIN_PATH}
    if fault.kind == "other_site":
        return {"Location": f"{_OTHER_SITE}{urlsplit(asked.uri).path}"}
    left = fault.left_ms(asked.wall_ms)
    if fault.retry_after is None or left is None:
        return {}
    # Rounded up to whole seconds: who comes then finds the site open.
    seconds = -(-left // 1000)
    as_date = fault.retry_after == "date"
    return {"Retry-After": http_date(asked.now_ms + left + 999) if as_date else str(seconds)}


def spoil(fault: Fault, answer: Answer, asked: Asked) -> Answer:
    """Do to a finished answer what the fault does."""
    if fault.kind in ROWS:
        damage(fault, answer, asked)
    elif fault.kind == "slow":
        answer.wait += fault.seconds
    elif fault.kind == "drip":
        answer.drip = fault.seconds
    elif fault.kind == "empty_body":
        answer.body = b""
    elif fault.kind == "half_body":
        answer.body = answer.body[: len(answer.body) // 2]
    elif fault.kind == "truncated":
        answer.cut = "truncated"
    elif fault.kind == "lost_answer":
        answer.cut = "lost"
    elif fault.kind == "not_json":
        answer.body, answer.content_type = _MAINTENANCE, HTML
    elif fault.kind == "null_d":
        answer.body = b'{"d": null}'
    elif fault.kind == "error_200":
        answer.body = error_json(fault.text or errors.FORBIDDEN)
    return answer
