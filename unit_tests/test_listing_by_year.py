"""Listings that are read a year at a time, and lists with a bulk endpoint for when everything is read."""

from __future__ import annotations

import pytest

from unit_tests.exact_fakes import Answer, FakeClock, ScriptedApi, configured, lost, page, read, refusal, row

BALANCE = "financial/ReportingBalance"
LISTED, WHOLE = "cashflow/Receivables", "bulk/Cashflow/Receivables"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123)


def years(api: ScriptedApi) -> list[str]:
    return [(one.filter or "").removeprefix("ReportingYear ") for one in api.asked(BALANCE)]


class TestYears:
    def test_each_year_is_a_listing_of_its_own_with_pages(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(BALANCE, page([row("1", ReportingYear=2026)]), page([row("1", ReportingYear=2025)], more="x"))
        api.on(BALANCE, page([row("2", ReportingYear=2025)])).always(BALANCE, page([]))

        run = read(clock, configured("reporting_balance:full_refresh", columns=("ID", "ReportingYear")))

        assert years(api)[:4] == ["gt 2025", "eq 2025", "eq 2025", "eq 2024"]
        assert years(api)[-2:] == ["eq 2016", "lt 2016"]
        found = [(one["ReportingYear"], one["ID"]) for one in run.records("reporting_balance")]
        assert found == [(2026, 1), (2025, 1), (2025, 2)]

    def test_with_a_start_date_it_ends_a_year_before_it(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.always(BALANCE, page([]))

        read(clock, configured("reporting_balance:full_refresh"), start_date="2024-06-01T00:00:00Z")

        assert years(api) == ["gt 2025", "eq 2025", "eq 2024", "eq 2023"]

    def test_a_sync_that_broke_off_goes_on_in_the_year_it_was_in(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(BALANCE, page([]), page([row("1", ReportingYear=2025)])).always(BALANCE, lost())
        streams = configured("reporting_balance:full_refresh")
        broken = read(clock, streams)
        assert broken.error is not None
        before = len(api.asked(BALANCE))
        api.forget(BALANCE)
        api.always(BALANCE, page([]))

        resumed = read(clock, streams, broken.state)

        assert resumed.error is None
        assert years(api)[before:][0] == "eq 2024"
        assert years(api)[-1] == "lt 2016"

    def test_where_exact_refuses_the_filter_all_is_read_at_once(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(BALANCE, refusal(400, "Filtering on these fields is not supported: ReportingYear"))
        api.always(BALANCE, page([row("1", ReportingYear=2025)]))

        run = read(clock, configured("reporting_balance:full_refresh"))

        assert run.error is None
        assert [one.filter for one in api.asked(BALANCE)][1:] == [None]
        assert run.keys("reporting_balance") == [1]


class TestWhole:
    def test_a_first_read_asks_for_the_larger_pages(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.always(WHOLE, page([row("a")]))

        run = read(clock, configured("receivables"))

        assert run.keys("receivables") == ["a"]
        assert [one.filter for one in api.asked(WHOLE)] == [None]

    def test_what_comes_later_is_asked_for_by_its_change(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.always(WHOLE, page([row("a")])).always(LISTED, page([row("b", modified="2025-03-02T10:00:00")]))
        streams = configured("receivables")

        run = read(clock, streams, read(clock, streams).state)

        assert run.keys("receivables") == ["b"]
        assert len(api.asked(WHOLE)) == 1
        assert [one.filter for one in api.asked(LISTED)] == ["Modified ge datetime'2025-03-01T08:00:00'"]

    def test_with_a_start_date_only_the_filter_will_do(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.always(LISTED, page([row("a")]))

        assert read(clock, configured("receivables"), start_date="2025-01-01T00:00:00Z").keys("receivables") == ["a"]

    def test_where_exact_demands_a_filter_there_the_list_serves(self, api: ScriptedApi, clock: FakeClock) -> None:
        demand: Answer = refusal(400, "This endpoint has mandatory filtering applied.")
        api.on(WHOLE, demand).always(LISTED, page([row("a")]))

        assert read(clock, configured("receivables")).keys("receivables") == ["a"]
