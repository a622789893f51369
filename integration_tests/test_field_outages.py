"""A licence that has ended, another site, a firewall, the night's maintenance, a body that drips: who is to blame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from exact_online_sandbox.books import generate
from exact_online_sandbox.store import Store
from integration_tests.conftest import StartSandbox
from integration_tests.connector import Run, configured_catalog
from integration_tests.faulty_network import Inside
from integration_tests.field import (
    DELETED,
    DIVISIONS,
    FEED,
    LIST,
    LISTINGS,
    LONG_AGO,
    MANY,
    ME,
    SYNC_TIMESTAMP,
    catalog,
    made_to,
    rows,
    with_open_items,
)
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import WALL_CLOCK, assert_same, by_key

ATTEMPTS = 6


@pytest.fixture(scope="module")
def field(start_sandbox: StartSandbox) -> Sandbox:
    """A sandbox of ten divisions."""
    return with_open_items(start_sandbox(*MANY))


@pytest.fixture
def clear(field: Sandbox) -> Iterator[Sandbox]:
    """The sandbox for a test that makes it misbehave."""
    field.clear()
    yield field
    field.clear()


@pytest.fixture(scope="module")
def peace(field: Sandbox) -> Run:
    """A run that has read everything while all was well."""
    return field.connection().read(catalog(LISTINGS))


def assert_whole(run: Run, peace: Run, divisions: list[int]) -> None:
    """Holds some divisions of a run against one in peace."""
    for stream in LISTINGS:
        assert run.statuses[stream] == "COMPLETE", run.explain()
        for division in divisions:
            assert rows(division, stream, run) == rows(division, stream, peace)


# -- closed divisions --------------------------------------------------------------------------------------------------

REASONS = ["LicenseExpired", "BlockedCustomer", "BlockedUser", "DivisionBlocked"]


@pytest.mark.parametrize("configured", [False, True], ids=["all divisions", "divisions by number"])
def test_closed_divisions_are_left_out_by_name_at_one_call_each(configured: bool, clear: Sandbox, peace: Run) -> None:
    """Also the one whose number stands first in the configuration, and so in the address of the list of divisions."""
    closed = dict(zip(clear.divisions[:: 1 if configured else -1], REASONS, strict=False))
    for division, reason in closed.items():
        clear.deny("blocked", reason=reason, division=division)
    connector = clear.connection(start_date=LONG_AGO, divisions=clear.divisions if configured else [])

    run = connector.read(catalog(LISTINGS))
    calls = clear.calls()
    later = connector.read(catalog(LISTINGS), run.state)
    checked = connector.check()

    open_ = [division for division in clear.divisions if division not in closed]
    assert_whole(run, peace, open_)
    assert later.exit_code == 0
    refused = Counter(call.division for call in calls if call.status == 403)
    assert refused == dict.fromkeys(closed, 1)
    for division in closed:
        assert [line for line in run.warnings if str(division) in line and "exclude_divisions" in line]
        assert str(division) in checked.connection["message"]
    assert not [line for line in run.warnings for division in open_ if f"division {division}" in line]
    assert checked.connection["status"] == "FAILED"


def test_where_every_division_is_closed_the_sync_fails(clear: Sandbox) -> None:
    clear.deny("blocked", reason="LicenseExpired")
    for configured in ([], clear.divisions[:2]):
        clear.forget_calls()

        run = clear.connection(divisions=configured).read(catalog(LISTINGS), succeeds=False)

        assert run.by_stream == {}
        assert any("licence" in message for message in run.errors)
        assert set(run.failure_types) == {"config_error"}
        assert len(clear.calls()) <= 1 + len(configured)


# -- login pages and other sites ---------------------------------------------------------------------------------------

ELSEWHERE = {
    "other_site": ("https://start.exactonline.be", "site"),
    "login_redirect": ("/docs/Login.aspx", "Log in again"),
    "login_page": ("login page", "Log in again"),
}
"""Kinds of answer, and what a message has to say of them: the target, and what to do."""


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        *(("other_site", path) for path in (*LISTINGS.values(), DELETED, SYNC_TIMESTAMP, DIVISIONS, ME)),
        *((kind, path) for kind in ("login_redirect", "login_page") for path in LISTINGS.values()),
    ],
)
def test_who_is_sent_elsewhere_stops_and_says_where(kind: str, path: str, clear: Sandbox, peace: Run) -> None:
    target, advice = ELSEWHERE[kind]
    clear.fault(kind, path=path)
    config: dict[str, Any] = {"start_date": LONG_AGO} if path == SYNC_TIMESTAMP else {}
    streams = [next((stream for stream, one in LISTINGS.items() if one == path), FEED)]
    state = [one for one in peace.state if one["stream"]["stream_descriptor"]["name"] == FEED]

    run = clear.connection(num_workers=1, **config).read(
        catalog(streams), state if path == DELETED else None, succeeds=False
    )

    assert set(run.failure_types) == {"config_error"}
    assert target in run.errors[-1]
    assert advice in run.errors[-1]
    assert sum(call.fault is not None for call in clear.calls()) == 1, "neither followed nor asked again"


# -- what is between here and Exact ------------------------------------------------------------------------------------


def test_a_firewall_that_refuses_for_a_while_costs_no_row(clear: Sandbox, peace: Run) -> None:
    for path in LISTINGS.values():
        clear.fault("firewall", path=path, division=clear.divisions[0], count=1)

    run = clear.connection(divisions=clear.divisions[:2]).read(catalog(LISTINGS))

    assert_whole(run, peace, clear.divisions[:2])
    assert not [line for line in run.logs() if "scope" in line]


def test_a_firewall_that_refuses_one_listing_is_not_taken_for_a_right_that_is_missing(clear: Sandbox) -> None:
    division = clear.divisions[0]
    clear.fault("firewall", path=LISTINGS[LIST])

    run = clear.connection(divisions=[division]).read(catalog([LIST, FEED]), succeeds=False)

    assert run.statuses == {LIST: "INCOMPLETE", FEED: "COMPLETE"}
    assert set(run.failure_types) == {"transient_error"}
    assert "between here and Exact Online" in run.errors[0]
    assert "scope" not in run.errors[0]
    assert len(made_to(clear.calls(), LISTINGS[LIST], division)) == ATTEMPTS


@pytest.mark.parametrize(
    "retry_after", [None, pytest.param("seconds", marks=pytest.mark.soak), pytest.param("date", marks=pytest.mark.soak)]
)
def test_a_site_that_is_down_for_a_moment_is_waited_for_with_few_calls(
    retry_after: str | None, clear: Sandbox, peace: Run
) -> None:
    """It goes down while the listings are read; those calls that are under way then find out, and one probe after.

    That it is the site shows when a second listing fails: until then the first worker goes on, and may ask again.
    """
    workers, begins = 4, clear.now().astimezone(WALL_CLOCK)
    clear.fault(
        "maintenance",
        between=[f"{begins:%H:%M:%S}", f"{begins + timedelta(seconds=15):%H:%M:%S}"],
        after=4,
        **({} if retry_after is None else {"retry_after": retry_after}),
    )

    run = clear.connection(num_workers=workers, divisions=clear.divisions[:3]).read(catalog(LISTINGS))

    assert_whole(run, peace, clear.divisions[:3])
    refused = [call for call in clear.calls() if call.status == 503]
    assert 1 <= len(refused) <= workers + 2
    assert any("Waiting for Exact Online, which is down since" in line for line in run.logs("INFO"))


# -- with a clock that a test can turn ---------------------------------------------------------------------------------

START = datetime(2025, 3, 3, 2, 59, 50, tzinfo=timezone.utc)
"""Ten seconds before four o'clock in Amsterdam."""

