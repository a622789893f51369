"""What is fuzzed: functions that take any bytes, and raise if the connector does what it must not.

Each stands for one kind of input from outside. What they hold: nothing but the documented errors comes out, and what is
accepted keeps the promise of the module that accepts it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec
import orjson
import requests
import urllib3
from airbyte_cdk.models import (
    AirbyteMessageSerializer,
    AirbyteStateMessageSerializer,
    ConnectorSpecification,
    FailureType,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from fuzz.fixed_clock import NOW, FixedClock
from source_exact_online.api import exact_time, odata
from source_exact_online.api.errors import (
    LONGEST_TEXT,
    ErrorKind,
    RequestContext,
    refused_columns,
    resolution_for,
    resolution_of,
)
from source_exact_online.api.page import Page, PageDecoder, RowShape, following
from source_exact_online.api.rate_limits import Budget, QuotaExceeded, ServerClock, spent_message, wait_reason
from source_exact_online.api.repair import DamagedPageError
from source_exact_online.api.site_health import SiteHealth
from source_exact_online.auth.config_message import check_serialisable
from source_exact_online.auth.token_errors import LONGEST_DETAIL, read_refusal
from source_exact_online.auth.token_file import TokenFile
from source_exact_online.auth.token_record import (
    Owner,
    RefreshJournal,
    journal_head,
    parse_journal,
    parse_record,
    record_bytes,
)
from source_exact_online.auth.tokens import Tokens, complete_fields, granted_tokens
from source_exact_online.config import check_shape, parse_config
from source_exact_online.login.redirect import LoginError, check_redirect_uri, code_in
from source_exact_online.sites import is_loopback, origin, trusted_base_url
from source_exact_online.source import SourceExactOnline
from source_exact_online.state.stream_state import load_states

BASE = "https://start.exactonline.nl"
DIVISION = 123456
URL = f"{BASE}/api/v1/{DIVISION}/crm/Accounts?$select=ID,Name"
CONTEXT = RequestContext("accounts", "CRM accounts", DIVISION)
OWNER = Owner("client", "nl", "start.exactonline.nl")
JOURNAL = RefreshJournal(NOW, "00ff", "configured", "spent")
SOME_PLACE = TokenFile(Path("tokens.json")).place
STATE = "st4te"

ResultT = TypeVar("ResultT")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_COLUMNS: dict[str, Any] = {
    "ID": str,
    "Name": str,
    "Amount": int | float,
    "Status": int,
    "Timestamp": int | str,
    "Blocked": bool,
    "Anything": Any,
}
_DECODER = PageDecoder(RowShape.of(_COLUMNS, ["ID"]), DIVISION)

_specification: ConnectorSpecification = SourceExactOnline().spec(logging.getLogger())


def pages(body: bytes) -> None:
    """Hold the two decoders to the same rows; a page is a page or damaged, and can be written again."""
    strict = _page(body)
    if strict is None:
        return
    assert msgspec.json.encode(strict.rows)
    assert all(row.ID is not None and row.Division in (None, DIVISION) for row in strict.rows)
    if not body.startswith(BYTE_ORDER_MARK):  # which sends the same page to the forgiving one
        forgiving = _page(BYTE_ORDER_MARK + body)
        assert forgiving is not None
        assert msgspec.json.encode(forgiving.rows) == msgspec.json.encode(strict.rows)
        assert (forgiving.next_url, forgiving.repairs) == (strict.next_url, strict.repairs)


def _page(body: bytes) -> Page | None:
    try:
        return _DECODER.decode(body, URL)
    except DamagedPageError:
        return None


def dates(data: bytes) -> None:
    """Read a date, which is refused with ValueError or comes out within the years 1 to 9999."""
    text = data.decode("utf-8", "replace")
    try:
        wall_ms = exact_time.milliseconds(text)
    except ValueError:
        return
    business = datetime.fromisoformat(_six_digits(exact_time.wall_text(text)))
    assert exact_time.to_milliseconds(business) == wall_ms
    for now_ms in (0.0, NOW.timestamp() * 1000):
        instant = datetime.fromisoformat(_six_digits(exact_time.AMSTERDAM.utc_text(text, now_ms)))
        assert instant.tzinfo is not None


def _six_digits(text: str) -> str:
    """Return a time as Python 3.10 reads it."""
    seconds, dot, rest = text.partition(".")
    return f"{seconds}{dot}{rest[:3]}000{rest[3:]}" if dot else text


def token_answers(body: bytes) -> None:
    """Read a token answer: tokens that can be sent and kept, or none; also in a journal and as a token file."""
    tokens = granted_tokens(complete_fields(body), "spent", NOW, NOW)
    if tokens is not None:
        assert tokens.refresh_token
        assert tokens.refresh_token.encode()
        assert tokens.access_token.isascii()
        requests.Request("GET", BASE, headers={"Authorization": f"Bearer {tokens.access_token}"}).prepare()
        record = JOURNAL.succeeded(None, tokens)
        assert parse_record(SOME_PLACE, record_bytes(record, OWNER), OWNER).tokens.same_pair(tokens)
    answer = _json(body)
    if isinstance(answer, dict) and isinstance(answer.get("refresh_token"), str) and answer["refresh_token"].isalnum():
        assert tokens is not None
        assert tokens.refresh_token == answer["refresh_token"]
    head = journal_head(JOURNAL, OWNER)
    begun, found = parse_journal(SOME_PLACE, head + NOW.isoformat().encode() + b"\n" + body, OWNER)
    assert begun == JOURNAL
    assert found is None or isinstance(found, Tokens)
    for text in (body, head + body):
        _traced(lambda text=text: parse_journal(SOME_PLACE, text, OWNER))  # type: ignore[misc]
    _traced(lambda: parse_record(SOME_PLACE, body, OWNER))


def refusals(data: bytes) -> None:
    """Look up an error answer, which always means something, of bounded length. The first line is the headers' text."""
    line, _, body = data.partition(b"\n")
    reason = line.decode("latin-1")
    for status in (301, 400, 401, 403, 404, 429, 500, 503):
        headers = {"Reason": reason, "Location": reason, "Retry-After": reason}
        resolution = resolution_for(status, headers, body, CONTEXT, URL)
        assert resolution.message.count("\n") == 0
        assert len(resolution.detail) <= 3 * LONGEST_TEXT + 50
        assert set(refused_columns(resolution.detail, _COLUMNS, ["ID"])) <= set(_COLUMNS) - {"ID"}
        assert len(read_refusal(status, reason, body).detail) <= LONGEST_DETAIL


