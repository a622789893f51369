"""A client that calls a sandbox's API without a network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from exact_online_sandbox.api import Api
from exact_online_sandbox.http import Answer, Request
from exact_online_sandbox.sandbox import Sandbox

NOW = datetime(2024, 7, 1, 12, 0, 0, tzinfo=timezone.utc)
DIVISION = 123
OTHER_DIVISION = 456
ORIGIN = "http://sandbox.test"


@dataclass
class Reply:
    """An answer as a client sees it."""

    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.answer.headers)

    @property
    def text(self) -> str:
        return self.answer.body.decode()

    @property
    def d(self) -> Any:
        return json.loads(self.answer.body)["d"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.d["results"] if isinstance(self.d, dict) else self.d

    @property
    def next(self) -> str | None:
        return self.d.get("__next")

    @property
    def message(self) -> str:
        return json.loads(self.answer.body)["error"]["message"]["value"]


class Caller:
    """Calls the API with one access token."""

    def __init__(self, box: Sandbox, token: str) -> None:
        self.box = box
        self.token = token
        self._api = Api(box)

    def get(
        self, path: str, *, accept: str = "application/json", method: str = "GET", token: str | None = None
    ) -> Reply:
        """Call a path (with query) below /api/v1, or an absolute address of the sandbox."""
        path = path.removeprefix(ORIGIN)
        if not path.startswith("/"):
            path = f"/api/v1/{path}"
        path, _, query = path.partition("?")
        headers = {"accept": accept, "authorization": f"Bearer {token or self.token}"}
        request = Request(method, path, query, headers, origin=ORIGIN, url_length=len(ORIGIN + path + query) + 1)
        return Reply(self._api.handle(request))

    def all(self, path: str) -> list[dict[str, Any]]:
        """Rows of all pages."""
        rows: list[dict[str, Any]] = []
        following: str | None = path
        while following:
            reply = self.get(following)
            assert reply.status == 200, reply.text
            rows += reply.rows
            following = reply.next
        return rows
