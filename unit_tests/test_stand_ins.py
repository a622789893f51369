"""Feeds that a site may not know: their standard endpoints serve the streams there."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from unit_tests.exact_fakes import FakeClock, Run, ScriptedApi, configured, date_json, page, read, refusal

FEED = "sync/Financial/SalesEntries"
HEADERS = "salesentry/SalesEntries"
LINES = "salesentry/SalesEntryLines"
STREAMS = ("sales_entries", "sales_entry_lines")
UNKNOWN = refusal(404, "Resource not found for the segment 'SalesEntries'.")
MODIFIED = "2025-03-01T10:00:00"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123)


def entry(key: str, modified: str = MODIFIED, **columns: Any) -> dict[str, Any]:
    return {"EntryID": key, "Modified": date_json(modified), **columns}


def first_sync(api: ScriptedApi, clock: FakeClock, *streams: str) -> Run:
    api.on(FEED, UNKNOWN)
    api.on(HEADERS, page([entry("e")]))
    api.on(LINES, page([{"ID": "l", "EntryID": "e"}]))
    run = read(clock, configured(*streams or STREAMS))
    clock.advance(3600)
    return run


def test_the_standard_endpoints_are_read_where_the_feed_is_not_known(
    api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    run = first_sync(api, clock)

    modified = "2025-03-01T09:00:00.000+00:00"
    assert run.records("sales_entries") == [{"Division": 123, "ID": "e", "EntryID": "e", "Modified": modified}]
    assert run.records("sales_entry_lines") == [{"Division": 123, "ID": "l", "EntryID": "e"}]
    assert run.statuses == dict.fromkeys(STREAMS, "COMPLETE")
    warned = [one.message for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "does not know" in warned[0]
    assert "instead" in warned[0]


def test_columns_that_they_lack_are_not_asked_for(api: ScriptedApi, clock: FakeClock) -> None:
    api.on(FEED, UNKNOWN)
    api.always(HEADERS, page([entry("e")]))
    api.always(LINES, page([{"ID": "l", "EntryID": "e"}]))

    read(clock, configured(*STREAMS, columns=["ID", "AmountDC", "Currency", "GLAccount", "Timestamp"]))

    assert set(api.asked(HEADERS)[0].select) == {"EntryID", "Modified", "AmountDC", "Currency"}
    assert set(api.asked(LINES)[0].select) == {"ID", "EntryID", "AmountDC", "GLAccount"}


def test_they_are_kept_to(api: ScriptedApi, clock: FakeClock) -> None:
    """The feed's keys may differ: rows read from both would be there twice."""
    first = first_sync(api, clock)
    later = "2025-03-03T10:30:00"
    lines = {"SalesEntryLines": {"results": [{"ID": "l", "EntryID": "e"}, {"ID": "m", "EntryID": "e"}]}}
    api.serve(HEADERS, lambda sent: page([entry("e", later, **(lines if "$expand" in sent.options else {}))]))

    run = read(clock, configured(*STREAMS), first.state)

    assert len(api.asked(FEED)) == 1
    assert run.keys("sales_entries") == ["e"]
    assert run.keys("sales_entry_lines") == ["l", "m"]
    assert len(api.asked(LINES)) == 1


def test_a_stream_that_is_added_later_goes_with_the_other(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "sales_entries")
    api.on(HEADERS, page([]))
    api.on(LINES, page([{"ID": "l", "EntryID": "e"}]))

    run = read(clock, configured(*STREAMS), first.state)

    assert len(api.asked(FEED)) == 1
    assert run.keys("sales_entry_lines") == ["l"]


def test_a_stand_in_is_resumed(api: ScriptedApi, clock: FakeClock) -> None:
    api.on(FEED, UNKNOWN)
    api.on(HEADERS, page([entry("e")], more="7"), *[refusal(500)] * 6, page([entry("f")]))
    broken = read(clock, configured("sales_entries"))

    run = read(clock, configured("sales_entries"), broken.state)

    assert (broken.keys("sales_entries"), run.keys("sales_entries")) == (["e"], ["f"])
    assert api.asked(HEADERS)[-1].options["$skiptoken"] == "7"


@pytest.mark.parametrize("moved", [None, date_json("2025-03-03T10:30:00")])
def test_a_feed_that_was_there_before_has_no_stand_in(api: ScriptedApi, clock: FakeClock, moved: str | None) -> None:
    api.on(FEED, page([{**entry("e"), "ID": "i", "Timestamp": "5", "LineNumber": 0}]), UNKNOWN)
    first = read(clock, configured("sales_entries"))
    api.divisions(123, DivisionMoveDate=moved)

    run = read(clock, configured("sales_entries"), first.state)

    assert run.statuses == {"sales_entries": "INCOMPLETE"}
    assert api.asked(HEADERS) == []


@pytest.mark.parametrize("answer", [refusal(403, "Forbidden"), refusal(403, "Forbidden - Application Scope Violated.")])
def test_a_feed_that_is_forbidden_has_no_stand_in(api: ScriptedApi, clock: FakeClock, answer: Any) -> None:
    api.on(FEED, answer)

    run = read(clock, configured(*STREAMS))

    assert len(api.asked()) == 1
    assert set(run.statuses.values()) == {"INCOMPLETE"}


def test_where_neither_is_known_the_streams_are_skipped(api: ScriptedApi, clock: FakeClock) -> None:
    for path in (FEED, HEADERS, LINES):
        api.on(path, refusal(404))

    run = read(clock, configured(*STREAMS))

    assert run.statuses == dict.fromkeys(STREAMS, "INCOMPLETE")
    assert "does not know the endpoint" in str(run.error)
    assert len(api.asked()) == 3


def test_each_division_for_itself(api: ScriptedApi, clock: FakeClock) -> None:
    api.divisions(123, 456)
    api.on(FEED, UNKNOWN, division=123)
    api.on(FEED, page([{**entry("g"), "ID": "i", "Timestamp": "5", "LineNumber": 0}]), division=456)
    api.on(HEADERS, page([entry("e")]))

    run = read(clock, configured("sales_entries"), num_workers=4)

    assert {(one["Division"], one["ID"]) for one in run.records("sales_entries")} == {(123, "e"), (456, "i")}
    assert run.statuses == {"sales_entries": "COMPLETE"}
