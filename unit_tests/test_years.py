"""Listings that are read a year at a time ask for every year once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from source_exact_online.read.years import SEPARATE, Begin, first, following

COLUMN = "ReportingYear"


def conditions(this_year: int, begin: Begin) -> Iterator[str]:
    condition: str | None = first(COLUMN, this_year)
    while condition is not None:
        yield condition
        condition = following(COLUMN, condition, begin)


def meets(year: int, condition: str) -> bool:
    _, operator, number = condition.split()
    return {"gt": year > int(number), "eq": year == int(number), "lt": year < int(number)}[operator]


def times_asked(year: int, asked: list[str]) -> int:
    return sum(meets(year, condition) for condition in asked)


@pytest.mark.parametrize("year", [1753, 1999, 2015, 2016, 2017, 2024, 2025, 2026, 2099])
def test_without_a_start_date_every_year_is_asked_for_once(year: int) -> None:
    asked = list(conditions(2025, Begin(2025 - SEPARATE, open_ended=True)))
    assert times_asked(year, asked) == 1


def test_recent_years_are_asked_for_one_by_one() -> None:
    asked = list(conditions(2025, Begin(2025 - SEPARATE, open_ended=True)))
    assert [condition for condition in asked if " eq " in condition] == [
        f"{COLUMN} eq {y}" for y in range(2025, 2015, -1)
    ]


@pytest.mark.parametrize(("year", "times"), [(2021, 0), (2022, 1), (2023, 1), (2025, 1), (2030, 1)])
def test_with_a_start_date_earlier_years_are_left_out(year: int, times: int) -> None:
    assert times_asked(year, list(conditions(2025, Begin(2022, open_ended=False)))) == times


def test_a_listing_that_goes_on_in_the_next_year_still_asks_for_every_year_once() -> None:
    asked = list(conditions(2025, Begin(2016, open_ended=True)))
    at = asked.index(f"{COLUMN} eq 2017")
    resumed = asked[: at + 1]
    while (condition := following(COLUMN, resumed[-1], Begin(2017, open_ended=True))) is not None:
        resumed.append(condition)
    assert [times_asked(year, resumed) for year in range(2000, 2030)] == [1] * 30


def test_a_listing_that_is_not_read_by_year_has_no_following() -> None:
    assert following(COLUMN, "", Begin(2016, open_ended=True)) is None
    assert following(COLUMN, "Modified ge datetime'2024-01-01T00:00:00'", Begin(2016, open_ended=True)) is None


def test_the_end_comes() -> None:
    asked = list(conditions(2025, Begin(2016, open_ended=True)))
    assert len(asked) == SEPARATE + 3
    assert re.fullmatch(rf"{COLUMN} lt 2016", asked[-1])
