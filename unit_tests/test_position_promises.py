"""A position never says more than was read: a small model of Exact, with runs that break off at any page.

Rows change at any moment, those of lists become visible up to the lookback window later, and pages take their time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from source_exact_online.api.exact_time import AMSTERDAM
from source_exact_online.state import transitions
from source_exact_online.state.position import InProgressListing, Position
from unit_tests.exact_fakes import START, wall_ms

MINUTE = 60_000
PAGE_SIZE = 2
NIGHTS = (
    datetime(2024, 3, 31, tzinfo=timezone.utc),
    datetime(2024, 10, 27, tzinfo=timezone.utc),
    datetime(2024, 6, 15, tzinfo=timezone.utc),
)


@dataclass(frozen=True)
class Change:
    """A row's content from some moment on; moments are minutes of the night."""

    key: int
    at: int
    visible: int
    version: int


@dataclass
class Books:
    """The rows of one division, their history, and what a destination has of it."""

    night: datetime
    changes: list[Change]
    delivered: set[Change] = field(default_factory=set)

    def instant(self, minutes: int) -> int:
        return round(self.night.timestamp() * 1000) + minutes * MINUTE

    def modified(self, change: Change) -> int:
        return AMSTERDAM.from_instant(self.instant(change.at))

    def rows(self, minutes: int) -> list[Change]:
        """What can be seen at a moment: of each row the last content that has been committed."""
        seen: dict[int, Change] = {}
        for change in self.changes:
            if change.visible <= minutes:
                seen[change.key] = change
        return [seen[key] for key in sorted(seen)]

    @property
    def latest(self) -> list[Change]:
        """The content that each row has in the end."""
        return list({change.key: change for change in self.changes}.values())


def read_list(books: Books, position: Position, lookback: int, began: int, broken_after: int | None) -> Position:
    """Read a list in the order of its keys, a page every seven minutes, and break off after some pages."""
    before, found = position, position.in_progress
    if found is None or found.next_url is None:
        first, after = transitions.first_modified(before, lookback * MINUTE, AMSTERDAM), -1
        found = InProgressListing(books.instant(began), full_refresh=False)
    else:
        asked, _, last = found.next_url.partition(" after ")
        first, after = (None if asked == "all" else int(asked)), int(last)
    minute = began
    while broken_after is None or broken_after > 0:
        rows = [
            row for row in books.rows(minute) if row.key > after and (first is None or books.modified(row) >= first)
        ]
        page, more = rows[:PAGE_SIZE], len(rows) > PAGE_SIZE
        books.delivered.update(page)
        after = page[-1].key if page else after
        link = f"{'all' if first is None else first} after {after}" if more else None
        highest = transitions.highest(*(books.modified(row) for row in page))
        found = transitions.page_read(found, highest, None, link)
        if not more:
            return transitions.listing_finished(before, found, AMSTERDAM)
        position = transitions.list_checkpoint(before, found)
        minute += 7
        broken_after = None if broken_after is None else broken_after - 1
    return position


def read_feed(books: Books, position: Position, began: int, broken_after: int | None, *, full: bool) -> Position:
    """Read a feed in the order of row versions, a page every seven minutes, and break off after some pages."""
    before, resumed = position, position.in_progress
    if not full:
        version = before.row_version or 0
    else:
        version = (resumed.highest_row_version or 0) if resumed and resumed.full_refresh else 0
    found = InProgressListing(books.instant(began), full_refresh=full)
    minute = began
    while broken_after is None or broken_after > 0:
        rows = sorted((row for row in books.rows(minute) if row.version > version), key=lambda row: row.version)
        page, more = rows[:PAGE_SIZE], len(rows) > PAGE_SIZE
        books.delivered.update(page)
        version = page[-1].version if page else version
        found = transitions.page_read(found, None, version if page else None, None)
        if not more:
            return transitions.listing_finished(before, found, AMSTERDAM)
        position = transitions.feed_checkpoint(before, found)
        minute += 7
        broken_after = None if broken_after is None else broken_after - 1
    return position


def changes_of(drawn: list[tuple[int, int, int]], lookback: int) -> list[Change]:
    """Make a history of drawn changes; a row's contents are committed in their order."""
    found: list[Change] = []
    visible: dict[int, int] = {}
    for version, (at, key, late) in enumerate(sorted(drawn), start=100):
        seen = max(at + min(late, lookback), visible.get(key, at))
        if seen - at <= lookback:
            visible[key] = seen
            found.append(Change(key, at, seen, version))
    return found


