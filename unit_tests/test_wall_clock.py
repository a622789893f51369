"""Exact's wall clock: instants come out right on every day of every site's clock, business dates as they stand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from source_exact_online.api import exact_time
from source_exact_online.api.exact_time import AMSTERDAM, WallClock

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MILLISECOND = timedelta(milliseconds=1)
HOUR_MS = 3_600_000
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The first and the last millisecond of the years 1 to 9999."""

BEFORE_ALL, AFTER_ALL = float("-inf"), float("inf")
"""A present before and after every instant."""

CLOCKS = {zone: WallClock(zone) for zone in ("Europe/Amsterdam", "Europe/London", "America/New_York")}
ZONES = st.sampled_from(sorted(CLOCKS))
TIMES = st.integers(FIRST_MS, LAST_MS) | st.integers(-5_000_000_000_000, 5_000_000_000_000)
"""Milliseconds of a wall clock, half of them in the years 1811 to 2128, in which zones have changed their minds."""


def wall_json(wall: datetime) -> str:
    """What Exact sends for a naive time of its wall clock."""
    return f"/Date({(wall.replace(tzinfo=timezone.utc) - EPOCH) // MILLISECOND})/"


def readings(wall: datetime, zone: str) -> tuple[datetime, datetime]:
    """Both instants that a wall clock time may stand for. Worked out with zoneinfo alone; equal if there is just one.

    A time that was skipped counts with the offset before the change.
    """
    first, second = (wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(timezone.utc) for fold in (0, 1))
    return first, max(first, second)


def nights(zone: str, year: int) -> list[datetime]:
    """Midnight before each change of the clock in a year, on the wall clock."""
    noons = [datetime(year, 1, 1, 12, tzinfo=ZoneInfo(zone)) + timedelta(days=day) for day in range(366)]
    return [
        after.replace(tzinfo=None) - timedelta(hours=12)
        for before, after in pairwise(noons)
        if before.utcoffset() != after.utcoffset()
    ]


