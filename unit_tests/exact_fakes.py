"""An Exact Online that lives in the test's process: time that waits for nobody, and answers written down beforehand."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import urllib3
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteMessageSerializer,
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    Type,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from requests.adapters import BaseAdapter

from source_exact_online.api import client
from source_exact_online.api.client import ExactClient
from source_exact_online.catalog.definitions import catalog
from source_exact_online.source import SourceExactOnline
from source_exact_online.state.stream_state import VERSION
from unit_tests.fake_clock import START as START
from unit_tests.fake_clock import FakeClock as FakeClock

BASE_URL = "https://start.exactonline.nl"
SECRETS = ("cl1ent-id", "cl1ent-s3cret", "refresh!s3cret", "access-s3cret")


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    `more`: a link to a further page is added, with this skip token.
    `drips`: seconds that pass with each piece of the body, of `drop` bytes.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    error: Exception | None = None
    rows: Sequence[Mapping[str, Any]] | None = None
    more: str | None = None
    seconds: float = 0.0
    drips: float = 0.0
    drop: int = 1 << 20


class DrippingBody(io.BytesIO):
    """A body that comes piece by piece."""

    def __init__(self, content: bytes, clock: FakeClock, answer: Answer) -> None:
        super().__init__(content)
        self._clock = clock
        self._answer = answer

    def read1(self, size: int | None = -1, /) -> bytes:
        self._clock.advance(self._answer.drips)
        return super().read1(self._answer.drop if size is None or size < 0 else min(size, self._answer.drop))


@dataclass(frozen=True)
class Sent:
    """One request as the server saw it."""

    url: str
    headers: Mapping[str, str]

    @property
    def division(self) -> int | None:
        first = self._parts[0]
        return int(first) if first.isdigit() else None

    @property
    def path(self) -> str:
        return "/".join(self._parts[1:] if self._parts[0].isdigit() else self._parts)

    @property
    def options(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def select(self) -> list[str]:
        return self.options["$select"].split(",")

    @property
    def filter(self) -> str | None:
        return self.options.get("$filter")

    @property
    def _parts(self) -> list[str]:
        return urlsplit(self.url).path.removeprefix("/api/v1/").split("/")


class ScriptedApi(BaseAdapter):
    """Plays answers, path by path and in order, and keeps the requests. A transport adapter for requests.

    A request that no answer was written for fails the test.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.sent: list[Sent] = []
        self.unexpected: list[str] = []
        self.most_in_flight: dict[int | None, int] = defaultdict(int)
        self.tells_date = True
        self._in_flight: dict[int | None, int] = defaultdict(int)
        self._answers: defaultdict[tuple[str, int | None], deque[Answer]] = defaultdict(deque)
        self._served: dict[str, Callable[[Sent], Answer]] = {}
        self._always: dict[tuple[str, int | None], Answer] = {}
        self._lock = threading.Lock()
        self.before: Callable[[Sent], None] | None = None

    def take_the_place_of_the_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand at the other end of every session that a client opens from now on."""
        new_session = client.new_session

        def scripted_session(connections: int) -> requests.Session:
            session = new_session(connections)
            session.mount("https://", self)
            session.mount("http://", self)
            return session

        monkeypatch.setattr(client, "new_session", scripted_session)

    def on(self, path: str, *answers: Answer, division: int | None = None) -> ScriptedApi:
        """Answers to requests for a path (of one division, or of any), in order."""
        self._answers[path, division].extend(answers)
        return self

    def always(self, path: str, answer: Answer, division: int | None = None) -> ScriptedApi:
        """Answer to every request for a path that `on` says nothing of."""
        self._always[path, division] = answer
        return self

    def listing(self, path: str, *pages: Sequence[Mapping[str, Any]]) -> ScriptedApi:
        """A listing of some pages that can be asked for again and again; "1" is the skip token of the second page."""
        last = len(pages) - 1

        def answer_to(sent: Sent) -> Answer:
            number = int(sent.options.get("$skiptoken", "0"))
            return page(pages[number], more=None if number == last else str(number + 1))

        return self.serve(path, answer_to)

    def serve(self, path: str, answer_to: Callable[[Sent], Answer]) -> ScriptedApi:
        """Answers to requests for a path are worked out."""
        self._served[path] = answer_to
        return self

    def forget(self, path: str) -> None:
        """Drop the answers to a path that nobody has asked for."""
        self._answers[path, None].clear()

    def divisions(self, *codes: int, **columns: object) -> ScriptedApi:
        """The login may read these divisions."""
        rows = [{"Code": code, "Description": f"Company {code}", "DivisionMoveDate": None, **columns} for code in codes]
        self.always("system/Divisions", page(rows))
        return self.always("current/Me", page([{"CurrentDivision": codes[0]}]))

    def asked(self, path: str | None = None, division: int | None = None) -> list[Sent]:
        """Requests so far, for data (not the list of divisions) or for one path."""
        own = {"system/Divisions", "hrm/Divisions", "current/Me"}
        return [
            one
            for one in self.sent
            if (one.path == path if path else one.path not in own) and division in (None, one.division)
        ]

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        assert kwargs.get("timeout"), "a request without a time-out may hang for ever"
        sent = Sent(request.url or "", dict(request.headers))
        with self._lock:
            self.sent.append(sent)
            self._in_flight[sent.division] += 1
            self.most_in_flight[sent.division] = max(self.most_in_flight[sent.division], self._in_flight[sent.division])
            answer = self._next(sent)
        try:
            if self.before is not None:
                self.before(sent)
            self.clock.advance(answer.seconds)
            if answer.error is not None:
                raise answer.error
            return self._response(request, answer)
        finally:
            with self._lock:
                self._in_flight[sent.division] -= 1

    def close(self) -> None:
        """Nothing to close."""

    def _next(self, sent: Sent) -> Answer:
        if sent.path in self._served:
            return self._served[sent.path](sent)
        for key in ((sent.path, sent.division), (sent.path, None)):
            if self._answers[key]:
                return self._answers[key].popleft()
            if key in self._always:
                return self._always[key]
        self.unexpected.append(sent.url)
        return Answer(418, b'{"error": {"message": {"value": "no answer was written for this request"}}}')

    def _response(self, request: requests.PreparedRequest, answer: Answer) -> requests.Response:
        body = answer.body
        if answer.rows is not None:
            data: dict[str, Any] = {"results": list(answer.rows)}
            if answer.more is not None:
                link = str(request.url).partition("&$skiptoken=")[0]
                data["__next"] = f"{link}&$skiptoken={answer.more}"
            body = json.dumps({"d": data}).encode()
        response = requests.Response()
        response.status_code = answer.status
        if self.tells_date:
            response.headers["Date"] = format_datetime(self.clock.now(), usegmt=True)
        response.headers.update(answer.headers)
        response.raw = urllib3.HTTPResponse(
            DrippingBody(body, self.clock, answer),
            headers=dict(answer.headers),
            status=answer.status,
            preload_content=False,
            request_method=request.method,
        )
        response.request = request
        response.url = request.url or ""
        return response


class FakeTokens:
    """Hands out tokens; a refused one is replaced by the next."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = deque(tokens or (SECRETS[3],))
        self.rejected: list[str] = []

    def get_access_token(self) -> str:
        return self._tokens[0]

    def reject(self, access_token: str) -> None:
        self.rejected.append(access_token)
        if len(self._tokens) > 1:
            self._tokens.popleft()


