"""Whatever goes wrong between Exact Online and the connector, alone or all together: in the end every row is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
import requests

from exact_online_sandbox.books import generate
from exact_online_sandbox.store import Store
from integration_tests.connector import Run, configured_catalog
from integration_tests.faulty_network import Disturbance, Fault, Inside, Reply
from integration_tests.truth import ENDPOINTS, assert_same, by_key

START = datetime(2025, 3, 3, 9, 0, tzinfo=timezone.utc)
STREAMS = ("accounts", "transaction_lines", "sales_invoices", "sales_invoice_lines", "journals", "purchase_invoices")
ERROR = '{"error": {"code": "", "message": {"lang": "", "value": "Er is een fout opgetreden."}}}'


def breaks(error: Exception) -> Fault:
    """The connection breaks in some way before there is an answer."""

    def lose(_: Reply) -> Reply:
        raise error

    return lose


FAULTS: dict[str, Fault] = {
    # what the sandbox knows to do
    "gateway's own 500": {"kind": "gateway_fault"},
    "gateway's own 404": {"kind": "proxy_not_found"},
    "maintenance page": {"kind": "maintenance"},
    "408": {"kind": "request_timeout"},
    "599": {"kind": "gateway_timeout"},
    "connection reset": {"kind": "reset"},
    "answer lost": {"kind": "lost_answer"},
    "body cut short": {"kind": "truncated"},
    "half a body, length and all": {"kind": "half_body"},
    "empty body": {"kind": "empty_body"},
    "HTML with 200": {"kind": "not_json"},
    "null in place of rows": {"kind": "null_d"},
    "error with 200": {"kind": "error_200"},
    "slow answer": {"kind": "slow", "seconds": 100},
    "answer that comes too late": {"kind": "slow", "seconds": 300},
    "429 for the minute": {"kind": "rate_limit_minute"},
    "429 for the day": {"kind": "rate_limit_day"},
    "429 without headers": {"kind": "rate_limit_bare"},
    "plain 500": {"kind": "status", "status": 500},
    "500 with Exact's words": {"kind": "status", "status": 500, "body": ERROR},
    "502": {"kind": "status", "status": 502, "body": "<h1>Bad Gateway</h1>", "content_type": "text/html"},
    "503 in XML": {"kind": "status", "status": 503, "body": "<error><code>1</code></error>"},
    "504": {"kind": "status", "status": 504},
    # what can happen on the way
    "connection refused": breaks(requests.ConnectionError("refused")),
    "time-out while connecting": breaks(requests.ConnectTimeout("timed out")),
    "TLS broken": breaks(requests.exceptions.SSLError("bad record")),
    "chunks broken": breaks(requests.exceptions.ChunkedEncodingError("cut")),
    "no content": lambda reply: reply.saying(204),
    "part of the content": lambda reply: reply.saying(206, reply.body),
    "Atom in place of JSON": lambda reply: reply.saying(200, "<?xml version='1.0'?><feed/>"),
    "a list in place of an object": lambda reply: reply.saying(200, "[]"),
    "text in place of rows": lambda reply: reply.saying(200, '{"d": {"results": "none"}}'),
    "no rows at all in the object": lambda reply: reply.saying(200, '{"d": {}}'),
    "broken UTF-8": lambda reply: reply.saying(200, reply.body[:20] + b"\xff\xfe" + reply.body[20:]),
    "broken gzip": lambda reply: reply.saying(200, b"\x1f\x8b nonsense", Content_Encoding="gzip"),
    "no date": lambda reply: reply.without("Date"),
    "a date that is none": lambda reply: reply.saying(reply.status, reply.body, Date="yesterday"),
    "no quota": lambda reply: reply.without("X-RateLimit"),
    "a quota that is no number": lambda reply: reply.saying(
        reply.status, reply.body, **{name: "many" for name in reply.headers if name.startswith("X-RateLimit")}
    ),
}


@pytest.fixture(scope="module")
def books() -> Iterator[Store]:
    """The books of two companies."""
    store = Store()
    generate(store, seed=3, divisions=2, size="60", until=START)
    yield store
    store.close()


def sandbox(store: Store, rows: int = 15, **options: float) -> Inside:
    """A sandbox of those books whose listings have several pages, feeds some of so many rows."""
    made = Inside(store, START, **options)
    made.box.settings.change({"page_sizes": {"sync": rows, "standard": 3, "bulk": rows}})
    return made


def assert_true_to(inside: Inside, *runs: Run, divisions: Sequence[int] | None = None) -> None:
    """Holds what some runs emitted together against the truth."""
    for stream in STREAMS:
        found = by_key(stream, [record for run in runs for record in run.records(stream)])
        assert_same(stream, found, inside.expected(stream, divisions))


def read_to_the_end(inside: Inside, most: int = 6, **config: Any) -> list[Run]:
    """Syncs a day apart, each with the state that the one before has left, until one is complete."""
    runs: list[Run] = []
    while len(runs) < most:
        runs.append(inside.read(configured_catalog(STREAMS), runs[-1].state if runs else None, **config))
        if runs[-1].exit_code == 0:
            return runs
        assert set(runs[-1].failure_types) == {"transient_error"}, runs[-1].errors
        inside.box.clock.advance(24 * 3600)
    raise AssertionError(f"not complete after {most} syncs: {runs[-1].errors}")


def test_there_are_many_kinds_of_fault() -> None:
    assert len(FAULTS) >= 30


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_costs_no_row(kind: str, books: Store) -> None:
    inside = sandbox(books)
    inside.network.disturbance = Disturbance({kind: FAULTS[kind]})

    runs = read_to_the_end(inside, most=20, divisions=inside.divisions[:1])

    assert_true_to(inside, *runs, divisions=inside.divisions[:1])
    if kind == "429 for the day":
        assert 1 < len(runs) == 1 + inside.network.disturbance.met[kind]
    else:
        assert len(runs) == 1, "it passes, so that one sync is enough"
        assert inside.network.disturbance.met[kind] >= 3


@pytest.mark.parametrize(
    ("seed", "feeds"),
    [(1, {}), (2, {}), (3, {"shuffled": True}), (4, {"repeat_rows": 3}), (5, {"empty_pages": 2})],
    ids=str,
)
def test_all_faults_together_cost_no_row(seed: int, feeds: dict[str, bool | int], books: Store) -> None:
    """A day's quota that is said to be spent ends the sync of its division; the next one goes on."""
    inside = sandbox(books, rows=5)
    inside.box.settings.change({"feeds": feeds})
    inside.network.disturbance = Disturbance(FAULTS, share=0.7, times=3, seed=seed)

    runs = read_to_the_end(inside, most=20)

    assert len(inside.network.disturbance.met) >= len(FAULTS) / 2
    assert_true_to(inside, *runs)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 300))
