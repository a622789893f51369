"""What was asked and answered, caught between the connector and the network."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from source_exact_online.api import client

PAGES = 2
"""Pages of each listing that are recorded; the link to the next one is taken out of the last."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer.

    Attributes:
        url: of the request.
        status: of the answer.
        headers: of the answer, names in lower case.
        body: of the answer.
    """

    url: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Path after the version and the division."""
        parts = urlsplit(self.url).path.partition("/api/v1/")[2].split("/")
        return "/".join(parts[1:] if parts[0].isdigit() else parts)

    @property
    def listing(self) -> str:
        """Path with the division: pages of one listing have it in common."""
        return urlsplit(self.url).path

    @property
    def options(self) -> dict[str, str]:
        """Query options by name."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def document(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of a listing."""
        document = self.document
        data = document.get("d") if isinstance(document, dict) else None
        found = data.get("results", [data]) if isinstance(data, dict) else data
        return [row for row in found or [] if isinstance(row, dict)]

    @property
    def next_url(self) -> str | None:
        """Link to the next page."""
        document = self.document
        data = document.get("d") if isinstance(document, dict) else None
        return data.get("__next") if isinstance(data, dict) else None


class _Recorder(HTTPAdapter):
    def __init__(self, kept: list[Exchange]) -> None:
        super().__init__()
        self._kept = kept
        self._pages: dict[str, int] = {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["stream"] = False
        response = super().send(request, *args, **kwargs)
        headers = {name.lower(): value for name, value in response.headers.items()}
        exchange = Exchange(str(request.url), response.status_code, headers, response.content)
        self._kept.append(exchange)
        self._pages[exchange.listing] = self._pages.get(exchange.listing, 0) + 1
        body = exchange.body
        if exchange.next_url is not None and self._pages[exchange.listing] >= PAGES:
            document = exchange.document
            del document["d"]["__next"]
            body = json.dumps(document).encode()
        response.headers.pop("Content-Encoding", None)
        response.headers.pop("Content-Length", None)
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(body), headers=dict(response.headers), status=response.status_code, preload_content=False
        )
        response._content = False  # to be read again, from the body above
        response._content_consumed = False  # type: ignore[attr-defined]
        return response


@contextmanager
def recording() -> Iterator[list[Exchange]]:
    """Keep every exchange of the sessions that the connector opens meanwhile. Token calls are not among them."""
    kept: list[Exchange] = []
    new_session = client.new_session

    def session(connections: int) -> requests.Session:
        found = new_session(connections)
        for scheme in ("https://", "http://"):
            found.mount(scheme, _Recorder(kept))
        return found

    with mock.patch.object(client, "new_session", session):
        yield kept
