"""A division that came to another database is read again from the start."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from unit_tests.exact_fakes import FakeClock, Run, ScriptedApi, configured, date_json, page, read, refusal, row

ACCOUNTS = "sync/CRM/Accounts"
JOURNALS = "financial/Journals"
LOG = "sync/Deleted"
MOVED, MOVED_AGAIN = "/Date(1740787200000)/", "/Date(1740990000000)/"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always(LOG, page([]))


def hide_move_dates(api: ScriptedApi) -> None:
    """The list of divisions that tells them is forbidden to the app."""
    api.always("system/Divisions", refusal(403, "Application Scope Violated"))
    api.always("hrm/Divisions", page([{"Code": 123, "Description": "x"}]))


def moved(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if "moved to another database" in line]


def first_run(api: ScriptedApi, clock: FakeClock) -> Run:
    api.on(ACCOUNTS, page([row("a", 900)])).on(JOURNALS, page([row("j")]))
    run = read(clock, configured("accounts", "journals"))
    clock.advance(3600)
    return run


def test_all_of_it_is_read_again_and_said_so(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    first = first_run(api, clock)
    api.divisions(123, DivisionMoveDate=MOVED)
    api.on(ACCOUNTS, page([row("a", 3), row("b", 4)])).on(JOURNALS, page([row("j"), row("k")]))

    run = read(clock, configured("accounts", "journals"), first.state)

    assert api.asked(ACCOUNTS)[1].filter == "Timestamp gt 1L"
    assert api.asked(JOURNALS)[1].filter is None
    assert (run.keys("accounts"), run.keys("journals")) == (["a", "b"], ["j", "k"])
    assert run.position("accounts")["row_version"] == "4"
    assert run.position("accounts")["move_date"] == MOVED
    assert [("accounts" in line, "journals" in line) for line in moved(caplog)] == [(True, False), (False, True)]
    assert all("123" in line for line in moved(caplog))


def test_it_is_read_again_from_the_start_date(api: ScriptedApi, clock: FakeClock) -> None:
    api.on(JOURNALS, page([row("j")]), page([]))
    first = read(clock, configured("journals"), start_date="2025-01-01T00:00:00Z")
    api.divisions(123, DivisionMoveDate=MOVED)

    run = read(clock, configured("journals"), first.state, start_date="2025-01-01T00:00:00Z")

    assert api.asked(JOURNALS)[1].filter == "Modified ge datetime'2025-01-01T01:00:00'"
    assert run.position("journals")["start_date"] == "2025-01-01T01:00:00.000"


def test_a_stream_whose_cursor_is_the_row_version_needs_a_refresh_and_says_so(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {"ID": "1", "Timestamp": "900", "EntityKey": "x", "EntityType": 2, "DeletedDate": None}
    api.on(LOG, page([entry]))
    first = read(clock, configured("deleted"))
    api.divisions(123, DivisionMoveDate=MOVED)

    read(clock, configured("deleted"), first.state)

    (line,) = moved(caplog)
    assert "refresh" in line
    assert "Timestamp" in line


def test_deletions_from_before_the_move_still_arrive(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_run(api, clock)
    api.on(LOG, page([{"ID": "1", "Timestamp": "950", "EntityKey": "x", "EntityType": 2, "DeletedDate": None}]))
    api.on(ACCOUNTS, page([])).on(JOURNALS, page([]))
    second = read(clock, configured("accounts", "journals"), first.state)
    api.divisions(123, DivisionMoveDate=MOVED)
    gone = {
        "ID": "2",
        "Timestamp": "3",
        "EntityKey": "a",
        "EntityType": 2,
        "DeletedDate": date_json("2025-03-03T11:30:00"),
    }
    api.on(LOG, page([gone])).on(ACCOUNTS, page([row("b", 4)]))

    run = read(clock, configured("accounts"), second.state)

    assert api.asked(LOG)[-1].filter == "Timestamp gt 1L"
    assert [(one["ID"], "_ab_cdc_deleted_at" in one) for one in run.records("accounts")] == [("a", True), ("b", False)]
    assert run.position("accounts")["deletions_read_until"]["row_version"] == "3"


def test_a_move_that_is_known_changes_nothing(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    api.divisions(123, DivisionMoveDate=MOVED)
    first = first_run(api, clock)
    api.on(ACCOUNTS, page([])).on(JOURNALS, page([]))

    read(clock, configured("accounts", "journals"), first.state)

    assert api.asked(ACCOUNTS)[1].filter == "Timestamp gt 900L"
    assert moved(caplog) == []


@pytest.mark.parametrize("mode", ["incremental", "full_refresh"])
@pytest.mark.parametrize(("stream", "path"), [("accounts", ACCOUNTS), ("journals", JOURNALS)])
def test_a_listing_of_the_old_database_is_not_gone_on_with(
    api: ScriptedApi, clock: FakeClock, stream: str, path: str, mode: str
) -> None:
    api.on(path, page([row("a", 900)], more="a"), *[refusal(500)] * 6)
    broken = read(clock, configured(stream, mode=mode))
    api.divisions(123, DivisionMoveDate=MOVED)
    api.on(path, page([row("a", 3), row("b", 4)]))

    run = read(clock, configured(stream, mode=mode), broken.state)

    assert run.keys(stream) == ["a", "b"]


def test_while_exact_does_not_tell_the_date_nothing_is_given_up(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    first = first_run(api, clock)
    hide_move_dates(api)
    api.on(ACCOUNTS, page([])).on(JOURNALS, page([]))

    run = read(clock, configured("accounts", "journals"), first.state)

    assert api.asked(ACCOUNTS)[1].filter == "Timestamp gt 900L"
    assert run.position("accounts")["move_date"] == "never"
    assert moved(caplog) == []


@pytest.mark.parametrize(
    ("before", "after", "read_again"),
    [
        (None, None, False),
        (None, MOVED, True),
        (MOVED, MOVED, False),
        (MOVED, MOVED_AGAIN, True),
    ],
)
def test_a_date_is_compared_once_it_is_told_again(
    api: ScriptedApi, clock: FakeClock, before: str | None, after: str | None, read_again: bool
) -> None:
    api.divisions(123, DivisionMoveDate=before)
    first = first_run(api, clock)
    hide_move_dates(api)
    api.always(ACCOUNTS, page([])).always(JOURNALS, page([]))
    second = read(clock, configured("accounts", "journals"), first.state)
    api.divisions(123, DivisionMoveDate=after)

    read(clock, configured("accounts", "journals"), second.state)

    assert [one.filter for one in api.asked(ACCOUNTS)[1:]] == [
        "Timestamp gt 900L",
        "Timestamp gt 1L" if read_again else "Timestamp gt 900L",
    ]


@pytest.mark.parametrize(("after", "read_again"), [(None, False), (MOVED, True)])
def test_a_date_that_was_never_told_before_counts_as_a_move(
    api: ScriptedApi, clock: FakeClock, after: str | None, read_again: bool
) -> None:
    """Nobody can tell whether rows were read before it."""
    hide_move_dates(api)
    first = first_run(api, clock)
    api.divisions(123, DivisionMoveDate=after)
    api.always(ACCOUNTS, page([])).always(JOURNALS, page([]))

    second = read(clock, configured("accounts", "journals"), first.state)
    read(clock, configured("accounts", "journals"), second.state)

    filters: list[Any] = [one.filter for one in api.asked(ACCOUNTS)[1:]]
    assert filters == ["Timestamp gt 1L" if read_again else "Timestamp gt 900L"] * 2


def test_the_warning_is_a_warning(api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    first = first_run(api, clock)
    api.divisions(123, DivisionMoveDate=MOVED).always(ACCOUNTS, page([])).always(JOURNALS, page([]))

    read(clock, configured("accounts"), first.state)

    assert [one.levelno for one in caplog.records if "moved to another" in one.message] == [logging.WARNING]
