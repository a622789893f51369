"""Every rule that moves a position, as one table: the position before, what happens, the position after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from source_exact_online.api.divisions import NEVER_MOVED
from source_exact_online.api.exact_time import AMSTERDAM
from source_exact_online.state import transitions
from source_exact_online.state.position import DeletionsRead, InProgressListing, Position
from source_exact_online.state.transitions import FIRST_ROW_VERSION, LONG_AGO
from unit_tests.exact_fakes import START, wall_ms

MINUTE = 60_000
HOUR = 60 * MINUTE
NOW = round(START.timestamp() * 1000)
"""09:00 UTC on 3 March 2025, which Exact's clock shows as 10:00."""

NOON = wall_ms("2024-06-15T12:00:00")
JANUARY, FEBRUARY, MARCH = (
    wall_ms("2025-01-01T00:00:00"),
    wall_ms("2025-02-01T00:00:00"),
    wall_ms("2025-03-01T00:00:00"),
)
MOVED, MOVED_AGAIN = "/Date(1740787200000)/", "/Date(1740990000000)/"
URL = "https://start.exactonline.nl/api/v1/123/financial/Journals?$skiptoken=7"

Event = Callable[[Position], object]


# -- events --------------------------------------------------------------------------------------------------------


def asks(lookback_minutes: int = 120) -> Event:
    return lambda position: transitions.first_modified(position, lookback_minutes * MINUTE, AMSTERDAM)


def division_seen(move_date: str | None) -> Event:
    return lambda position: transitions.division_seen(position, move_date)


def start_date_set(start_date: int | None) -> Event:
    return lambda position: transitions.start_date_set(position, start_date)


def begun_anew() -> Event:
    return transitions.begun_anew


def columns_chosen(full_columns: bool) -> Event:
    return lambda position: transitions.columns_chosen(position, full_columns)


def deletions_tracked(now: int = NOW) -> Event:
    return lambda position: transitions.deletions_tracked(position, now)


def feed_read(found: InProgressListing) -> Event:
    return lambda position: transitions.feed_checkpoint(position, found)


def list_read(found: InProgressListing) -> Event:
    return lambda position: transitions.list_checkpoint(position, found)


def finished(found: InProgressListing) -> Event:
    return lambda position: transitions.listing_finished(position, found, AMSTERDAM)


def log_read(found: InProgressListing, first: int | None = None) -> Event:
    return lambda position: transitions.deletions_read(position, found, first)


def loaded(moment: datetime = START) -> Event:
    return lambda position: transitions.is_from_the_future(position, moment, AMSTERDAM)


def listing(
    modified: int | None = None, row_version: int | None = None, *, full_refresh: bool = False, **fields: Any
) -> InProgressListing:
    """A listing that began now and has read a page."""
    found = InProgressListing(NOW, full_refresh, None, 1, modified, row_version)
    return replace(found, **fields)


def case(before: Position, event: Event, after: object, reads: str) -> Any:
    return pytest.param(before, event, after, id=reads)


KNOWN = Position(
    cursor=MARCH,
    row_version=70,
    last_read_at=NOW - HOUR,
    cursor_unchanged_since=NOW - 2 * HOUR,
    start_date=JANUARY,
    move_date=MOVED,
    deletions=DeletionsRead(NOW - HOUR, 60),
)
"""A position that knows something of everything."""

HALFWAY = listing(FEBRUARY, 75, next_url=URL)
HALFWAY_FULL = replace(HALFWAY, full_refresh=True)
REFRESHED = Position(start_date=JANUARY, move_date=MOVED, deletions=DeletionsRead(NOW), refreshed_at=NOW)

