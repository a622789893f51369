"""Full speed inside Exact's limits: every call of a minute is used, none too many is made, listings run in parallel."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessageSerializer, ConfiguredAirbyteCatalogSerializer

from exact_online_sandbox.books import generate
from exact_online_sandbox.errors import ApiError
from exact_online_sandbox.sandbox import DEFAULT_USER
from exact_online_sandbox.store import Store
from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.connector import Run, configured_catalog
from integration_tests.direct import CLIENT
from integration_tests.faulty_network import Inside
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import ENDPOINTS, assert_same, by_key
from source_exact_online.source import SourceExactOnline
from source_exact_online.sync.scheduler import PER_DIVISION

FEEDS = {
    "accounts": ("crm/Accounts", "Name"),
    "contacts": ("crm/Contacts", "LastName"),
    "addresses": ("crm/Addresses", "AddressLine1"),
    "items": ("logistics/Items", "Description"),
    "gl_accounts": ("financial/GLAccounts", "Description"),
}
"""Five streams of one feed each, with the entity whose rows they have and one of its columns."""

ROWS = 60
"""Rows of each of them in each division."""

DIVISIONS = tuple(range(901, 911))


@pytest.fixture(scope="module")
def even(start_sandbox: StartSandbox) -> Sandbox:
    """Ten divisions that all have the same number of rows in five feeds."""
    sandbox = start_sandbox(
        "--divisions", "1", "--size", "20", "--minute-limit", MANY_CALLS, "--daily-limit", MANY_CALLS
    )
    for division in DIVISIONS:
        sandbox.post("divisions", code=division, row={"Description": f"Company {division}"})
        for entity, column in FEEDS.values():
            rows = [{column: f"Number {number}"} for number in range(ROWS)]
            sandbox.post("rows/insert", division=division, entity=entity, rows=rows)
    return sandbox


@pytest.fixture
def busy(even: Sandbox) -> Iterator[Sandbox]:
    """That sandbox for one test, put right again afterwards."""
    even.clear()
    yield even
    even.clear()


def read(sandbox: Sandbox, streams: Sequence[str], divisions: Sequence[int], **config: Any) -> Run:
    """Run `read` in this process, which has imported everything and has a token: what is left is the reading."""
    raw = sandbox.config(access=True, divisions=list(divisions), **config)
    catalog = ConfiguredAirbyteCatalogSerializer.load(configured_catalog(streams))
    sandbox.forget_calls()
    run = Run(0, "", "", 0.0)
    began = time.monotonic()
    for message in SourceExactOnline().read(logging.getLogger("airbyte.test"), raw, catalog, []):
        run.messages.append(AirbyteMessageSerializer.dump(message))
    run.seconds = time.monotonic() - began
    return run


def assert_complete(run: Run, sandbox: Sandbox, streams: Sequence[str], divisions: Sequence[int]) -> None:
    """Holds a run against the sandbox."""
    for stream in streams:
        assert_same(stream, by_key(stream, run.records(stream)), sandbox.expected(stream, divisions))


def listing_calls(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Calls for rows so far: time, status and so on."""
    paths = {ENDPOINTS[stream] for stream in FEEDS}
    calls: list[dict[str, Any]] = [one for one in sandbox.get("calls")["calls"] if one["endpoint"] in paths]
    return calls


def seconds_of(call: dict[str, Any]) -> float:
    """Moment at which a call arrived, by the sandbox's clock: seconds since 1970."""
    return datetime.fromisoformat(call["time"]).timestamp()


def reading_seconds(sandbox: Sandbox) -> float:
    """From the first call for rows to the end of the last: without the login and the list of divisions."""
    calls = listing_calls(sandbox)
    begins = [seconds_of(call) for call in calls]
    ends = [begin + call["milliseconds"] / 1000 for begin, call in zip(begins, calls, strict=True)]
    return max(ends) - min(begins)


# -- every call, and none too many -------------------------------------------------------------------------------------


