"""A clock that waits for nobody, and a token endpoint with Exact Online's rules, both inside the test's process."""

from __future__ import annotations

import io
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import requests
from requests.adapters import BaseAdapter

from source_exact_online.auth.authenticator import ExactAuthenticator
from source_exact_online.config import Config, parse_config
from unit_tests.fake_clock import FakeClock

BASE_URL = "https://start.exactonline.nl"
CLIENT_ID = "0b8c3c1e-client"
CLIENT_SECRET = "s3cret/of+the=app"

TOO_EARLY = '{ "error":"access_denied","error_description":"Rate limit exceeded: access_token not expired" }'
OLD_TOKEN = '{"error":"unauthorized_client","error_description":"Old refresh token used."}'


@dataclass
class Fault:
    """What goes wrong with one call: an answer instead of the real one, or an exception.

    `rotates`: the server carries the refresh out before it goes wrong.
    """

    status: int = 0
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    rotates: bool = False


class FakeTokenServer(BaseAdapter):
    """The token endpoint: rotation, single use, the 570 s rule. A transport adapter for requests."""

    def __init__(self, clock: FakeClock, life: float = 600.0, refresh_token: str = "refresh!0") -> None:
        super().__init__()
        self.clock = clock
        self.life = life
        self.live_refresh_token = refresh_token
        self._name = refresh_token.partition("!")[0]
        self.old_refresh_tokens: set[str] = set()
        self.issued_at: datetime | None = None
        self.issued = 0
        self.faults: deque[Fault] = deque()
        self.answers: list[int] = []
        self.forms: list[dict[str, str]] = []
        self.requests: list[requests.PreparedRequest] = []
        self.timeouts: list[Any] = []
        self.expires_in: Callable[[float], Any] = lambda life: str(int(life)) if life == int(life) else str(life)
        self.latency = 0.0
        self.strict = False
        self.names_access_tokens = False
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        return len(self.forms)

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        with self._lock:
            form = {name: values[0] for name, values in parse_qs(str(request.body)).items()}
            self.forms.append(form)
            self.requests.append(request)
            self.timeouts.append(options.get("timeout"))
            self.clock.advance(self.latency)
            fault = self.faults.popleft() if self.faults else None
            status, headers, body = (0, {}, "")
            if fault is None or fault.rotates:
                status, headers, body = self._answer(form)
            if fault is not None:
                if fault.error is not None:
                    raise fault.error
                status, headers, body = fault.status, fault.headers, fault.body
            self.answers.append(status)
            return response(request, status, headers, body)

    def close(self) -> None:
        """Nothing to close."""

    def _answer(self, form: dict[str, str]) -> tuple[int, dict[str, str], str]:
        if form.get("client_secret") != CLIENT_SECRET:
            return 401, {}, '{"error":"invalid_client"}'
        if form["refresh_token"] in self.old_refresh_tokens:
            return 401, {}, OLD_TOKEN
        if form["refresh_token"] != self.live_refresh_token:
            return 400, {}, '{"error":"invalid_grant"}'
        if self.issued_at is not None:
            age = (self.clock.now() - self.issued_at).total_seconds()
            if age < self.life * (1.0 if self.strict else 0.95):
                reason = "TooEarlyToRefreshTokens: Rate limit exceeded: access_token not expired"
                return 400, {"Reason": reason}, TOO_EARLY
        self.issued += 1
        self.issued_at = self.clock.now()
        self.old_refresh_tokens.add(self.live_refresh_token)
        self.live_refresh_token = f"{self._name}!{self.issued}"
        answer = {
            "access_token": f"{self._name if self.names_access_tokens else 'access'}-{self.issued}",
            "token_type": "bearer",
            "expires_in": self.expires_in(self.life),
            "refresh_token": self.live_refresh_token,
        }
        if answer["expires_in"] is None:
            del answer["expires_in"]
        return 200, {}, json.dumps(answer)


def response(
    request: requests.PreparedRequest, status: int, headers: dict[str, str] | None = None, body: str | bytes = ""
) -> requests.Response:
    """An answer as requests hands it out."""
    answer = requests.Response()
    answer.status_code = status
    answer.headers.update(headers or {})
    answer.raw = io.BytesIO(body.encode() if isinstance(body, str) else body)
    answer.request = request
    answer.url = request.url or ""
    return answer


def config_for(
    raw: Mapping[str, Any], token_store: Path | str | None = None, environment: Mapping[str, str] | None = None
) -> Config:
    """The typed configuration of a raw one that may lack its tokens; a path is a token file, a text a URL."""
    credentials = {**raw["credentials"], "refresh_token": raw["credentials"].get("refresh_token") or "any"}
    if token_store is not None:
        credentials["token_file" if isinstance(token_store, Path) else "token_store"] = str(token_store)
    return parse_config({**raw, "credentials": credentials}, FakeClock().now(), environment or {})


class Login:
    """An authenticator with everything around it."""

    def __init__(
        self,
        token_store: Path | str | None = None,
        *,
        server: FakeTokenServer | None = None,
        config: MutableMapping[str, Any] | None = None,
        clock: FakeClock | None = None,
        capture: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.clock = clock or (server.clock if server else FakeClock())
        self.server = server or FakeTokenServer(self.clock)
        self.config = config if config is not None else configuration()
        self.messages: list[dict[str, Any]] = []
        self.token_store = token_store
        self.session = requests.Session()
        self.session.mount("https://", self.server)
        self.auth = ExactAuthenticator(
            config_for(self.config, token_store, environment),
            self.config,
            clock=self.clock,
            session=self.session,
            on_control=(lambda config: self.messages.append(deepcopy(dict(config)))) if capture else None,
        )

    def again(self, config: MutableMapping[str, Any] | None = None) -> Login:
        """The next process: same server, same store, and the configuration as given or as left by this one."""
        next_config = config if config is not None else deepcopy(self.config)
        return Login(self.token_store, server=self.server, config=next_config, clock=self.clock)


def configuration(refresh_token: str = "refresh!0", **credentials: str) -> dict[str, Any]:
    """A raw configuration."""
    return {
        "site": "nl",
        "credentials": {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": refresh_token,
            **credentials,
        },
        "divisions": [123],
    }