def client_of(api: ScriptedApi, tokens: FakeTokens | None = None, **settings: Any) -> ExactClient:
    """A client whose requests end at the scripted server (see the fixture `api`)."""
    return ExactClient(BASE_URL, tokens or FakeTokens(), api.clock, **settings)


# -- answers -------------------------------------------------------------------------------------------------------


def page(rows: Sequence[Mapping[str, Any]], more: str | None = None, **headers: str) -> Answer:
    """A page of a listing."""
    return Answer(rows=rows, more=more, headers={name.replace("_", "-"): value for name, value in headers.items()})


def refusal(status: int, text: str = "", reason: str | None = None) -> Answer:
    """An error in Exact's own form: pretty printed JSON with CRLF."""
    body = (
        f'{{\r\n"error": {{\r\n"code": "", "message": {{\r\n"lang": "", "value": {json.dumps(text)}\r\n}}\r\n}}\r\n}}'
    )
    return Answer(status, body.encode(), {"Reason": reason} if reason else {})


def lost() -> Answer:
    """No answer: the connection breaks."""
    return Answer(error=requests.ConnectionError("the connection broke"))


def date_json(wall: str) -> str:
    """Exact's JSON for a time on its wall clock."""
    return f"/Date({wall_ms(wall)})/"


def wall_ms(wall: str) -> int:
    """Milliseconds since 1970 on the wall clock."""
    return round(datetime.fromisoformat(wall + "+00:00").timestamp() * 1000)


def row(
    key: str, version: int | None = None, modified: str | None = "2025-03-01T10:00:00", **columns: Any
) -> dict[str, Any]:
    """A row of an entity with the key ID."""
    return {
        "ID": key,
        **({} if version is None else {"Timestamp": str(version)}),
        "Modified": None if modified is None else date_json(modified),
        **columns,
    }