class TestUtcText:
    @settings(max_examples=500)
    @given(ZONES, TIMES)
    @example("Europe/Amsterdam", FIRST_MS + 20 * 60_000)
    @example("Europe/Amsterdam", LAST_MS)
    @example("Europe/Amsterdam", (datetime(1937, 7, 1, 0, 0, 27, tzinfo=timezone.utc) - EPOCH) // MILLISECOND)
    @example("Europe/Amsterdam", (datetime(1940, 5, 16, 0, 39, tzinfo=timezone.utc) - EPOCH) // MILLISECOND)
    def test_an_instant_of_any_year_agrees_with_the_zones_own_rules(self, zone: str, wall_ms: int) -> None:
        try:
            first, second = readings(exact_time.from_milliseconds(wall_ms), zone)
        except OverflowError:
            assume(False)

        for now_ms, expected in ((BEFORE_ALL, first), (AFTER_ALL, second)):
            text = CLOCKS[zone].utc_text(f"/Date({wall_ms})/", now_ms)
            assert text == expected.isoformat(timespec="milliseconds")

    @pytest.mark.parametrize("zone", sorted(CLOCKS))
    def test_nights_in_which_the_clock_changes_come_back_minute_by_minute(self, zone: str) -> None:
        found = [night for year in (1935, 1937, 1940, 1945, *range(1977, 2038, 4)) for night in nights(zone, year)]
        assert len(found) > 30
        for night in found:
            for minutes in range(-120, 360, 5):
                wall = night + timedelta(minutes=minutes)
                for now_ms, expected in zip((BEFORE_ALL, AFTER_ALL), readings(wall, zone), strict=True):
                    text = CLOCKS[zone].utc_text(wall_json(wall), now_ms)
                    assert text == expected.isoformat(timespec="milliseconds"), wall

    def test_winter_is_one_hour_and_summer_two_ahead_of_utc(self) -> None:
        assert AMSTERDAM.utc_text("/Date(1706666400123)/", AFTER_ALL) == "2024-01-31T01:00:00.123+00:00"
        assert AMSTERDAM.utc_text("/Date(1719799200123)/", AFTER_ALL) == "2024-07-01T00:00:00.123+00:00"

    def test_a_time_that_march_skips_is_read_as_winter_time(self) -> None:
        assert AMSTERDAM.utc_text(wall_json(datetime(2024, 3, 31, 2, 30)), AFTER_ALL) == "2024-03-31T01:30:00.000+00:00"

    def test_no_date_of_dotnet_stays_what_it_is(self) -> None:
        assert AMSTERDAM.utc_text(f"/Date({FIRST_MS})/", AFTER_ALL) == "0001-01-01T00:00:00.000+00:00"

    def test_an_instant_after_the_last_year_stays_what_it_is(self) -> None:
        """On a clock behind UTC; Exact has a site in London, but none there."""
        assert CLOCKS["America/New_York"].utc_text(f"/Date({LAST_MS})/", AFTER_ALL) == "9999-12-31T23:59:59.999+00:00"


class TestRepeatedHour:
    HALF_PAST_TWO = wall_json(datetime(2024, 10, 27, 2, 30))
    SECOND_MS = (datetime(2024, 10, 27, 1, 30, tzinfo=timezone.utc) - EPOCH) // MILLISECOND

    @pytest.mark.parametrize(
        ("since_ms", "text"),
        [
            (-HOUR_MS, "2024-10-27T00:30:00.000+00:00"),
            (-1, "2024-10-27T00:30:00.000+00:00"),
            (0, "2024-10-27T01:30:00.000+00:00"),
            (400 * 24 * HOUR_MS, "2024-10-27T01:30:00.000+00:00"),
        ],
    )
    def test_it_is_the_second_instant_once_that_has_passed(self, since_ms: int, text: str) -> None:
        assert WallClock().utc_text(self.HALF_PAST_TWO, self.SECOND_MS + since_ms) == text

    def test_an_answer_from_before_the_second_instant_is_not_kept(self) -> None:
        clock = WallClock()
        before = clock.utc_text(self.HALF_PAST_TWO, self.SECOND_MS - 1)
        after = clock.utc_text(self.HALF_PAST_TWO, self.SECOND_MS)

        assert (before, after) == ("2024-10-27T00:30:00.000+00:00", "2024-10-27T01:30:00.000+00:00")

    @given(ZONES, st.integers(0, 7200), st.lists(st.integers(-10_000, 10_000), min_size=2, max_size=6).map(sorted))
    def test_a_reading_never_goes_back_as_time_goes_on(self, zone: str, second: int, presents: list[int]) -> None:
        night = next(one for one in nights(zone, 2025) if one.month > 6)
        wall = night + timedelta(hours=1, seconds=second)
        base = readings(wall, zone)[1].timestamp()
        clock = WallClock(zone)
        texts = [clock.utc_text(wall_json(wall), (base + now) * 1000) for now in presents]

        assert texts == sorted(texts)

    def test_what_is_read_when_it_changes_comes_out_at_that_moment(self) -> None:
        for minutes in range(-120, 240, 7):
            at = datetime(2024, 10, 27, 1, tzinfo=timezone.utc) + timedelta(minutes=minutes)
            at_ms = (at - EPOCH) // MILLISECOND
            assert WallClock().utc_text(AMSTERDAM.date_json(at_ms), at_ms) == at.isoformat(timespec="milliseconds")


class TestClock:
    @given(ZONES, TIMES)
    @example("Europe/Amsterdam", (datetime(2024, 10, 27, 1, 30, tzinfo=timezone.utc) - EPOCH) // MILLISECOND)
    @example("Europe/Amsterdam", (datetime(2024, 10, 27, 0, 30, tzinfo=timezone.utc) - EPOCH) // MILLISECOND)
    def test_what_it_shows_at_an_instant_agrees_with_zoneinfo_and_leads_back(self, zone: str, epoch_ms: int) -> None:
        clock = CLOCKS[zone]
        try:
            local = (EPOCH + timedelta(milliseconds=epoch_ms)).astimezone(ZoneInfo(zone))
        except OverflowError:
            assume(False)
        wall_ms = clock.from_instant(epoch_ms)

        assert exact_time.from_milliseconds(wall_ms) == local.replace(tzinfo=None, fold=0)
        assert clock.date_json(epoch_ms) == f"/Date({wall_ms})/"
        instant = clock.to_instant(wall_ms)
        assert instant < epoch_ms if local.fold else instant == epoch_ms
        assert clock.from_instant(instant) == wall_ms

    @given(ZONES, TIMES)
    def test_only_an_hour_shown_twice_is_ambiguous(self, zone: str, wall_ms: int) -> None:
        try:
            first, second = readings(exact_time.from_milliseconds(wall_ms), zone)
        except OverflowError:
            assume(False)
        skipped = first.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != exact_time.from_milliseconds(wall_ms)

        assert CLOCKS[zone].is_ambiguous(wall_ms) is (first != second and not skipped)

    def test_the_hour_of_october_is_ambiguous_and_the_one_of_march_is_not(self) -> None:
        def ambiguous(*time: int) -> bool:
            return AMSTERDAM.is_ambiguous(exact_time.to_milliseconds(datetime(*time)))

        assert [ambiguous(2024, 10, 27, 1, 59, 59), ambiguous(2024, 10, 27, 2), ambiguous(2024, 10, 27, 3)] == [
            False,
            True,
            False,
        ]
        assert not ambiguous(2024, 3, 31, 2, 30)

    @pytest.mark.parametrize(
        ("utc", "wall"),
        [
            ((2024, 10, 26, 23, 59), (2024, 10, 27, 1, 59)),
            ((2024, 10, 27, 0, 30), (2024, 10, 27, 2, 0)),
            ((2024, 10, 27, 1, 30), (2024, 10, 27, 2, 30)),
            ((2024, 7, 1, 0, 0), (2024, 7, 1, 2, 0)),
        ],
    )
    def test_the_lowest_time_shown_from_an_instant_on(self, utc: tuple[int, ...], wall: tuple[int, ...]) -> None:
        instant = datetime(*utc, tzinfo=timezone.utc)  # type: ignore[arg-type, misc]

        assert exact_time.from_milliseconds(AMSTERDAM.first_at_or_after(instant)) == datetime(*wall)  # type: ignore[arg-type]

    def test_nothing_shown_later_is_lower(self) -> None:
        for zone, clock in CLOCKS.items():
            for night in nights(zone, 2024):
                times = [night.replace(tzinfo=timezone.utc) + timedelta(minutes=10 * step) for step in range(-30, 60)]
                shown = [clock.from_instant((at - EPOCH) // MILLISECOND) for at in times]
                assert [clock.first_at_or_after(at) for at in times] == [min(shown[i:]) for i in range(len(times))]

    def test_clocks_of_one_zone_are_equal(self) -> None:
        assert WallClock() == AMSTERDAM == WallClock("Europe/Amsterdam") != WallClock("Europe/London")


class TestOutOfRange:
    @pytest.mark.parametrize("wall_ms", [FIRST_MS - 1, LAST_MS + 1, 10**18, -(10**18), 10**400])
    def test_a_time_outside_the_years_1_to_9999_is_a_value_error(self, wall_ms: int) -> None:
        for convert in (AMSTERDAM.to_instant, AMSTERDAM.is_ambiguous, AMSTERDAM.from_instant, AMSTERDAM.date_json):
            with pytest.raises(ValueError, match="years 1 to 9999"):
                convert(wall_ms)
        for show in (exact_time.from_milliseconds, exact_time.to_text):
            with pytest.raises(ValueError, match="years 1 to 9999"):
                show(wall_ms)
        json = f"/Date({wall_ms})/"
        for read in (exact_time.milliseconds, exact_time.wall_text, lambda text: AMSTERDAM.utc_text(text, 0)):
            with pytest.raises(ValueError, match="years 1 to 9999"):
                read(json)

    def test_so_is_an_instant_that_the_clock_cannot_show(self) -> None:
        with pytest.raises(ValueError, match="years 1 to 9999"):
            AMSTERDAM.from_instant(LAST_MS)
        with pytest.raises(ValueError, match="years 1 to 9999"):
            AMSTERDAM.first_at_or_after(datetime(9999, 12, 31, 23, 59, tzinfo=timezone.utc))
        with pytest.raises(ValueError, match="years 1 to 9999"):
            CLOCKS["America/New_York"].from_instant(FIRST_MS)

    @given(st.integers(-(10**30), 10**30))
    def test_no_number_whatever_raises_anything_else(self, number: int) -> None:
        json = f"/Date({number})/"
        if FIRST_MS <= number <= LAST_MS:
            assert AMSTERDAM.utc_text(json, 0)
            return
        with pytest.raises(ValueError, match="years 1 to 9999"):
            AMSTERDAM.utc_text(json, 0)


class TestText:
    @given(st.integers(FIRST_MS, LAST_MS))
    def test_business_dates_are_never_shifted(self, wall_ms: int) -> None:
        text = exact_time.wall_text(f"/Date({wall_ms})/")

        assert datetime.fromisoformat(text + "+00:00") == EPOCH + timedelta(milliseconds=wall_ms)

    @pytest.mark.parametrize(
        ("json", "text"),
        [
            ("/Date(1706659200000)/", "2024-01-31T00:00:00"),
            ("/Date(1706659200500)/", "2024-01-31T00:00:00.500"),
            ("/Date(0)/", "1970-01-01T00:00:00"),
            ("/Date(-1)/", "1969-12-31T23:59:59.999"),
            ("/Date(-6847804800000)/", "1753-01-01T00:00:00"),
            (f"/Date({FIRST_MS})/", "0001-01-01T00:00:00"),
            (f"/Date({LAST_MS})/", "9999-12-31T23:59:59.999"),
        ],
    )
    def test_a_date_reads_like_on_the_invoice(self, json: str, text: str) -> None:
        assert exact_time.wall_text(json) == text

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "yesterday",
            "/Date()/",
            "/Date(abc)/",
            "/Date(1.5)/",
            "Date(1)",
            "/Date(1706659200000+0000)/",
            "2024-01-31T00:00:00Z",
            "20240131000000",
        ],
    )
    def test_what_is_no_date_is_refused(self, text: str) -> None:
        for read in (exact_time.milliseconds, exact_time.wall_text, lambda text: AMSTERDAM.utc_text(text, 0)):
            with pytest.raises(ValueError, match=r".*"):
                read(text)

    @given(st.integers(FIRST_MS, LAST_MS))
    def test_cursor_text_comes_back_as_it_was_and_sorts_like_time(self, wall_ms: int) -> None:
        text = exact_time.to_text(wall_ms)

        assert exact_time.from_text(text) == wall_ms
        assert (text < exact_time.to_text(0)) is (wall_ms < 0)

    def test_cursor_text_with_a_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="zone"):
            exact_time.from_text("2024-01-31T00:00:00.000+00:00")