SOME = ("transaction_lines", "accounts", "journals", "purchase_invoices")


@pytest.fixture(scope="module")
def books() -> Iterator[Store]:
    """The books of two companies."""
    store = Store()
    generate(store, seed=3, divisions=2, size="60", until=START)
    yield store
    store.close()


@pytest.fixture
def inside(books: Store) -> Inside:
    """A sandbox in the test's own process, whose answers take a second."""
    made = Inside(books, START, latency=1.0)
    made.box.settings.change({"page_sizes": {"sync": 6, "standard": 2, "bulk": 6}})
    return made


def assert_true_to(inside: Inside, *runs: Run) -> None:
    """Holds what some runs emitted together against the truth."""
    for stream in SOME:
        found = by_key(stream, [record for run in runs for record in run.records(stream)])
        assert_same(stream, found, inside.expected(stream))


@pytest.mark.parametrize(
    "retry_after", [None, pytest.param("seconds", marks=pytest.mark.soak), pytest.param("date", marks=pytest.mark.soak)]
)
def test_half_an_hour_of_maintenance_costs_a_call_a_minute(retry_after: str | None, inside: Inside) -> None:
    inside.box.faults.add({"kind": "maintenance", "between": ["04:00", "04:30"], "retry_after": retry_after})

    run = inside.read(configured_catalog(SOME))

    assert run.exit_code == 0
    assert_true_to(inside, run)
    down = [call["time"] for call in inside.calls() if call["status"] == 503]
    first, *minutes = Counter(moment[:16] for moment in down).values()
    assert first <= (4 if retry_after is None else 2), "two listings find out, then a probe after 15 s and 45 s"
    assert max(minutes, default=0) <= 1
    assert len(down) <= (35 if retry_after is None else 3)
    moments = [moment for moment, _ in inside.logged if 10 < moment < 1800]
    assert max(after - before for before, after in pairwise([10.0, *moments, 1800.0])) <= 60, "never silent"
    assert any("next try at" in line for line in inside.lines())


