"""The connector and the sandbox in the test's own process: no sockets, no waiting, one clock for both.

A thousand runs of `read` take a minute or so, which is what a randomised test needs.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteMessageSerializer,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalogSerializer,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from exact_online_sandbox.api import Api
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.http import Answer, Request
from exact_online_sandbox.sandbox import DEFAULT_USER, Sandbox
from exact_online_sandbox.store import Store
from exact_online_sandbox.truth import truth_rows
from integration_tests.protocol import Message
from source_exact_online.api import client
from source_exact_online.api.exact_time import WallClock
from source_exact_online.catalog.definitions import catalog
from source_exact_online.source import SourceExactOnline

ORIGIN = "https://start.exactonline.nl"
CLIENT = ("direct-client", "direct-secret")
ENOUGH = 1_000_000_000
"""A quota that no test reaches, and a token's life in seconds that no test outlives."""

Between = Callable[[int], bool]
"""Called with the number of messages so far, before the next is asked for; False kills the run."""


class SandboxClock:
    """The sandbox's clock, as the connector's: time passes when a test says so or somebody sleeps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.now_ms()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return (self._clock.now_ms() - self._began) / 1000

    def sleep(self, seconds: float) -> None:
        self._clock.advance(max(seconds, 0.001))  # it counts milliseconds: less would not let time pass


class AnswerAdapter(BaseAdapter):
    """Asks a function instead of a socket.

    Args:
        ask: gives the sandbox's answer to a request.
        sleep: lets time pass, where a body comes by drips.
    """

    def __init__(self, ask: Callable[[Request], Answer], sleep: Callable[[float], None]) -> None:
        super().__init__()
        self._ask = ask
        self._sleep = sleep

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        url = request.url or ""
        parts = urlsplit(url)
        answer = self._ask(
            Request(
                method=request.method or "GET",
                path=unquote(parts.path),
                query=parts.query,
                headers={name.lower(): str(value) for name, value in request.headers.items()},
                form=dict(parse_qsl(str(request.body or ""), keep_blank_values=True)),
                origin=f"{parts.scheme}://{parts.netloc}",
                url_length=len(url),
            )
        )
        if answer.cut:
            raise requests.ConnectionError(f"the connection was {answer.cut}")
        body = Drip(answer, self._sleep) if answer.drip else io.BytesIO(answer.body)
        raw = HTTPResponse(body, dict(answer.headers), answer.status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing to close."""


class Drip(io.BytesIO):
    """The body of an answer that comes byte by byte; they are handed out by the thousand."""

    def __init__(self, answer: Answer, sleep: Callable[[float], None]) -> None:
        super().__init__(answer.body)
        self._seconds = answer.drip
        self._sleep = sleep

    def read1(self, size: int | None = -1, /) -> bytes:
        part = super().read1(1000 if size is None or size < 0 else min(size, 1000))
        self._sleep(self._seconds * len(part))
        return part


class SandboxAdapter(AnswerAdapter):
    """Hands requests to the sandbox's API, one at a time."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(self._handle, sandbox.clock.advance)
        self._api = Api(sandbox)
        self._lock = threading.Lock()
        self.requests = 0

    def _handle(self, request: Request) -> Answer:
        with self._lock:
            self.requests += 1
            return self._api.handle(request)


class Warnings(logging.Handler):
    """Keeps what the connector warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@dataclass(slots=True)
class DirectRun:
    """What one `read` emitted before its end, or before it was killed.

    Attributes:
        messages: as JSON documents.
        warnings: what was logged as a warning or an error.
        killed: whether it was killed.
        error: what it ended with, in words; empty if all went well.
    """

    messages: list[Message] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    killed: bool = False
    error: str = ""

    def records(self, stream: str) -> list[dict[str, Any]]:
        """Records of a stream, tombstones included."""
        return [
            one["record"]["data"]
            for one in self.messages
            if one["type"] == "RECORD" and one["record"]["stream"] == stream
        ]

    @property
    def complete(self) -> frozenset[str]:
        """Streams that ended well."""
        statuses = [one["trace"].get("stream_status", {}) for one in self.messages if one["type"] == "TRACE"]
        return frozenset(one["stream_descriptor"]["name"] for one in statuses if one.get("status") == "COMPLETE")

    def states(self) -> dict[str, dict[str, Any]]:
        """Last state of each stream that has one."""
        return {
            one["state"]["stream"]["stream_descriptor"]["name"]: one["state"]
            for one in self.messages
            if one["type"] == "STATE"
        }


