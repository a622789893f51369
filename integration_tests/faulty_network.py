"""A network that loses, cuts and garbles the answers of a sandbox in the test's own process, where time is free."""

from __future__ import annotations

import io
import json
import logging
import math
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from airbyte_cdk.models import (
    AirbyteMessageSerializer,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalogSerializer,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from exact_online_sandbox.api import Api
from exact_online_sandbox.authorize import Authorization
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.http import Request
from exact_online_sandbox.sandbox import DEFAULT_USER, Sandbox
from exact_online_sandbox.store import Store
from exact_online_sandbox.truth import truth_rows
from integration_tests.connector import Catalog, Record, Run, State
from integration_tests.direct import CLIENT, SandboxClock
from integration_tests.truth import ENDPOINTS, belongs, expected_record, primary_key
from source_exact_online.source import SourceExactOnline

READ_TIMEOUT = 120.0
"""Seconds without a byte after which the connector gives a request up."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way to the connector."""

    status: int
    headers: dict[str, str]
    body: bytes

    def saying(self, status: int, body: str | bytes = b"", **headers: str) -> Reply:
        """Another answer in place of this one; its date and the quota it tells stay."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(status, {**self.headers, **named}, body.encode() if isinstance(body, str) else body)

    def without(self, *beginnings: str) -> Reply:
        """The answer without some headers."""
        return replace(self, headers={k: v for k, v in self.headers.items() if not k.startswith(beginnings)})


Fault = Mapping[str, Any] | Callable[[Reply], Reply]
"""One that the sandbox knows (a kind and its fields), or what happens to a good answer on its way."""


@dataclass(slots=True)
class Disturbance:
    """Which requests meet a fault.

    Attributes:
        kinds: faults to deal out like a shuffled deck of cards, again and again.
        share: of the requests to a division's listings that meet one.
        times: how often a request may meet one before it passes.
        seed: of the choice.
        met: how often each fault was met.
    """

    kinds: Mapping[str, Fault]
    share: float = 0.4
    times: int = 2
    seed: int = 0
    met: Counter[str] = field(default_factory=Counter)
    _met_by: Counter[str] = field(default_factory=Counter)
    _deck: list[str] = field(default_factory=list)
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def choose(self, url: str) -> Fault | None:
        """The fault that a request meets."""
        if self._met_by[url] >= self.times or self._dice.random() >= self.share:
            return None
        if not self._deck:
            self._deck = self._dice.sample(sorted(self.kinds), len(self.kinds))
        name = self._deck.pop()
        self._met_by[url] += 1
        self.met[name] += 1
        return self.kinds[name]


class Dripping(io.BytesIO):
    """A body that comes byte by byte; `wait` lets time pass before each."""

    def __init__(self, body: bytes, wait: Callable[[], None]) -> None:
        super().__init__(body)
        self._wait = wait

    def read1(self, _: int | None = -1, /) -> bytes:
        """Give the next byte."""
        self._wait()
        return super().read1(1)


class FaultyNetwork(BaseAdapter):
    """Takes requests to the sandbox and brings its answers back, or what is left of them."""

    def __init__(self, sandbox: Sandbox, latency: float = 0.0) -> None:
        super().__init__()
        self.sandbox = sandbox
        self.latency = latency
        self.disturbance: Disturbance | None = None
        self.before: Callable[[], None] | None = None
        self._api = Api(sandbox)
        self._authorization = Authorization(sandbox)
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Carry one request."""
        url = request.url or ""
        with self._lock:
            self.sandbox.clock.advance(self.latency)
            if self.before is not None:
                self.before()
            fault = self.disturbance.choose(url) if self.disturbance and _is_listing(url) else None
            if isinstance(fault, Mapping):
                self.sandbox.faults.add({"count": 1, **fault})
            answer = self._answer(request, url)
            if answer.wait > READ_TIMEOUT:
                self.sandbox.clock.advance(READ_TIMEOUT)
                raise requests.ReadTimeout("read timed out")
            self.sandbox.clock.advance(answer.wait)
        if answer.cut in ("reset", "lost"):
            raise requests.ConnectionError(f"the connection was {answer.cut}")
        reply = Reply(answer.status, {**dict(answer.headers), "Content-Type": answer.content_type}, answer.body)
        if callable(fault):
            reply = fault(reply)
        length = reply.headers.pop("Content-Length", str(len(reply.body)))
        body = reply.body[: len(reply.body) // 2] if answer.cut == "truncated" else reply.body
        wait = partial(self.sandbox.clock.advance, answer.drip)
        raw = HTTPResponse(
            Dripping(body, wait) if answer.drip else io.BytesIO(body),
            {**reply.headers, "Content-Length": length},
            reply.status,
            preload_content=False,
            request_method="GET",
        )
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing to close."""

    def _answer(self, request: requests.PreparedRequest, url: str) -> Any:
        parts = urlsplit(url)
        pairs = parse_qsl(request.body if isinstance(request.body, str) else "", keep_blank_values=True)
        asked = Request(
            method=request.method or "GET",
            path=unquote(parts.path),
            query=parts.query,
            headers={name.lower(): str(value) for name, value in request.headers.items()},
            form=dict(pairs),
            origin=f"{parts.scheme}://{parts.netloc}",
            url_length=len(url),
        )
        if parts.path.startswith("/api/oauth2/"):
            return self._authorization.handle(asked, pairs)
        return self._api.handle(asked)


class ShiftedClock(SandboxClock):
    """A machine whose clock differs from the sandbox's by some seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__(clock)
        self._shift = timedelta(seconds=seconds)

    def now(self) -> datetime:
        """What the machine's clock shows."""
        return super().now() + self._shift

    def sleep(self, seconds: float) -> None:
        """Let time pass: whole milliseconds, never less than asked for."""
        super().sleep(math.ceil(seconds * 1000) / 1000)


class Inside:
    """A sandbox with invented books, reached over a faulty network. All that a run changes is its own."""

    def __init__(self, store: Store, start: datetime, *, shift: float = 0.0, latency: float = 0.0) -> None:
        clock = Clock(start)
        clock.freeze()
        clock.set(start)
        self.box = Sandbox(store, clock)
        self.divisions = sorted(store.division_codes())
        self.network = FaultyNetwork(self.box, latency)
        self.logged: list[tuple[float, str]] = []
        self._clock = ShiftedClock(clock, shift)
        self.box.register(*CLIENT)
        chain = self.box.oauth.login(CLIENT[0], DEFAULT_USER, self.divisions)
        self.box.oauth.user(DEFAULT_USER).current_division = self.divisions[0]
        self._credentials = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "refresh_token": chain.refresh_token}

    def read(self, catalog: Catalog, state: State | None = None, **config: Any) -> Run:
        """Run `read` with one worker. The login is kept up to date, as a platform does."""
        raw = {"site": "nl", "num_workers": 1, "credentials": self._credentials, **config}
        configured = ConfiguredAirbyteCatalogSerializer.load(json.loads(json.dumps(catalog)))
        given = [AirbyteStateMessageSerializer.load(one) for one in json.loads(json.dumps(state or []))]
        logger = logging.getLogger("airbyte.exact_online")
        handler = logging.Handler(logging.INFO)
        handler.emit = self._note  # type: ignore[method-assign]
        run = Run(0, "", "", 0.0)
        began = self._clock.monotonic()
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            with patch.object(requests.Session, "get_adapter", lambda *_, **__: self.network):
                for message in SourceExactOnline(self._clock).read(logger, raw, configured, given):
                    run.messages.append(AirbyteMessageSerializer.dump(message))
        except AirbyteTracedException as error:
            run.exit_code, run.stderr = 1, str(error.message)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
        run.seconds = self._clock.monotonic() - began
        self._credentials = dict(raw["credentials"])  # type: ignore[call-overload]  # the run has renewed it in place
        return run

    def expected(self, stream: str, divisions: Sequence[int] | None = None) -> dict[tuple[Any, ...], Record]:
        """Records of a stream by primary key, as they have to be."""
        records = [
            expected_record(stream, division, row, self.box.clock.now())
            for division in divisions or self.divisions
            for row in json.loads(b"".join(truth_rows(self.box, division, ENDPOINTS[stream])))["rows"]
            if belongs(stream, row)
        ]
        return {primary_key(stream, record): record for record in records}

    def calls(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """Requests so far, as the sandbox logged them."""
        return self.box.calls.describe(endpoint=endpoint)

    def statuses(self) -> Counter[int | None]:
        """Answers so far by status; None for a connection that broke."""
        return Counter(call["status"] for call in self.calls())

    def lines(self) -> list[str]:
        """What was logged."""
        return [line for _, line in self.logged]

    def _note(self, record: logging.LogRecord) -> None:
        self.logged.append((self._clock.monotonic(), record.getMessage()))


def _is_listing(url: str) -> bool:
    path = urlsplit(url).path
    return path.startswith("/api/v1/") and not path.endswith(("/Divisions", "/Me"))