def states(data: bytes) -> None:
    """Load a stream's state, which is refused in words or can be written again as it was understood."""
    blob = _json(data)
    if not isinstance(blob, dict):
        return
    try:
        message = AirbyteStateMessageSerializer.load(
            {"type": "STREAM", "stream": {"stream_descriptor": {"name": "accounts"}, "stream_state": blob}}
        )
    except Exception:
        return  # Airbyte's own model refuses it
    state = _traced(lambda: load_states([message], ["accounts"], NOW)["accounts"])
    if state is None:
        return
    assert all(0 <= division < 10**12 for division in state.divisions)
    written = orjson.loads(orjson.dumps(AirbyteMessageSerializer.dump(state.message())))["state"]
    again = load_states([AirbyteStateMessageSerializer.load(written)], ["accounts"], NOW)["accounts"]
    assert (again.positions, again.columns) == (state.positions, state.columns)


def configurations(data: bytes) -> None:
    """Take a configuration, or refuse it with a config error that tells no secret."""
    raw = _json(data)
    error = _config_error(lambda: check_shape(raw, _specification.connectionSpecification))  # type: ignore[arg-type]
    if error is None and isinstance(raw, dict):
        error = _config_error(lambda: parse_config(raw, NOW, {}))
        _config_error(lambda: check_serialisable(raw))
    if error is not None and isinstance(raw, dict) and isinstance(raw.get("credentials"), dict):
        others = json.dumps({**raw, "credentials": None})
        for name in ("client_secret", "refresh_token", "access_token"):
            secret = raw["credentials"].get(name)
            if isinstance(secret, str) and len(secret) > 8 and json.dumps(secret)[1:-1] not in others:
                assert secret not in f"{error.message} {error.internal_message}"


def addresses(data: bytes) -> None:
    """Follow an address, trust it, take it for the redirect of this login, or refuse it in words."""
    text = data.decode("utf-8", "replace")
    with suppress(LoginError):
        assert code_in(text, STATE).isprintable() is not None
        assert STATE in unquote("".join(text.split()))
    with suppress(LoginError):
        check_redirect_uri(text)
        assert urlsplit(text).scheme == "https" or is_loopback(urlsplit(text).hostname)
    with suppress(ValueError):
        trusted = trusted_base_url(text, "nl")
        sent_to = urllib3.util.parse_url(requests.Request("GET", f"{trusted}/x").prepare().url or "").host or ""
        assert trusted == BASE or is_loopback(sent_to.strip("[]"))
    for link in (text, "".join(text.split())):
        _follow(link)


def _follow(link: str) -> None:
    try:
        url = following(URL, link)
    except DamagedPageError:
        return
    if not odata.same_origin(BASE, url):
        return
    odata.selected(url), odata.filtered(url)
    try:
        prepared = requests.Request("GET", url).prepare().url or ""
    except requests.RequestException:
        return
    assert origin(prepared) == origin(BASE)
    assert urllib3.util.parse_url(prepared).host == "start.exactonline.nl"