def test_alone_on_its_quota_it_uses_nearly_every_call_and_is_never_refused(busy: Sandbox) -> None:
    """Twenty calls in three seconds, each of which takes 0.3 s."""
    length, limit, division = 3, 20, DIVISIONS[0]
    busy.post("settings", quota={"minute_seconds": length, "minute_limit": limit}, latency_ms=300)
    busy.post("settings", page_sizes={"sync": 4})

    run = read(busy, list(FEEDS), [division])

    assert_complete(run, busy, list(FEEDS), [division])
    calls = [call for call in busy.get("calls")["calls"] if call["division"] == division]
    assert {call["status"] for call in calls} == {200}
    windows = Counter(int(seconds_of(call) // length) for call in calls)
    first, *whole, last = sorted(windows)
    assert len(whole) >= 2, windows
    assert last - first == len(windows) - 1, "no window is let pass"
    used = sum(windows[window] for window in whole) / (limit * len(whole))
    print(f"used {used:.1%} of the calls of {len(whole)} windows: {sorted(windows.items())}")
    assert used >= 0.95, windows


def test_a_consumer_beside_it_costs_some_refusals_and_no_row(busy: Sandbox) -> None:
    """It takes a third of the calls, at random moments."""
    length, limit, division = 1.0, 20, DIVISIONS[0]
    busy.post("settings", quota={"minute_seconds": length, "minute_limit": limit}, latency_ms=50)
    busy.post("settings", page_sizes={"sync": 4})
    done = threading.Event()
    taken = [0]

    def consume() -> None:
        dice = random.Random(4)
        while not done.wait(dice.random() * 2 * 3 * length / limit):
            busy.post("quota/use", division=division, minute=1)
            taken[0] += 1

    consumer = threading.Thread(target=consume)
    consumer.start()
    try:
        run = read(busy, list(FEEDS), [division])
    finally:
        done.set()
        consumer.join()

    assert_complete(run, busy, list(FEEDS), [division])
    calls = listing_calls(busy)
    refused = Counter(int(seconds_of(call) // length) for call in calls if call["status"] == 429)
    print(f"{refused.total()} of {len(calls)} calls refused beside {taken[0]} of another consumer")
    assert taken[0] >= 10
    assert max(refused.values(), default=0) <= PER_DIVISION, "those that were under way when the window was spent"
    assert refused.total() <= len(calls) / 4


# -- side by side ------------------------------------------------------------------------------------------------------


def test_ten_divisions_are_read_side_by_side(busy: Sandbox) -> None:
    busy.post("settings", latency_ms=500, page_sizes={"sync": 30})
    seconds = {}
    for workers in (1, 10):
        run = read(busy, ["accounts"], DIVISIONS, num_workers=workers)
        assert_complete(run, busy, ["accounts"], DIVISIONS)
        seconds[workers] = reading_seconds(busy)

    print(f"{seconds[1]:.1f} s one after the other, {seconds[10]:.1f} s side by side")
    assert seconds[1] / seconds[10] >= 7


def test_five_streams_of_a_division_are_read_side_by_side(busy: Sandbox) -> None:
    busy.post("settings", latency_ms=300, page_sizes={"sync": 15})
    seconds = {}
    for workers in (1, 10):
        run = read(busy, list(FEEDS), DIVISIONS[:1], num_workers=workers)
        assert_complete(run, busy, list(FEEDS), DIVISIONS[:1])
        seconds[workers] = reading_seconds(busy)

    print(f"{seconds[1]:.1f} s one after the other, {seconds[10]:.1f} s side by side")
    assert seconds[1] / seconds[10] >= 3


# -- clocks, days, refusals: in this process, where waiting costs no time ----------------------------------------------

START = datetime(2025, 3, 3, 9, 0, 13, tzinfo=timezone.utc)
STREAMS = ("accounts", "transaction_lines", "journals")


@pytest.fixture(scope="module")
def books() -> Iterator[Store]:
    """The books of two companies."""
    store = Store()
    generate(store, seed=3, divisions=2, size="60", until=START)
    yield store
    store.close()


def assert_all_rows(inside: Inside, *runs: Run, divisions: Sequence[int] | None = None) -> None:
    """Holds some runs together against the truth."""
    for stream in STREAMS:
        found = by_key(stream, [record for run in runs for record in run.records(stream)])
        assert_same(stream, found, inside.expected(stream, divisions))


@pytest.mark.parametrize("latency", [0.05, 7.3])
@pytest.mark.parametrize("shift", [0, 0.7, -47, 61, -1800, 3600, 5 * 3600, -26 * 3600])
def test_a_clock_that_differs_from_exacts_causes_no_refusal(shift: float, latency: float, books: Store) -> None:
    inside = Inside(books, START, shift=shift, latency=latency)
    inside.box.settings.change({"page_sizes": {"sync": 2, "standard": 2}, "quota": {"minute_limit": 6}})

    run = inside.read(configured_catalog(STREAMS))

    assert set(inside.statuses()) == {200}
    assert len(inside.calls()) > 60
    assert run.exit_code == 0
    assert_all_rows(inside, run)
    minutes = len(inside.calls(None)) / 2 / min(6, 60 / latency)
    assert run.seconds <= 60 * (minutes * 1.6 + 4), "nor a wait that is longer than it has to be"


@pytest.mark.parametrize("seed", range(6))
def test_a_consumer_that_nobody_can_foresee_costs_at_most_a_refusal_a_minute(seed: int, books: Store) -> None:
    """With one worker only one call can be under way when another process takes the last of the minute."""
    inside = Inside(books, START, latency=0.3)
    division, dice = inside.divisions[0], random.Random(seed)
    inside.box.settings.change({"page_sizes": {"sync": 1, "standard": 1}, "quota": {"minute_limit": 12}})
    taken = Counter[int]()

    def consume() -> None:
        minute = inside.box.clock.now_ms() // 60_000
        wanted = min(dice.choice([0, 0, 0, 1, 4]), 4 - taken[minute])
        taken[minute] += wanted
        inside.box.quota.use(CLIENT[0], division, minute=wanted, day=wanted)

    inside.network.before = consume

    run = inside.read(configured_catalog(STREAMS), divisions=[division])

    refused = Counter(call["time"][:16] for call in inside.calls() if call["status"] == 429)
    assert run.exit_code == 0
    assert max(refused.values(), default=0) <= 1
    assert len(taken) > 5
    assert_all_rows(inside, run, divisions=[division])
    assert run.seconds / 60 <= len(inside.calls()) / 8 + 2, "and it uses what is left"


def test_the_end_of_the_days_quota_in_mid_list_loses_no_row_and_asks_for_no_page_twice(books: Store) -> None:
    inside = Inside(books, START)
    spent, free = inside.divisions
    inside.box.settings.change({"page_sizes": {"sync": 6, "standard": 2}, "quota": {"daily_limit": 20}})
    inside.box.quota.use(CLIENT[0], spent, day=10)
    runs = [inside.read(configured_catalog(STREAMS), num_workers=1)]

    first = runs[0]

    assert first.exit_code == 1
    assert set(first.failure_types) == {"transient_error"}
    said = f"20 of 20 calls of division {spent} used; resumes at 00:00 UTC; progress saved."
    assert any(said in message for message in first.errors), first.errors
    assert inside.statuses()[429] == 0
    found = [record for record in first.records("transaction_lines") if record["Division"] == free]
    assert found, "the other division goes on"
    while runs[-1].exit_code:
        assert len(runs) < 9
        inside.box.clock.advance(24 * 3600)
        runs.append(inside.read(configured_catalog(STREAMS), runs[-1].state))
    assert_all_rows(inside, *runs)
    paths = {ENDPOINTS[stream] for stream in STREAMS}
    pages = Counter((c["path"], c["query"]) for c in inside.calls() if c["endpoint"] in paths)
    repeated = [page for page, times in pages.items() if times > 1 and "skiptoken" in page[1]]
    assert repeated == []


def test_a_day_that_ends_within_minutes_is_waited_for_in_words(books: Store) -> None:
    inside = Inside(books, START.replace(hour=23, minute=53))
    spent = inside.divisions[0]
    inside.box.settings.change({"page_sizes": {"sync": 6}, "quota": {"daily_limit": 20}})
    inside.box.quota.use(CLIENT[0], spent, day=14)

    run = inside.read(configured_catalog(["transaction_lines"]), divisions=[spent])

    assert run.exit_code == 0
    assert run.seconds >= 360
    assert inside.statuses()[429] == 0
    moments = [moment for moment, _ in inside.logged]
    assert max(after - before for before, after in pairwise(moments)) <= 60
    assert any("Calls left in division" in line for line in inside.lines())
    limited = [
        trace["stream_status"]["reasons"][0]["rate_limited"]["quota_reset"]
        for trace in (one["trace"] for one in run.messages if one["type"] == "TRACE")
        if trace.get("stream_status", {}).get("reasons")
    ]
    midnight = (START.replace(hour=0, minute=0, second=0) + timedelta(days=1)).timestamp()
    assert set(limited) == {int(midnight * 1000)}


def test_a_forbidden_endpoint_costs_one_refusal_however_many_partitions_need_it(books: Store) -> None:
    """Each feed that begins at a date looks its row version up at the same endpoint."""
    inside = Inside(books, START)
    inside.box.rights.deny({"kind": "module", "path": "read/sync/Sync/SyncTimestamp"})
    inside.box.rights.deny({"kind": "module", "path": "financial/Journals", "division": inside.divisions[0]})
    feeds = ["transaction_lines", "sales_invoices", "sales_orders", "sales_order_lines", "purchase_orders", "journals"]

    run = inside.read(configured_catalog(feeds), start_date="2001-01-01T00:00:00Z", num_workers=8)

    refused = Counter((call["endpoint"], call["division"]) for call in inside.calls() if call["status"] == 403)
    first, second = inside.divisions
    look_up = "read/sync/Sync/SyncTimestamp"
    assert refused == {(look_up, first): 1, (look_up, second): 1, ("financial/Journals", first): 1}
    assert run.exit_code == 0
    for stream in feeds[:-1]:
        assert_same(stream, by_key(stream, run.records(stream)), inside.expected(stream))


@pytest.mark.parametrize("status", [429, 403, 418])
def test_a_key_that_is_blocked_is_told_what_it_is(status: int, books: Store) -> None:
    """Another program with the same key has made too many wrong calls. No one knows which status Exact has for it."""
    inside = Inside(books, START)
    inside.box.settings.change({"errors": {"status": status, "block_seconds": 7 * 3600}})
    for _ in range(10):
        inside.box.error_limit.record(400, CLIENT[0], DEFAULT_USER, 1, "crm/Accounts")
    with pytest.raises(ApiError):
        inside.box.error_limit.record(400, CLIENT[0], DEFAULT_USER, 1, "crm/Accounts")

    run = inside.read(configured_catalog(STREAMS), divisions=inside.divisions)

    assert run.exit_code == 1
    said = " ".join([*run.errors, run.stderr, *inside.lines()])
    assert "block" in said
    assert "for an hour or longer" in said
    assert len(inside.calls()) <= 20, "it does not make things worse"
    assert run.seconds < 3600


def test_what_such_a_sync_costs_is_told_at_its_end(books: Store) -> None:
    inside = Inside(books, START)

    inside.read(configured_catalog(STREAMS))

    text = "\n".join(inside.lines())
    row = next(line for line in text.split("\n") if line.startswith("transaction_lines"))
    asked = [c for c in inside.calls(ENDPOINTS["transaction_lines"]) if c["division"] == inside.divisions[0]]
    assert row.split()[1:4] == [str(inside.divisions[0]), str(len(asked)), str(sum(c["rows"] for c in asked))]
    assert "hourly = 72 calls a day and division, 1 % of the quota" in text
