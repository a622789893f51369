"""Requests and answers, without a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HTML = "text/html; charset=utf-8"
JSON_TYPE = "application/json; charset=utf-8"
ATOM_TYPE = "application/atom+xml; charset=utf-8"
XML_TYPE = "application/xml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    path: str
    """Decoded path."""
    query: str = ""
    """Raw query string."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    form: Mapping[str, str] = field(default_factory=dict)
    origin: str = "http://127.0.0.1"
    """Scheme and host as the caller wrote them."""
    url_length: int = 0


@dataclass(slots=True)
class Answer:
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: list[tuple[str, str]] = field(default_factory=list)
    cut: str | None = None
    """How the connection breaks: ``reset``, ``refused`` or ``lost`` (no answer), ``truncated`` (half of the body)."""
    pause: float = 0
    """Seconds for which the port takes no connections; with ``refused``."""
    drip: float = 0
    """Seconds between one byte of the body and the next."""
    wait: float = 0
    """Seconds to wait before it is sent."""
    rows: int | None = None
    error: str | None = None

    @property
    def sent_status(self) -> int | None:
        """The status that the caller gets; None where the connection breaks without an answer."""
        return None if self.cut in ("reset", "refused", "lost") else self.status