def headers(data: bytes) -> None:
    """Tell quota, clock and outages what an answer's headers say, and see them go on working. A line is a header."""
    lines = (line.partition(":") for line in data.decode("latin-1").split("\n"))
    found = requests.structures.CaseInsensitiveDict({name.strip(): value.strip() for name, _, value in lines})
    clock = FixedClock()
    server_clock = ServerClock(clock)
    server_clock.observe(found.get("Date"), server_clock.local_ms(), server_clock.local_ms())
    assert server_clock.now_ms() <= server_clock.latest_ms()
    for refused in (False, True):
        budget = Budget(server_clock)
        assert budget.reserve("x") is None
        budget.release("x", found, ok=not refused)
        exceeded = budget.refused("x", found) if refused else budget.reserve("x")
        if isinstance(exceeded, QuotaExceeded):
            assert spent_message(exceeded, DIVISION)
            assert wait_reason(exceeded, DIVISION)
            assert 0 <= exceeded.wait_seconds < 10**12
        minute, day = budget.left()
        assert minute >= 0
        assert day >= 0
    resolution = resolution_for(503, found, b"", CONTEXT, URL)
    down = SiteHealth(clock).failed(CONTEXT, resolution)
    assert down is not None
    assert 0 <= down.seconds <= 86_400
    assert resolution_of(ErrorKind.DAY_QUOTA_SPENT, found.get("Reason", ""), CONTEXT).message is not None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _traced(call: Callable[[], ResultT]) -> ResultT | None:
    """Return what a call returns; None where it ends in an error for a person."""
    try:
        return call()
    except AirbyteTracedException as error:
        _is_told(error)
        return None


def _config_error(call: Callable[[], object]) -> AirbyteTracedException | None:
    try:
        call()
    except AirbyteTracedException as error:
        _is_told(error)
        return error
    return None


def _is_told(error: AirbyteTracedException) -> None:
    """Hold an error to be one that a person must act upon, in words."""
    assert error.failure_type is FailureType.config_error
    assert error.message


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to fuzz.

    Attributes:
        check: raises if the connector fails on these bytes.
        tokens: pieces that inputs of this kind are made of.
    """

    check: Callable[[bytes], None]
    tokens: tuple[bytes, ...]

    @property
    def name(self) -> str:
        """Name on the command line and of the file with its corpus."""
        return self.check.__name__

    @property
    def corpus(self) -> Path:
        """File of inputs to begin with: a line is the literal of some bytes."""
        return Path(__file__).parent / "corpus" / f"{self.name}.txt"


_JSON_TOKENS = (
    *b'{|}|[|]|:|,|"|\\|\\u0000|\\ud83d|null|true|-1|0|1e999|NaN|9223372036854775808|'.split(b"|"),
    *(b"9" * 25, b"[" * 2000, b'{"a":' * 2000, b"\xff", b"\x0b", b"\x00", BYTE_ORDER_MARK, b"\xed\xa0\x80"),
)

TARGETS = (
    Target(pages, (*_JSON_TOKENS, *b'"d" "results" "__next" "error" "ID" "Division" /Date(1)/ "Anything"'.split())),
    Target(dates, tuple(b"/Date( )/ - + 0 _ 253402300800000 -62135596800000 1729990800000 1711846800000".split())),
    Target(token_answers, (*_JSON_TOKENS, *b'"access_token" "refresh_token" "expires_in" "client_id" "salt"'.split())),
    Target(
        refusals, (*_JSON_TOKENS, b"\n", *b"< > &lt; 'Name' Exact.Web Blocked scope {detail} //[ faultstring".split())
    ),
    Target(
        states, (*_JSON_TOKENS, *b'"divisions" "in_progress" "cursor" 2024-01-01T00:00:00 +23:59 Z'.split(), b"x" * 99)
    ),
    Target(
        configurations,
        (
            *_JSON_TOKENS,
            *b'"start_date" "base_url" "token_file" "token_store" postgresql:// ~ 0001-01-01 P9Y +23:59'.split(),
        ),
    ),
    Target(
        addresses,
        (
            *b"? & = # @ [ ] ::1 : / \\ % %00 . code= state=st4te error= 127.0.0.1 localhost https:// ../api/".split(),
            *(b"\t", b"\x00", b"\x7f", b"\xe2\x84\xaa"),
        ),
    ),
    Target(
        headers,
        (
            *b"X-RateLimit- Minutely- Reset Remaining Limit : - Date Retry-After GMT 99999 -0000 \xb2 1_0".split(),
            *(b"\n", b" ", b"9" * 400, b"Mon, 03 Mar 2025 09:00:00 GMT"),
        ),
    ),
)
"""All of them."""


def target(name: str) -> Target:
    """Return a target by its name.

    Raises:
        KeyError: there is none of that name.
    """
    return {target.name: target for target in TARGETS}[name]