FIRST_MODIFIED = [
    case(Position(), asks(), None, "a first read -> asks for everything"),
    case(Position(row_version=5, last_read_at=NOW), asks(), None, "no row had a date -> asks for everything"),
    case(Position(cursor=NOON), asks(120), NOON - 2 * HOUR, "a cursor -> the window before it is read again"),
    case(Position(cursor=NOON), asks(0), NOON, "no window -> from the cursor, whose row is read again"),
    case(
        Position(cursor=NOON, cursor_unchanged_since=NOW, last_read_at=NOW + HOUR // 2),
        asks(120),
        NOON - HOUR * 3 // 2,
        "unchanged for half an hour -> the window shrinks by it",
    ),
    case(
        Position(cursor=NOON, cursor_unchanged_since=NOW, last_read_at=NOW + 2 * HOUR),
        asks(120),
        NOON,
        "unchanged for as long as the window -> nothing but the cursor's row",
    ),
    case(
        Position(cursor=NOON, cursor_unchanged_since=NOW, last_read_at=NOW + 99 * HOUR),
        asks(120),
        NOON,
        "unchanged for days -> never later than the cursor",
    ),
    case(
        Position(cursor=NOON, cursor_unchanged_since=NOW, last_read_at=NOW - HOUR),
        asks(120),
        NOON - 2 * HOUR,
        "a clock that was set back -> the window is not wider",
    ),
    case(
        Position(cursor=NOON, last_read_at=NOW),
        asks(120),
        NOON - 2 * HOUR,
        "not known since when it stands still -> the whole window",
    ),
    case(
        Position(cursor=NOON, cursor_unchanged_since=NOW - 99 * HOUR),
        asks(120),
        NOON - 2 * HOUR,
        "not known when it was last read -> the whole window",
    ),
    case(
        Position(cursor=wall_ms("2024-10-27T02:30:00")),
        asks(0),
        wall_ms("2024-10-27T02:00:00"),
        "a cursor in the hour shown twice -> all of that hour",
    ),
    case(
        Position(cursor=wall_ms("2024-10-27T03:10:00")),
        asks(30),
        wall_ms("2024-10-27T02:40:00"),
        "a window into the hour shown twice -> as wide as the clock's face has it",
    ),
    case(
        Position(cursor=wall_ms("2024-10-27T03:10:00")),
        asks(90),
        wall_ms("2024-10-27T01:40:00"),
        "a window over the hour shown twice -> no narrower on the clock's face",
    ),
    case(
        Position(cursor=wall_ms("2024-03-31T03:10:00")),
        asks(30),
        wall_ms("2024-03-31T01:40:00"),
        "the March night -> the hour that never was is no part of the window",
    ),
    case(
        Position(cursor=NOON, row_version=7, move_date=MOVED, start_date=JANUARY, deletions=DeletionsRead(NOW, 9)),
        columns_chosen(True),
        Position(move_date=MOVED, start_date=JANUARY, deletions=DeletionsRead(NOW, 9), full_columns=True),
        "all columns from now on -> nothing of the new listing is read",
    ),
    case(
        Position(cursor=NOON, in_progress=listing(NOON), full_columns=True),
        columns_chosen(False),
        Position(),
        "no longer all columns -> nothing of the feed is read",
    ),
    case(Position(), columns_chosen(True), Position(full_columns=True), "all columns from the first read on -> known"),
    case(
        Position(cursor=NOON, full_columns=True),
        columns_chosen(True),
        Position(cursor=NOON, full_columns=True),
        "all columns as before -> goes on",
    ),
    case(
        Position(cursor=NOON, move_date=MOVED, full_columns=True),
        division_seen(MOVED_AGAIN),
        Position(move_date=MOVED_AGAIN, full_columns=True),
        "a move of a division read with all columns -> still those",
    ),
    case(
        Position(cursor=NOON, start_date=FEBRUARY, full_columns=True),
        start_date_set(JANUARY),
        Position(start_date=JANUARY, full_columns=True),
        "an earlier start with all columns -> still those",
    ),
    case(
        Position(cursor=NOON, full_columns=True),
        list_read(listing(NOON, full_refresh=True)),
        Position(full_columns=True, in_progress=listing(NOON, full_refresh=True)),
        "a full refresh with all columns -> still those",
    ),
    case(Position(cursor=LONG_AGO), asks(120), LONG_AGO, "the first date that Exact knows -> asks from there"),
    case(Position(cursor=LONG_AGO + HOUR), asks(120), LONG_AGO, "soon after it -> no earlier than that"),
    case(
        Position(cursor=wall_ms("0001-01-01T00:00:00")),
        asks(0),
        LONG_AGO,
        "a date that means none -> no earlier either",
    ),
    case(Position(cursor=NOON), asks(10**9), LONG_AGO, "a window of ages -> no earlier either"),
]

DIVISION_SEEN = [
    case(Position(), division_seen(None), Position(), "nothing known, nothing told -> nothing known"),
    case(Position(), division_seen(NEVER_MOVED), Position(move_date=NEVER_MOVED), "nothing read, never moved -> known"),
    case(Position(), division_seen(MOVED), Position(move_date=MOVED), "nothing read, a date -> known"),
    case(
        Position(deletions=DeletionsRead(NOW, 60)),
        division_seen(MOVED),
        Position(move_date=MOVED, deletions=DeletionsRead(NOW, 60)),
        "only deletions count yet, a date -> known",
    ),
    case(KNOWN, division_seen(MOVED), KNOWN, "the same date -> unchanged"),
    case(KNOWN, division_seen(None), KNOWN, "the date is not told this time -> unchanged"),
    case(
        replace(KNOWN, move_date=None),
        division_seen(NEVER_MOVED),
        replace(KNOWN, move_date=NEVER_MOVED),
        "unknown, and it was never moved -> known, all else as it was",
    ),
    case(
        replace(KNOWN, move_date=NEVER_MOVED),
        division_seen(MOVED),
        Position(move_date=MOVED, deletions=DeletionsRead(NOW - HOUR, FIRST_ROW_VERSION)),
        "never moved, and a date -> read again from the start, the log as well",
    ),
    case(
        KNOWN,
        division_seen(MOVED_AGAIN),
        Position(move_date=MOVED_AGAIN, deletions=DeletionsRead(NOW - HOUR, FIRST_ROW_VERSION)),
        "another date -> read again from the start, the log as well",
    ),
    case(
        replace(KNOWN, move_date=None),
        division_seen(MOVED),
        Position(move_date=MOVED, deletions=DeletionsRead(NOW - HOUR, FIRST_ROW_VERSION)),
        "unknown, and a date appears -> read again from the start, as it may be a move since",
    ),
    case(
        Position(cursor=MARCH, row_version=70, move_date=NEVER_MOVED),
        division_seen(MOVED),
        Position(move_date=MOVED),
        "a move of a stream without deletions -> nothing is left",
    ),
    case(
        Position(in_progress=HALFWAY, move_date=MOVED),
        division_seen(MOVED_AGAIN),
        Position(move_date=MOVED_AGAIN),
        "a move in mid-listing -> it is not gone on with",
    ),
    case(
        replace(REFRESHED, deletions=None),
        division_seen(MOVED_AGAIN),
        Position(move_date=MOVED_AGAIN),
        "a move during a full refresh -> the division is refreshed again",
    ),
]

START_DATE_SET = [
    case(Position(), start_date_set(None), Position(), "nothing read, none -> none"),
    case(Position(), start_date_set(MARCH), Position(start_date=MARCH), "nothing read, one -> known"),
    case(Position(start_date=MARCH), start_date_set(None), Position(), "nothing read, one taken away -> none"),
    case(KNOWN, start_date_set(JANUARY), KNOWN, "the same -> unchanged"),
    case(
        KNOWN,
        start_date_set(JANUARY - 1),
        Position(start_date=JANUARY - 1, move_date=MOVED, deletions=KNOWN.deletions),
        "earlier -> read again from there; moves and deletions stay known",
    ),
    case(
        KNOWN,
        start_date_set(None),
        Position(move_date=MOVED, deletions=KNOWN.deletions),
        "taken away -> read again from the start",
    ),
    case(KNOWN, start_date_set(FEBRUARY), KNOWN, "later, and behind the cursor -> unchanged, as all of it was read"),
    case(
        KNOWN,
        start_date_set(MARCH + 1),
        replace(KNOWN, start_date=MARCH + 1),
        "later, and ahead of the cursor -> known, as rows are left out from now on",
    ),
    case(
        replace(KNOWN, start_date=None),
        start_date_set(FEBRUARY),
        replace(KNOWN, start_date=None),
        "added, and behind the cursor -> unchanged, as all of it was read",
    ),
    case(
        replace(KNOWN, start_date=None),
        start_date_set(MARCH),
        replace(KNOWN, start_date=None),
        "added, and at the cursor -> unchanged, as all before it was read",
    ),
    case(
        replace(KNOWN, start_date=None),
        start_date_set(MARCH + 1),
        replace(KNOWN, start_date=MARCH + 1),
        "added, and ahead of the cursor -> known, as rows are left out from now on",
    ),
    case(
        Position(in_progress=HALFWAY),
        start_date_set(FEBRUARY),
        Position(in_progress=HALFWAY, start_date=FEBRUARY),
        "added during a first read -> known, as the rest of it is left out",
    ),
    case(
        Position(in_progress=HALFWAY, start_date=MARCH),
        start_date_set(FEBRUARY),
        Position(start_date=FEBRUARY),
        "earlier in mid-listing -> it is not gone on with",
    ),
]

DELETIONS = [
    case(
        Position(),
        deletions_tracked(NOW),
        Position(deletions=DeletionsRead(NOW)),
        "tracked before a first read -> they count from now",
    ),
    case(
        Position(last_read_at=NOW - HOUR),
        deletions_tracked(NOW),
        Position(last_read_at=NOW - HOUR, deletions=DeletionsRead(NOW - HOUR)),
        "tracked later -> from the last listing on",
    ),
    case(
        Position(in_progress=replace(HALFWAY, started_at=NOW - HOUR)),
        deletions_tracked(NOW),
        Position(in_progress=replace(HALFWAY, started_at=NOW - HOUR), deletions=DeletionsRead(NOW - HOUR)),
        "tracked in mid-listing -> from its start on",
    ),
    case(
        Position(refreshed_at=NOW - HOUR),
        deletions_tracked(NOW),
        Position(refreshed_at=NOW - HOUR, deletions=DeletionsRead(NOW - HOUR)),
        "tracked after a part of a full refresh -> from its start on",
    ),
    case(
        Position(row_version=70),
        deletions_tracked(NOW),
        Position(row_version=70, deletions=DeletionsRead(NOW, FIRST_ROW_VERSION)),
        "tracked when rows were read nobody knows when -> all of the log",
    ),
    case(KNOWN, deletions_tracked(NOW), KNOWN, "tracked already -> unchanged"),
    case(
        Position(deletions=DeletionsRead(NOW - HOUR)),
        log_read(listing(row_version=90)),
        Position(deletions=DeletionsRead(NOW, 90)),
        "the log is read for the first time -> its row version",
    ),
    case(
        KNOWN,
        log_read(listing(row_version=90)),
        replace(KNOWN, deletions=DeletionsRead(NOW, 90)),
        "the log is read -> its row version and the start of the reading; all else as it was",
    ),
    case(
        KNOWN, log_read(listing()), replace(KNOWN, deletions=DeletionsRead(NOW, 60)), "nothing was deleted -> read then"
    ),
    case(
        KNOWN,
        log_read(listing(row_version=90), 75),
        replace(KNOWN, deletions=DeletionsRead(NOW, 90)),
        "deleted after the last row that was read -> rows go on there",
    ),
    case(
        KNOWN,
        log_read(listing(row_version=90), 65),
        replace(KNOWN, row_version=65, deletions=DeletionsRead(NOW, 90)),
        "deleted before it -> rows from there on again, as the deleted one may have come back",
    ),
    case(
        Position(cursor=MARCH),
        log_read(listing(row_version=90), 65),
        Position(cursor=MARCH, deletions=DeletionsRead(NOW, 90)),
        "deleted from a list -> it has no row version",
    ),
    case(
        Position(),
        log_read(listing(row_version=90)),
        Position(deletions=DeletionsRead(NOW, 90)),
        "nothing was known of the log -> its row version",
    ),
    case(
        KNOWN,
        finished(listing(MARCH, 90, full_refresh=True)),
        REFRESHED,
        "a full refresh -> they are news from its start on, told by date",
    ),
    case(
        Position(move_date=MOVED, deletions=DeletionsRead(NOW - HOUR, FIRST_ROW_VERSION)),
        log_read(listing(row_version=4)),
        Position(move_date=MOVED, deletions=DeletionsRead(NOW, 4)),
        "the log after a move -> the new database's row version, which is lower",
    ),
]

MID_LISTING = [
    case(
        replace(KNOWN, in_progress=HALFWAY),
        begun_anew(),
        KNOWN,
        "a listing that never goes on -> forgotten, all else as it was",
    ),
    case(
        KNOWN,
        feed_read(listing(MARCH + 9, 75)),
        replace(KNOWN, row_version=75),
        "a feed's page -> its row version; the cursor waits for the end",
    ),
    case(KNOWN, feed_read(listing()), KNOWN, "a feed's page without rows -> unchanged"),
    case(KNOWN, feed_read(listing(row_version=3)), KNOWN, "a feed's page of lower versions -> never goes back"),
    case(
        replace(KNOWN, in_progress=HALFWAY_FULL),
        feed_read(listing(MARCH, 75)),
        replace(KNOWN, row_version=75),
        "a feed's page after a full refresh that broke off -> that is over",
    ),
    case(
        KNOWN,
        feed_read(HALFWAY_FULL),
        Position(
            start_date=JANUARY,
            move_date=MOVED,
            deletions=KNOWN.deletions,
            in_progress=replace(HALFWAY_FULL, next_url=None),
        ),
        "a page of a feed's full refresh -> no cursor, and no link, as it goes on by row version",
    ),
    case(
        KNOWN, list_read(HALFWAY), replace(KNOWN, in_progress=HALFWAY), "a list's page -> the old cursor and the link"
    ),
    case(
        Position(),
        list_read(HALFWAY),
        Position(in_progress=HALFWAY),
        "a page of a list's first read -> no cursor and the link",
    ),
    case(
        KNOWN,
        list_read(HALFWAY_FULL),
        Position(start_date=JANUARY, move_date=MOVED, deletions=KNOWN.deletions, in_progress=HALFWAY_FULL),
        "a page of a list's full refresh -> no cursor and the link",
    ),
]

FINISHED = [
    case(
        Position(),
        finished(listing(MARCH)),
        Position(cursor=MARCH, last_read_at=NOW, cursor_unchanged_since=NOW),
        "a first read -> the highest Modified",
    ),
    case(
        Position(),
        finished(listing()),
        Position(last_read_at=NOW, cursor_unchanged_since=NOW),
        "a first read without rows -> no cursor, as that proves nothing",
    ),
    case(
        Position(),
        finished(listing(wall_ms("2025-03-03T14:00:00"))),
        Position(cursor=wall_ms("2025-03-03T10:00:00"), last_read_at=NOW, cursor_unchanged_since=NOW),
        "rows changed while it ran -> no later than its start",
    ),
    case(
        KNOWN,
        finished(listing(MARCH + 9, 75)),
        replace(KNOWN, cursor=MARCH + 9, row_version=75, last_read_at=NOW, cursor_unchanged_since=NOW),
        "newer rows -> cursor and row version go on",
    ),
    case(
        KNOWN,
        finished(listing()),
        replace(KNOWN, last_read_at=NOW),
        "no rows -> the cursor stands still since then",
    ),
    case(
        KNOWN,
        finished(listing(FEBRUARY, 3)),
        replace(KNOWN, last_read_at=NOW),
        "older rows -> cursor and row version never go back",
    ),
    case(
        replace(KNOWN, cursor_unchanged_since=None),
        finished(listing()),
        replace(KNOWN, last_read_at=NOW, cursor_unchanged_since=NOW),
        "not known since when the cursor stands still -> since now",
    ),
    case(
        replace(KNOWN, in_progress=HALFWAY, refreshed_at=NOW - HOUR),
        finished(listing(MARCH)),
        replace(KNOWN, last_read_at=NOW),
        "in progress -> no longer; the mark of a full refresh goes too",
    ),
    case(
        replace(KNOWN, deletions=None),
        finished(listing(MARCH, 90, full_refresh=True)),
        replace(REFRESHED, deletions=None),
        "a full refresh without deletions -> only the mark",
    ),
    case(REFRESHED, transitions.refresh_ended, replace(REFRESHED, refreshed_at=None), "a refresh ended -> no mark"),
    case(KNOWN, transitions.refresh_ended, KNOWN, "no refresh -> unchanged"),
]

FUTURE = [
    case(Position(), loaded(), False, "nothing -> not ahead"),
    case(KNOWN, loaded(), False, "all of it past -> not ahead"),
    case(Position(cursor=wall_ms("2025-03-03T10:00:00")), loaded(), False, "a cursor of this moment -> not ahead"),
    case(Position(cursor=wall_ms("2025-03-03T10:00:00.001")), loaded(), True, "a later cursor -> ahead"),
    case(Position(last_read_at=NOW + 1), loaded(), True, "a later listing -> ahead"),
    case(Position(cursor_unchanged_since=NOW + 1), loaded(), True, "a cursor that will stand still -> ahead"),
    case(Position(refreshed_at=NOW + 1), loaded(), True, "a later full refresh -> ahead"),
    case(Position(deletions=DeletionsRead(NOW + 1)), loaded(), True, "a later reading of the log -> ahead"),
    case(Position(in_progress=listing(started_at=NOW + 1)), loaded(), True, "a listing that will begin -> ahead"),
    case(Position(last_read_at=NOW + HOUR), loaded(START + timedelta(hours=1)), False, "within tolerance -> not ahead"),
    case(Position(start_date=NOON * 2, row_version=2**62), loaded(), False, "what is no moment -> not ahead"),
]


@pytest.mark.parametrize(
    ("before", "event", "after"),
    [*FIRST_MODIFIED, *DIVISION_SEEN, *START_DATE_SET, *DELETIONS, *MID_LISTING, *FINISHED, *FUTURE],
)
def test_a_position_moves_like_this(before: Position, event: Event, after: object) -> None:
    assert event(before) == after


@pytest.mark.parametrize(
    ("modified", "row_version", "next_url", "after"),
    [
        (MARCH, 80, URL, listing(MARCH, 80, pages=2, next_url=URL)),
        (JANUARY, 3, None, listing(FEBRUARY, 75, pages=2)),
        (None, None, URL, listing(FEBRUARY, 75, pages=2, next_url=URL)),
    ],
    ids=["newer rows -> the highest of each", "older rows -> as before", "no rows -> as before"],
)
def test_a_listing_moves_with_each_page(
    modified: int | None, row_version: int | None, next_url: str | None, after: InProgressListing
) -> None:
    before = listing(FEBRUARY, 75, next_url="https://start.exactonline.nl/the/page/that/was/read")

    assert transitions.page_read(before, modified, row_version, next_url) == after


def test_a_first_page_begins_the_highest_values() -> None:
    after = transitions.page_read(InProgressListing(NOW, full_refresh=False), MARCH, 80, URL)

    assert after == listing(MARCH, 80, next_url=URL)


def test_the_clock_is_that_of_the_site() -> None:
    """09:00 UTC is 09:00 in London in March."""
    london = replace(AMSTERDAM, zone="Europe/London")

    after = transitions.listing_finished(Position(), listing(wall_ms("2025-03-03T14:00:00")), london)

    assert after.cursor == wall_ms("2025-03-03T09:00:00")
    assert transitions.is_from_the_future(Position(cursor=wall_ms("2025-03-03T09:30:00")), START, london)


def test_the_moment_of_a_state_may_have_any_zone() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert not loaded(START.astimezone(tokyo))(Position(last_read_at=NOW))
    assert loaded(START.astimezone(tokyo))(Position(last_read_at=NOW + 1))
