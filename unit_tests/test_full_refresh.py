"""Full refreshes read everything once, whatever the cursor says and however often they break off."""

from __future__ import annotations

from typing import Any

import pytest

from unit_tests.exact_fakes import (
    FakeClock,
    ScriptedApi,
    configured,
    date_json,
    page,
    read,
    refusal,
    row,
    state_of,
)

ACCOUNTS = "sync/CRM/Accounts"
JOURNALS = "financial/Journals"
INVOICES = "sync/SalesInvoice/SalesInvoices"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


def invoice(key: str, line: int | None, version: int, **columns: Any) -> dict[str, Any]:
    return row(key, version, InvoiceID="i1", LineNumber=line, **columns)


class TestFullRefresh:
    def test_it_ignores_the_cursor(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 5)])).on(JOURNALS, page([row("b")]))
        state = state_of(accounts={"row_version": "99"}, journals={"cursor": "2025-03-01T10:00:00.000"})

        run = read(clock, configured("accounts", "journals", mode="full_refresh"), state)

        assert api.asked(ACCOUNTS)[0].filter == "Timestamp gt 1L"
        assert api.asked(JOURNALS)[0].filter is None
        assert (run.keys("accounts"), run.keys("journals")) == (["a"], ["b"])

    def test_the_next_one_reads_everything_again_whatever_state_comes_in(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        """Runners other than Airbyte hand the last state to the next run."""
        streams = configured("accounts", "journals", mode="full_refresh")
        api.always(ACCOUNTS, page([row("a", 5)])).always(JOURNALS, page([row("b")]))
        first = read(clock, streams)

        run = read(clock, streams, first.state)

        assert (run.keys("accounts"), run.keys("journals")) == (["a"], ["b"])

    def test_a_second_attempt_reads_only_the_divisions_that_are_left(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456)
        api.on(JOURNALS, page([row("a")]), division=123)
        api.on(JOURNALS, *[refusal(500)] * 6, page([row("b")]), division=456)
        streams = configured("journals", mode="full_refresh")
        first = read(clock, streams)

        run = read(clock, streams, first.state)

        assert first.statuses == {"journals": "INCOMPLETE"}
        assert run.keys("journals") == ["b"]

    def test_a_second_attempt_after_a_day_reads_all_divisions_again(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456)
        api.on(JOURNALS, page([row("a")]), page([row("a")]), division=123)
        api.on(JOURNALS, *[refusal(500)] * 6, page([row("b")]), division=456)
        streams = configured("journals", mode="full_refresh")
        first = read(clock, streams)
        clock.advance(24 * 3600)

        run = read(clock, streams, first.state)

        assert run.keys("journals") == ["a", "b"]


class TestThenIncremental:
    """A stream that is read incrementally after a full refresh gets what has changed and been deleted since."""

    @staticmethod
    def entry(key: str, version: int, at: str, kind: int = 2) -> dict[str, Any]:
        deleted_at = date_json(f"2025-03-03T{at}:00")
        return {
            "ID": str(version),
            "Timestamp": str(version),
            "EntityKey": key,
            "EntityType": kind,
            "DeletedDate": deleted_at,
        }

    def test_a_row_deleted_since_the_full_refresh_gets_its_tombstone(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 5), row("b", 6)]), page([row("a", 5)]), page([]))
        full = read(clock, configured("accounts:full_refresh"))
        clock.advance(3600)
        api.on("sync/Deleted", page([self.entry("long ago", 3, "01:00"), self.entry("b", 8, "10:30")]))

        run = read(clock, configured("accounts"), full.state)
        again = read(clock, configured("accounts"), run.state)

        assert api.asked("sync/Deleted")[0].filter == "Timestamp gt 1L"
        assert [(one["ID"], "_ab_cdc_deleted_at" in one) for one in run.records("accounts")] == [
            ("b", True),
            ("a", False),
        ]
        assert again.records("accounts") == []

    @pytest.mark.parametrize("other", ["full_refresh", "incremental"])
    def test_a_row_deleted_after_a_full_refresh_broke_off_gets_its_tombstone(
        self, api: ScriptedApi, clock: FakeClock, other: str
    ) -> None:
        """It was read by the first run, and the second one goes on behind it: it must count from the first's start."""
        lines = [invoice("gone", 1, 5), invoice("kept", 1, 7)]
        streams = configured(f"sales_invoices:{other}", "sales_invoice_lines:full_refresh")
        api.on(INVOICES, page(lines[:1], more="1"), *[refusal(500)] * 6, page(lines[1:]), page(lines[1:]))
        broken = read(clock, streams)
        clock.advance(4 * 3600)
        full = read(clock, streams, broken.state)
        clock.advance(3600)
        api.on("sync/Deleted", page([self.entry("gone", 8, "11:30", kind=13)]))

        run = read(clock, configured("sales_invoice_lines"), full.state)

        assert (broken.keys("sales_invoice_lines"), full.keys("sales_invoice_lines")) == (["gone"], ["kept"])
        assert ("gone", True) in [
            (one["ID"], "_ab_cdc_deleted_at" in one) for one in run.records("sales_invoice_lines")
        ]