MINUTES = st.integers(-60, 240).map(lambda at: at // 5 * 5)
CHANGES = st.lists(st.tuples(MINUTES, st.integers(0, 6), st.integers(0, 120)), max_size=12)
RUNS = st.lists(st.tuples(st.integers(-60, 360), st.none() | st.integers(0, 3)), max_size=8)


def in_order(runs: list[tuple[int, int | None]]) -> Iterator[tuple[int, int | None]]:
    """Runs follow each other: the next begins when the one before has ended."""
    free = -170
    for began, broken_after in [(-170, None), *sorted(runs, key=lambda run: run[0])]:
        free = max(free, began)
        yield free, broken_after
        free += 7 * 4


@settings(max_examples=150, deadline=None)
@given(night=st.sampled_from(NIGHTS), lookback=st.sampled_from([0, 10, 60, 90, 120]), drawn=CHANGES, runs=RUNS)
@example(night=NIGHTS[0], lookback=60, drawn=[(70, 0, 0), (50, 1, 25)], runs=[(72, None)])
@example(night=NIGHTS[1], lookback=90, drawn=[(130, 0, 0), (65, 1, 70)], runs=[(132, None)])
@example(night=NIGHTS[1], lookback=0, drawn=[(55, 0, 0), (70, 1, 0), (200, 2, 0)], runs=[(56, None)])
@example(night=NIGHTS[2], lookback=60, drawn=[(0, 0, 0), (-5, 1, 60)], runs=[(1, None), (51, None)])
def test_a_list_asks_for_every_row_that_was_not_read(
    night: datetime, lookback: int, drawn: list[tuple[int, int, int]], runs: list[tuple[int, int | None]]
) -> None:
    """Committed within the lookback window, that is; whatever the night and wherever the runs broke off."""
    books = Books(night, [Change(9, -180, -180, 99), *changes_of(drawn, lookback)])
    position = Position()
    for began, broken_after in in_order(runs):
        position = read_list(books, position, lookback, began, broken_after)
        if position.in_progress is None:
            first = transitions.first_modified(position, lookback * MINUTE, AMSTERDAM)
            hidden = [row for row in books.latest if first is not None and books.modified(row) < first]
            assert [row for row in hidden if row not in books.delivered] == []
    for began in (1000, 2000):  # the first may go on with an old listing
        position = read_list(books, position, lookback, began, None)

    assert set(books.latest) <= books.delivered


@settings(max_examples=150, deadline=None)
@given(
    drawn=CHANGES,
    runs=st.lists(st.tuples(st.integers(-60, 360), st.none() | st.integers(0, 3), st.booleans()), max_size=8),
)
@example(drawn=[(0, key, 0) for key in range(5)], runs=[(10, 1, True), (20, 1, False), (30, 1, True)])
def test_a_feed_asks_for_every_row_that_was_not_read(
    drawn: list[tuple[int, int, int]], runs: list[tuple[int, int | None, bool]]
) -> None:
    """In either sync mode, one after the other, and wherever the runs broke off."""
    books = Books(NIGHTS[2], changes_of(drawn, 0))
    position = Position()
    for began, broken_after, full in sorted(runs, key=lambda run: run[0]):
        if full and position.refreshed_at is not None:
            position = transitions.refresh_ended(position)
        position = read_feed(books, position, began, broken_after, full=full)
        listing = position.in_progress
        proven = transitions.highest(position.row_version, None if listing is None else listing.highest_row_version)
        assert [row for row in books.latest if row.version <= (proven or 0) and row not in books.delivered] == []
    read_feed(books, position, 1000, None, full=False)

    assert set(books.latest) <= books.delivered


@given(st.integers(0, 180), st.integers(0, 600))
def test_a_stream_without_changes_ends_up_reading_nothing_again(lookback: int, minutes: int) -> None:
    """Apart from the row that holds the cursor itself."""
    assume(minutes >= lookback)
    began, cursor = round(START.timestamp() * 1000), wall_ms("2025-03-02T08:00:00")
    first = InProgressListing(began, full_refresh=False, pages=1, highest_modified=cursor)
    second = InProgressListing(began + minutes * MINUTE, full_refresh=False, pages=1)

    position = transitions.listing_finished(Position(), first, AMSTERDAM)
    position = transitions.listing_finished(position, second, AMSTERDAM)

    assert transitions.first_modified(position, lookback * MINUTE, AMSTERDAM) == cursor
