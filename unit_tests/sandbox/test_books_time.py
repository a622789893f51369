"""Instants and dates: both nights of the clock change, equal Modified, order of row versions."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.timeline import Timeline, business_date, clock_changes, notable_instants, tick
from unit_tests.sandbox.books_truth import LINES, UNTIL, books, codes, fill, filled_entities, rows

UTC = timezone.utc
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
DUTCH, _ = codes()
BUSY = ("crm/Accounts", "logistics/Items", "salesinvoice/SalesInvoices", "salesorder/SalesOrders", LINES)


def _local(instant: datetime) -> datetime:
    return instant.astimezone(AMSTERDAM)


def test_clock_changes_are_the_last_sundays_of_march_and_october() -> None:
    found = clock_changes(datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC))

    assert [change.date() for change in found] == [
        date(2024, 3, 31), date(2024, 10, 27), date(2025, 3, 30), date(2025, 10, 26)]  # fmt: skip
    for change in found:
        before, after = _local(change - timedelta(seconds=1)), _local(change)
        assert before.utcoffset() != after.utcoffset()


def test_ticks_are_those_of_sql_server() -> None:
    ticks = {
        tick(datetime(2025, 1, 1, microsecond=thousand * 1000, tzinfo=UTC)).microsecond % 10_000
        for thousand in range(1000)
    }

    assert ticks == {0, 3000, 7000}


def test_business_dates_are_local() -> None:
    assert business_date(datetime(2025, 6, 30, 22, 30, tzinfo=UTC)) == datetime(2025, 7, 1)
    assert business_date(datetime(2025, 1, 31, 22, 59, tzinfo=UTC)) == datetime(2025, 1, 31)


def test_notable_instants_have_both_passes_of_the_repeated_hour() -> None:
    found = notable_instants(datetime(2025, 10, 1, tzinfo=UTC), datetime(2025, 11, 1, tzinfo=UTC))
    walls = Counter(_local(instant).replace(tzinfo=None, fold=0) for instant in found)

    assert walls[datetime(2025, 10, 26, 2, 30)] == 2


def _around_clock_changes() -> set[datetime]:
    return {
        instant
        for change in clock_changes(UNTIL - timedelta(days=700), UNTIL)
        for instant in (change - timedelta(minutes=30), change, change + timedelta(minutes=30))
    }


@pytest.mark.parametrize("entity", ["financial/GLAccounts", *BUSY])
def test_rows_change_in_both_passes_of_the_repeated_hour_and_on_both_sides_of_the_missing_one(entity: str) -> None:
    walls = {_local(row["Modified"]) for row in rows(DUTCH, entity)}
    autumn = {here.utcoffset() for here in walls if (here.month, here.hour) == (10, 2)}
    spring = {here.hour for here in walls if here.date() in (date(2024, 3, 31), date(2025, 3, 30))}

    assert autumn == {timedelta(hours=1), timedelta(hours=2)}
    assert {1, 3} <= spring
    assert 2 not in spring


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_books_of_any_size_have_every_instant_around_the_clock_changes(size: str) -> None:
    store = books() if size == "small" else fill(size=size, divisions=1)
    division = min(store.division_codes())
    instants = {row["Modified"] for row in store.rows(division, "financial/GLAccounts")}

    assert len(_around_clock_changes()) == 12
    assert _around_clock_changes() <= instants


def test_some_instants_have_another_date_here_than_in_utc_and_some_are_half_an_hour_before_midnight() -> None:
    instants = [row["Modified"] for row in rows(DUTCH, LINES)]

    assert any(_local(instant).date() != instant.date() for instant in instants)
    assert any((_local(instant).hour, _local(instant).minute) == (23, 30) for instant in instants)


def test_documents_are_dated_on_days_of_the_clock_change() -> None:
    dates = {row["Date"].date() for row in rows(DUTCH, LINES)}

    assert dates & {date(2024, 3, 31), date(2025, 3, 30)}
    assert dates & {date(2024, 10, 27), date(2025, 10, 26)}


@pytest.mark.parametrize("entity", ["crm/Accounts", "logistics/Items", LINES])
def test_many_rows_share_one_modified(entity: str) -> None:
    (_, most), *_ = Counter(row["Modified"] for row in rows(DUTCH, entity)).most_common(1)

    assert most >= 25


def test_nothing_happens_after_the_end_or_is_modified_before_it_is_created() -> None:
    for division in codes():
        for entity in filled_entities(division):
            for row in rows(division, entity):
                if row.get("Modified"):
                    assert row["Modified"] <= UNTIL
                    assert row["Modified"] >= (row.get("Created") or row["Modified"])
                    assert row["Modified"] == tick(row["Modified"])


def test_every_row_of_a_core_entity_has_a_modified() -> None:
    for entity in (*BUSY, "crm/Contacts", "salesinvoice/SalesInvoiceLines", "financial/GLAccounts"):
        assert all(row["Modified"] for row in rows(DUTCH, entity))


def test_row_versions_ascend_with_modified() -> None:
    for entity in BUSY:
        codec = books().codec(entity)
        ordered = [codec.decode(codec.load(raw.body)) for raw in books().select(DUTCH, entity, by="version")]
        moments = [row["Modified"] for row in ordered]
        assert moments == sorted(moments)


def test_the_span_is_two_years_and_ends_now() -> None:
    timeline = Timeline.until(UNTIL)

    assert timeline.end == tick(UNTIL)
    assert timedelta(days=730) <= timeline.end - timeline.start <= timedelta(days=762)


def test_instants_are_ordered_inside_the_span_and_mostly_in_office_hours() -> None:
    timeline = Timeline.until(UNTIL)
    instants = timeline.instants(Dice("office"), 500)

    assert instants == sorted(instants)
    assert len(instants) == 500
    assert timeline.start <= instants[0]
    assert instants[-1] <= timeline.end
    assert sum(7 < _local(instant).hour < 19 and _local(instant).weekday() < 5 for instant in instants) > 400


def test_a_naive_end_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Timeline.until(datetime(2025, 1, 1))