def test_all_faults_together_cost_no_row_however_they_fall(seed: int, books: Store) -> None:
    inside = sandbox(books)
    inside.network.disturbance = Disturbance(FAULTS, share=0.7, times=3, seed=seed)

    assert_true_to(inside, *read_to_the_end(inside, most=30))


@pytest.mark.parametrize("kind", ["unauthorized", "token refused with Dutch words"])
def test_a_token_refused_before_its_time_costs_no_row(kind: str, books: Store) -> None:
    """A new one is available 570 s after the last; until then the run waits."""
    text = "Het token is verlopen" if kind != "unauthorized" else None
    inside = sandbox(books)
    inside.box.faults.add({"kind": "unauthorized", "path": "sync/*", "after": 4, "count": 1, "text": text})

    (run,) = read_to_the_end(inside)

    assert inside.statuses()[401] == 1
    assert_true_to(inside, run)


def test_a_column_that_is_refused_in_the_middle_of_all_faults_is_all_that_is_missing(books: Store) -> None:
    inside = sandbox(books)
    inside.box.faults.add({"kind": "refuse_column", "path": ENDPOINTS["accounts"], "column": "Name"})

    run = inside.read(configured_catalog(["accounts"]))

    expected = inside.expected("accounts")
    for record in expected.values():
        record.pop("Name")
    assert_same("accounts", by_key("accounts", run.records("accounts")), expected)
    assert Counter(call["division"] for call in inside.calls() if call["status"] == 400) == {inside.divisions[0]: 1}


def test_refused_calls_stay_far_from_the_limit_at_which_exact_blocks_the_key(books: Store) -> None:
    """Whatever is refused, for ever and everywhere: no endpoint of a division refuses more than five calls."""
    for status in (400, 401, 403, 404, 451):
        inside = sandbox(books)
        inside.box.faults.add({"kind": "status", "status": status, "path": "sync/*", "body": ERROR})
        catalog = configured_catalog(STREAMS)

        inside.read(catalog, start_date="2001-01-01T00:00:00Z")

        refused = Counter((c["endpoint"], c["division"]) for c in inside.calls() if c["status"] == status)
        assert refused
        assert max(refused.values()) <= (2 if status == 401 else 1), refused