@pytest.mark.parametrize("retry_after", [None, "seconds"])
def test_more_than_three_quarters_of_an_hour_is_left_to_the_next_sync(retry_after: str | None, inside: Inside) -> None:
    inside.box.faults.add({"kind": "maintenance", "between": ["04:00", "06:00"], "retry_after": retry_after})

    run = inside.read(configured_catalog(SOME))

    assert set(run.statuses.values()) == {"INCOMPLETE"}
    assert set(run.failure_types) == {"transient_error"}
    assert 44 * 60 < run.seconds < 50 * 60
    down = Counter(call["time"][:16] for call in inside.calls() if call["status"] == 503)
    assert sum(down.values()) <= 55 + ATTEMPTS * len(SOME) * 2
    inside.box.clock.advance(4 * 3600)
    rest = inside.read(configured_catalog(SOME), run.state)
    assert rest.exit_code == 0
    assert_true_to(inside, run, rest)
    assert rest.counts.total() < sum(len(inside.expected(stream)) for stream in SOME), "it went on"


@pytest.mark.parametrize("path", ["sync/Financial/TransactionLines", "financial/Journals", "system/Divisions"])
def test_a_body_that_drips_is_given_up_and_asked_for_again(path: str, inside: Inside) -> None:
    inside.box.faults.add({"kind": "drip", "path": path, "seconds": 2, "count": 1})

    run = inside.read(configured_catalog([*SOME, "divisions"]))

    assert run.exit_code == 0
    assert_true_to(inside, run)
    assert run.seconds < 20 * 60


def test_a_listing_that_always_drips_ends_incomplete(inside: Inside) -> None:
    inside.box.faults.add({"kind": "drip", "path": "financial/Journals", "seconds": 2})

    run = inside.read(configured_catalog(SOME), divisions=inside.divisions[:1])

    assert {stream for stream, status in run.statuses.items() if status == "INCOMPLETE"} == {"journals"}
    assert set(run.failure_types) == {"transient_error"}
    assert sum(call["endpoint"] == "financial/Journals" for call in inside.calls()) == ATTEMPTS
    assert run.seconds < (ATTEMPTS + 1) * 11 * 60
