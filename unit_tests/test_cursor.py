"""Where a listing begins: nothing that was committed late is missed, and nothing is read again for ever."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from source_exact_online.api.exact_time import AMSTERDAM
from source_exact_online.state.position import Pass, Position
from source_exact_online.state.transitions import advanced, filter_from, finished
from unit_tests.exact_fakes import row, wall_ms
from unit_tests.fake_clock import START

MINUTE = 60_000
HOUR = 60 * MINUTE
NIGHTS = (
    datetime(2024, 3, 31, tzinfo=timezone.utc),
    datetime(2024, 10, 27, tzinfo=timezone.utc),
    datetime(2024, 6, 15, tzinfo=timezone.utc),
)


def epoch(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def done(began: int, highest: int | None, *, full: bool = False, version: int | None = None) -> Pass:
    return Pass(began=began, full=full, pages=1, highest_modified=highest, highest_version=version)


class TestBegin:
    def test_a_first_read_has_no_filter(self) -> None:
        assert filter_from(Position(), 120 * MINUTE) is None
        assert filter_from(Position(version=5), 120 * MINUTE) is None

    def test_the_window_before_the_cursor_is_read_again(self) -> None:
        position = Position(modified=wall_ms("2024-06-15T12:00:00"))

        assert filter_from(position, 120 * MINUTE) == wall_ms("2024-06-15T10:00:00")
        assert filter_from(position, 0) == wall_ms("2024-06-15T12:00:00")

    @pytest.mark.parametrize(
        ("hours", "begin"), [(0, "10:00"), (0.5, "10:30"), (1.5, "11:30"), (2, "12:00"), (99, "12:00")]
    )
    def test_the_window_shrinks_while_the_cursor_stands_still(self, hours: float, begin: str) -> None:
        since = epoch(START)
        position = Position(modified=wall_ms("2024-06-15T12:00:00"), since=since, seen=since + round(hours * HOUR))

        assert filter_from(position, 120 * MINUTE) == wall_ms(f"2024-06-15T{begin}:00")

    @pytest.mark.parametrize("modified", ["0001-01-01T00:00:00", "1753-01-01T00:00:00", "1753-01-01T01:00:00"])
    @pytest.mark.parametrize("lookback", [0, 120 * MINUTE, 10**9 * MINUTE])
    def test_it_never_begins_before_the_first_date_that_exact_knows(self, modified: str, lookback: int) -> None:
        begin = filter_from(Position(modified=wall_ms(modified)), lookback)

        assert wall_ms("1753-01-01T00:00:00") <= (begin or 0) <= wall_ms("1753-01-01T01:00:00")

    def test_clocks_that_went_back_do_not_widen_the_window(self) -> None:
        position = Position(modified=wall_ms("2024-06-15T12:00:00"), since=5 * HOUR, seen=HOUR)

        assert filter_from(position, 120 * MINUTE) == wall_ms("2024-06-15T10:00:00")

    @pytest.mark.parametrize("minute", ["00", "30", "59"])
    def test_a_cursor_in_the_hour_shown_twice_reads_all_of_it_again(self, minute: str) -> None:
        position = Position(modified=wall_ms(f"2024-10-27T02:{minute}:00"))

        begin = filter_from(position, 0)

        assert begin is not None
        assert begin <= wall_ms("2024-10-27T02:00:00")

    def test_the_hour_that_march_skips_is_not_part_of_the_window(self) -> None:
        """01:50 is twenty minutes before 03:10 that night."""
        position = Position(modified=wall_ms("2024-03-31T03:10:00"))

        assert filter_from(position, 30 * MINUTE) == wall_ms("2024-03-31T01:40:00")


class TestEnd:
    def test_the_cursor_is_the_highest_modified_seen(self) -> None:
        began = epoch(START)
        position = finished(
            Position(modified=wall_ms("2025-03-01T00:00:00")), done(began, wall_ms("2025-03-02T08:00:00"))
        )

        assert position.modified == wall_ms("2025-03-02T08:00:00")
        assert (position.since, position.seen) == (began, began)

    def test_it_is_not_later_than_the_begin_of_the_pass(self) -> None:
        """Rows changed while a pass of hours went on may lie on pages it had already left."""
        position = finished(Position(), done(epoch(START), wall_ms("2025-03-03T14:00:00")))

        assert position.modified == wall_ms("2025-03-03T10:00:00"), "09:00 UTC in Amsterdam"

    def test_it_does_not_go_back_when_nothing_changed(self) -> None:
        before = Position(modified=wall_ms("2025-03-02T08:00:00"), version=7, since=1, seen=2)

        after = finished(before, done(epoch(START), wall_ms("2025-03-02T07:00:00")))

        assert (after.modified, after.version, after.since, after.seen) == (before.modified, 7, 1, epoch(START))

    def test_an_empty_listing_proves_nothing(self) -> None:
        assert finished(Position(), done(epoch(START), None)).modified is None

    def test_the_row_version_is_the_highest_seen(self) -> None:
        assert finished(Position(version=5), done(epoch(START), None, version=9)).version == 9
        assert finished(Position(version=5), done(epoch(START), None, version=3)).version == 5
        assert finished(Position(version=5), done(epoch(START), None)).version == 5

    def test_a_finished_pass_is_no_longer_under_way(self) -> None:
        assert finished(Position(under_way=Pass(1, full=False, next_url="x")), done(2, 3)).under_way is None

    def test_a_full_refresh_leaves_no_cursor(self) -> None:
        after = finished(Position(), done(epoch(START), wall_ms("2025-03-02T08:00:00"), full=True, version=9))

        assert (after.modified, after.version) == (None, None)


@settings(max_examples=300, deadline=None)
@given(
    night=st.sampled_from(NIGHTS),
    lookback=st.sampled_from([0, 10, 60, 90, 120]),
    rows=st.lists(st.tuples(st.integers(-60, 240).map(lambda at: at // 5 * 5), st.integers(0, 120)), max_size=8),
    passes=st.lists(st.integers(-60, 360), max_size=12),
)
@example(night=NIGHTS[0], lookback=60, rows=[(70, 0), (50, 25)], passes=[72])
@example(night=NIGHTS[1], lookback=90, rows=[(130, 0), (65, 70)], passes=[132])
@example(night=NIGHTS[1], lookback=0, rows=[(55, 0), (70, 0), (200, 0)], passes=[56])
@example(night=NIGHTS[2], lookback=60, rows=[(0, 0), (-5, 60)], passes=[1, 51])
def test_every_row_that_is_committed_within_the_lookback_is_read(
    night: datetime, lookback: int, rows: list[tuple[int, int]], passes: list[int]
) -> None:
    """A model of Exact: rows get Modified when they change and become visible up to the lookback later.

    Passes begin at any minute around the night; each asks for `Modified ge begin` and sees what is visible by then.
    One that comes after the last commit must have seen the last of the rows.
    """
    changed = [(night + timedelta(minutes=at), min(late, lookback)) for at, late in [(-180, 0), *rows]]
    visible = [at + timedelta(minutes=late) for at, late in changed]
    begins = [night + timedelta(minutes=at) for at in sorted({-170, *passes})]
    position, seen = Position(), set()
    for began in [*begins, max([*begins, *visible])]:
        begin = filter_from(position, lookback * MINUTE)
        highest = None
        for index, (at, _) in enumerate(changed):
            modified = AMSTERDAM.from_instant(epoch(at))
            if visible[index] <= began and (begin is None or modified >= begin):
                seen.add(index)
                highest = max(modified, highest or modified)
        position = finished(position, done(epoch(began), highest))

    assert seen == set(range(len(changed)))


@given(st.integers(0, 180), st.integers(0, 600))
def test_a_stream_without_changes_ends_up_reading_nothing_again(lookback: int, minutes: int) -> None:
    """Apart from the row that holds the cursor itself."""
    assume(minutes >= lookback)
    cursor = wall_ms("2025-03-02T08:00:00")
    position = finished(Position(), done(epoch(START), cursor))
    later = finished(position, done(epoch(START) + minutes * MINUTE, None))

    assert filter_from(later, lookback * MINUTE) == cursor


class TestOrderOfRows:
    """Exact does not say in which order the rows of a feed come."""

    BEGAN = epoch(START)  # 10:00 on Exact's wall clock

    @staticmethod
    def rows(*versions: int, modified: str | None = "2025-03-03T09:00:00") -> list[dict[str, Any]]:
        return [row(str(version), version, modified) for version in versions]

    def read(self, *pages: list[dict[str, Any]]) -> Pass:
        reading = Pass(began=self.BEGAN, full=False)
        for rows in pages:
            reading = advanced(reading, rows, None)
        return reading

    @pytest.mark.parametrize("pages", [[(1, 2), (3, 9)], [(1, 2), (), (2, 9)], [(9,)]])
    def test_in_order_the_highest_version_is_proven(self, pages: list[tuple[int, ...]]) -> None:
        late = [self.rows(*versions, modified="2025-03-03T10:00:30") for versions in pages]

        assert self.read(*late).proven_version == 9

    @pytest.mark.parametrize("first", [(12, 10), (40, 12)])
    def test_out_of_order_changes_since_the_begin_prove_nothing(self, first: tuple[int, ...]) -> None:
        """A row of the first page may have been given a version below 30 since."""
        early, late = self.rows(*first), self.rows(30, modified="2025-03-03T10:00:30")

        assert self.read(early, late).proven_version == max(first)

    def test_rows_without_a_date_are_taken_as_they_are(self) -> None:
        assert self.read(self.rows(12, 10, modified=None), self.rows(30, modified=None)).proven_version == 30

    def test_where_all_has_changed_since_the_begin_the_cursor_stays(self) -> None:
        reading = self.read(self.rows(12, 10, modified="2025-03-03T10:00:30"))

        assert finished(Position(version=7), reading).version == 7

    def test_in_the_hour_shown_twice_its_begin_counts(self) -> None:
        """02:10 may come after 02:50."""
        began = epoch(datetime(2024, 10, 27, 0, 50, tzinfo=timezone.utc))
        rows = [*self.rows(12, 10, modified="2024-10-27T01:59:00"), *self.rows(30, modified="2024-10-27T02:10:00")]

        assert advanced(Pass(began=began, full=False), rows, None).proven_version == 12