class DirectSandbox:
    """A sandbox with some empty divisions and a clock that stands still, and runs of the connector against it."""

    def __init__(self, divisions: tuple[int, ...], start: datetime) -> None:
        clock = Clock(start)
        clock.freeze()
        clock.set(start)
        self.store = Store()
        for number, code in enumerate(divisions, start=1):
            customer = "00000000-0000-0000-0000-00000000000a"
            row = {
                "Description": f"Company {code}",
                "Hid": number,
                "Customer": customer,
                "Created": start,
                "Modified": start,
            }
            self.store.add_division(code, row)
        self.box = Sandbox(self.store, clock)
        settings = self.box.settings
        settings.quota.minute_limit = settings.quota.daily_limit = settings.tokens.life_seconds = ENOUGH
        settings.errors.limit = 0  # switched off
        self.box.register(*CLIENT)
        self.divisions = divisions
        self._credentials = self._log_in()
        self._adapter = SandboxAdapter(self.box)
        self._wall_clock = WallClock()  # it remembers what has passed, and other sandboxes' clocks show other times

    def now(self) -> datetime:
        """The sandbox's time."""
        return self.box.clock.now()

    def advance(self, **units: float) -> None:
        """Let time pass; units are those of `timedelta`."""
        self.box.clock.advance(timedelta(**units).total_seconds())

    def rows(self, endpoint: str, division: int) -> list[dict[str, Any]]:
        """Rows of an endpoint as they are."""
        rows: list[dict[str, Any]] = json.loads(b"".join(truth_rows(self.box, division, endpoint)))["rows"]
        return rows

    @property
    def requests(self) -> int:
        """Number of requests so far."""
        return self._adapter.requests

    def calls(self, endpoint: str) -> list[str]:
        """Query strings of the requests to an endpoint so far."""
        return [unquote(call["query"]) for call in self.box.calls.describe(endpoint=endpoint)]

    def config(self, **fields: Any) -> dict[str, Any]:
        """A configuration of the connector, with an access token that lives as long as the test."""
        return {"site": "nl", "credentials": dict(self._credentials), **fields}

    def read(
        self,
        streams: Mapping[str, tuple[str, ...]],
        states: Mapping[str, dict[str, Any]] | None = None,
        *,
        full: frozenset[str] = frozenset(),
        between: Between | None = None,
        may_fail: bool = False,
        **config: Any,
    ) -> DirectRun:
        """Run `read`.

        Args:
            streams: columns by name of stream.
            states: what earlier runs left, by stream.
            full: streams to read in full.
            between: called before each message is asked for.
            may_fail: whether some streams may end incomplete, or the run altogether.
            config: fields of the configuration.

        Raises:
            AirbyteTracedException: the run has failed and must not.
        """
        raw = self.config(**{"num_workers": 1, **config})
        given = [AirbyteStateMessageSerializer.load(json.loads(json.dumps(one))) for one in (states or {}).values()]
        catalogue = ConfiguredAirbyteCatalogSerializer.load(
            {"streams": [configured(name, columns, full=name in full) for name, columns in streams.items()]}
        )
        run, warnings = DirectRun(), Warnings()
        logger = logging.getLogger("airbyte.exact_online")
        level, propagates = logger.level, logger.propagate
        logger.addHandler(warnings)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        new_session = client.new_session

        def session(connections: int) -> requests.Session:
            made = new_session(connections)
            made.mount("https://", self._adapter)
            return made

        try:
            with patch.multiple(client, new_session=session, AMSTERDAM=self._wall_clock):
                source = SourceExactOnline(SandboxClock(self.box.clock))
                messages = source.read(logger, raw, catalogue, given)
                self._consume(iter(messages), run, between)
        except AirbyteTracedException as error:
            if not may_fail:
                raise
            run.error = str(error.message)
        finally:
            logger.removeHandler(warnings)
            logger.setLevel(level)
            logger.propagate = propagates
            run.warnings = warnings.texts
        return run

    @staticmethod
    def _consume(messages: Iterator[AirbyteMessage], run: DirectRun, between: Between | None) -> None:
        while True:
            if between is not None and not between(len(run.messages)):
                run.killed = True
                messages.close()  # type: ignore[attr-defined]  # read is a generator
                return
            message = next(messages, None)
            if message is None:
                return
            run.messages.append(AirbyteMessageSerializer.dump(message))

    def _log_in(self) -> dict[str, str]:
        chain = self.box.oauth.login(CLIENT[0], DEFAULT_USER, self.divisions)
        credentials = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "refresh_token": chain.refresh_token}
        tokens = self.box.oauth.token({"grant_type": "refresh_token", **credentials})
        return {
            **credentials,
            "refresh_token": tokens["refresh_token"],
            "access_token": tokens["access_token"],
            "token_expiry_date": self.box.oauth.expiry(chain),
        }


def configured(name: str, columns: tuple[str, ...], *, full: bool) -> dict[str, Any]:
    """A stream of a configured catalogue with some of its columns, to be read in full or incrementally."""
    definition = catalog()[name]
    return {
        "stream": {
            "name": name,
            "json_schema": {"type": "object", "properties": {column: {} for column in columns}},
            "supported_sync_modes": ["full_refresh", "incremental"],
        },
        "sync_mode": "full_refresh" if full else "incremental",
        "destination_sync_mode": "overwrite" if full else "append_dedup",
        "cursor_field": [definition.cursor] if definition.cursor else [],
    }