def quota_headers(clock: FakeClock, minute: int = 59, day: int = 4999) -> dict[str, str]:
    """All six headers, as Exact sends them."""
    now = clock.now_ms()
    return {
        "X-RateLimit-Minutely-Limit": "60",
        "X-RateLimit-Minutely-Remaining": str(minute),
        "X-RateLimit-Minutely-Reset": str((now // 60_000 + 1) * 60_000),
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": str(day),
        "X-RateLimit-Reset": str((now // 86_400_000 + 1) * 86_400_000),
    }


# -- given this config, when read, expect these requests and these records -----------------------------------------


def raw_config(**fields: Any) -> dict[str, Any]:
    """A configuration whose access token lives, read by one worker."""
    credentials = {
        "client_id": SECRETS[0],
        "client_secret": SECRETS[1],
        "refresh_token": SECRETS[2],
        "access_token": SECRETS[3],
        "token_expiry_date": "2125-01-01T00:00:00+00:00",
    }
    return {"site": "nl", "num_workers": 1, "credentials": credentials, **fields}


def configured(*streams: str, mode: str = "incremental", columns: Sequence[str] = ("ID",)) -> ConfiguredAirbyteCatalog:
    """A configured catalogue of some streams; `name:full_refresh` for a mode of its own."""
    entries = []
    for stream in streams:
        name, _, own = stream.partition(":")
        definition = catalog().get(name)
        entries.append(
            {
                "stream": {
                    "name": name,
                    "json_schema": {"type": "object", "properties": {column: {} for column in columns}},
                    "supported_sync_modes": ["full_refresh", "incremental"],
                },
                "sync_mode": own or mode,
                "destination_sync_mode": "append",
                "cursor_field": [definition.cursor] if definition and definition.cursor else [],
            }
        )
    return ConfiguredAirbyteCatalogSerializer.load({"streams": entries})


def state_of(**streams: dict[str, Any]) -> list[AirbyteStateMessage]:
    """State of some streams in division 123."""
    return [
        AirbyteStateMessageSerializer.load(
            {
                "type": "STREAM",
                "stream": {
                    "stream_descriptor": {"name": name},
                    "stream_state": {"version": VERSION, "divisions": {"123": position}},
                },
            }
        )
        for name, position in streams.items()
    ]


@dataclass
class Run:
    """What one `read` emitted, as JSON documents, and how it ended."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    error: AirbyteTracedException | None = None

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def records(self, stream: str) -> list[dict[str, Any]]:
        return [one["record"]["data"] for one in self.of_type("RECORD") if one["record"]["stream"] == stream]

    def keys(self, stream: str, name: str = "ID") -> list[Any]:
        return [record[name] for record in self.records(stream)]

    @property
    def state(self) -> list[AirbyteStateMessage]:
        """The last state of each stream, through JSON as Airbyte would pass it in again."""
        return self.state_after(len(self.messages))

    def state_after(self, count: int) -> list[AirbyteStateMessage]:
        """State that Airbyte holds if the run breaks off after so many messages."""
        last = {
            one["state"]["stream"]["stream_descriptor"]["name"]: one["state"]
            for one in self.messages[:count]
            if one["type"] == "STATE"
        }
        return [AirbyteStateMessageSerializer.load(json.loads(json.dumps(state))) for state in last.values()]

    def keys_saved_after(self, count: int) -> set[Any]:
        """Keys of the records that a destination surely has if the run breaks off after so many messages.

        Records behind the last state of their stream may be thrown away.
        """
        saved: set[Any] = set()
        pending: defaultdict[str, set[Any]] = defaultdict(set)
        for message in self.messages[:count]:
            if message["type"] == "RECORD":
                pending[message["record"]["stream"]].add(message["record"]["data"]["ID"])
            elif message["type"] == "STATE":
                saved |= pending.pop(message["state"]["stream"]["stream_descriptor"]["name"], set())
        return saved

    def position(self, stream: str, division: int | str = 123) -> dict[str, Any]:
        for state in self.state:
            if state.stream and state.stream.stream_descriptor.name == stream:
                found: dict[str, Any] = vars(state.stream.stream_state)["divisions"][str(division)]
                return found
        raise AssertionError(f"no state of {stream}")

    @property
    def statuses(self) -> dict[str, str]:
        """The last status of each stream."""
        return {
            one["trace"]["stream_status"]["stream_descriptor"]["name"]: one["trace"]["stream_status"]["status"]
            for one in self.of_type("TRACE")
            if one["trace"]["type"] == "STREAM_STATUS"
        }


def messages_of(
    clock: FakeClock,
    streams: ConfiguredAirbyteCatalog,
    state: list[AirbyteStateMessage] | None = None,
    **config: Any,
) -> Iterator[AirbyteMessage]:
    """Messages of a `read`, as they come."""
    return SourceExactOnline(clock).read(logging.getLogger("airbyte.test"), raw_config(**config), streams, state)


def read(
    clock: FakeClock,
    streams: ConfiguredAirbyteCatalog,
    state: list[AirbyteStateMessage] | None = None,
    **config: Any,
) -> Run:
    """Run `read` to its end."""
    run = Run()
    try:
        run.messages.extend(
            json.loads(json.dumps(AirbyteMessageSerializer.dump(message)))
            for message in messages_of(clock, streams, state, **config)
        )
    except AirbyteTracedException as error:
        run.error = error
    return run


def is_state(message: AirbyteMessage) -> bool:
    return message.type is Type.STATE
