"""Exact's wall clock: instants come out right on every day of the year, business dates as they stand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_exact_online.api import exact_time

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 12, 31), timezones=st.just(timezone.utc)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
MILLISECONDS = st.integers(-6_847_804_800_000, 253_402_300_799_999)  # 1753-01-01 to 9999-12-31


def exact_json(at: datetime) -> str:
    """What Exact sends for an instant: the wall clock posing as UTC. Worked out with zoneinfo alone."""
    wall = at.astimezone(AMSTERDAM).replace(tzinfo=timezone.utc)
    return f"/Date({(wall - EPOCH) // timedelta(milliseconds=1)})/"


def is_second_of_the_two(at: datetime) -> bool:
    return at.astimezone(AMSTERDAM).fold == 1


@settings(max_examples=300)
@given(INSTANTS)
def test_every_instant_of_130_years_comes_back_as_it_was(at: datetime) -> None:
    expected = at - timedelta(hours=1) if is_second_of_the_two(at) else at

    assert exact_time.utc_text(exact_json(at)) == expected.isoformat(timespec="milliseconds")


@pytest.mark.parametrize("year", range(1980, 2038))
def test_both_dst_nights_of_a_year_come_back_minute_by_minute(year: int) -> None:
    """From midnight to six in steps of ten minutes on the last Sundays of March and (1996 on) October."""
    for month in (3, 9, 10):
        end = datetime(year, month, 31 if month != 9 else 30, tzinfo=timezone.utc)
        sunday = end - timedelta(days=(end.weekday() + 1) % 7)
        for minutes in range(-120, 360, 10):
            at = sunday + timedelta(minutes=minutes)
            expected = at - timedelta(hours=1) if is_second_of_the_two(at) else at
            assert exact_time.utc_text(exact_json(at)) == expected.isoformat(timespec="milliseconds")


def test_the_repeated_hour_is_read_as_summer_time_so_that_an_instant_is_never_late() -> None:
    first = datetime(2024, 10, 27, 0, 30, tzinfo=timezone.utc)
    second = datetime(2024, 10, 27, 1, 30, tzinfo=timezone.utc)

    assert exact_time.utc_text(exact_json(first)) == "2024-10-27T00:30:00.000+00:00"
    assert exact_time.utc_text(exact_json(second)) == "2024-10-27T00:30:00.000+00:00"


def test_winter_is_one_hour_and_summer_two_ahead_of_utc() -> None:
    assert exact_time.utc_text("/Date(1706666400123)/") == "2024-01-31T01:00:00.123+00:00"
    assert exact_time.utc_text("/Date(1719799200123)/") == "2024-07-01T00:00:00.123+00:00"


@given(MILLISECONDS)
def test_business_dates_are_never_shifted(wall_ms: int) -> None:
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
        ("/Date(-62135596800000)/", "0001-01-01T00:00:00"),
        ("/Date(253402300799999)/", "9999-12-31T23:59:59.999"),
        ("/Date(1706659200000+0000)/", "2024-01-31T00:00:00"),
        ("2024-01-31T00:00:00Z", "2024-01-31T00:00:00"),
        ("2024-01-31T00:00:00", "2024-01-31T00:00:00"),
    ],
)
def test_a_date_reads_like_on_the_invoice(json: str, text: str) -> None:
    assert exact_time.wall_text(json) == text


@pytest.mark.parametrize("json", ["/Date(-6847804800000)/", "/Date(-2208988800000)/", "/Date(253402300799999)/"])
def test_instants_far_from_today_stay_within_a_day(json: str) -> None:
    instant = datetime.fromisoformat(exact_time.utc_text(json))

    assert abs(instant - (EPOCH + timedelta(milliseconds=exact_time.milliseconds(json)))) < timedelta(days=1)


def test_the_first_moment_of_all_stays_what_it_is() -> None:
    assert exact_time.utc_text("/Date(-62135596800000)/").startswith("0001-01-01T00:")


@pytest.mark.parametrize("text", ["", "yesterday", "/Date()/", "/Date(abc)/", "Date(1)"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        exact_time.milliseconds(text)


@given(MILLISECONDS)
def test_cursor_text_comes_back_as_it_was_and_sorts_like_time(wall_ms: int) -> None:
    text = exact_time.to_text(wall_ms)

    assert exact_time.from_text(text) == wall_ms
    assert (text < exact_time.to_text(0)) is (wall_ms < 0)


def test_cursor_text_with_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        exact_time.from_text("2024-01-31T00:00:00.000+00:00")


@given(INSTANTS)
def test_wall_clock_of_an_instant_agrees_with_zoneinfo(at: datetime) -> None:
    expected = at.astimezone(AMSTERDAM).replace(tzinfo=None)

    assert exact_time.to_wall(at) == expected
    assert exact_time.from_milliseconds(exact_time.of_instant((at - EPOCH) // timedelta(milliseconds=1))) == expected


@given(INSTANTS)
def test_only_the_hour_shown_twice_is_ambiguous(at: datetime) -> None:
    wall = at.astimezone(AMSTERDAM).replace(tzinfo=None)
    twins = {wall.replace(tzinfo=AMSTERDAM, fold=fold).astimezone(timezone.utc) for fold in (0, 1)}

    assert exact_time.is_ambiguous(wall) is (len(twins) == 2)
