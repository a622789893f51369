"""Feeds: read by row version, and two streams out of one feed where it mixes headers and lines."""

from __future__ import annotations

from typing import Any

import pytest

from unit_tests.exact_fakes import (
    FakeClock,
    Run,
    ScriptedApi,
    configured,
    page,
    read,
    refusal,
    row,
    state_of,
)

ACCOUNTS = "sync/CRM/Accounts"
INVOICES = "sync/SalesInvoice/SalesInvoices"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


def invoice(key: str, line: int | None, version: int, **columns: Any) -> dict[str, Any]:
    return row(key, version, InvoiceID="i1", LineNumber=line, **columns)


class TestFeed:
    def test_dates_of_all_its_streams_are_written(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page([invoice("h1", 0, 5), invoice("l1", 1, 6)]))

        run = read(clock, configured("sales_invoices", "sales_invoice_lines"))

        found = [record["Modified"] for name in run.statuses for record in run.records(name)]
        assert found == ["2025-03-01T09:00:00.000+00:00"] * 2

    def test_a_first_read_begins_at_row_version_one(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 5), row("b", 9)]))

        run = read(clock, configured("accounts"))

        assert [one.filter for one in api.asked(ACCOUNTS)] == ["Timestamp gt 1L"]
        assert run.keys("accounts") == ["a", "b"]
        assert run.position("accounts")["row_version"] == "9"

    def test_the_next_read_asks_for_what_changed_since(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 9_007_199_254_740_993)]), page([]))
        first = read(clock, configured("accounts"))

        run = read(clock, configured("accounts"), first.state, read_deletions=False)

        assert api.asked(ACCOUNTS)[1].filter == "Timestamp gt 9007199254740993L"
        assert run.records("accounts") == []
        assert run.position("accounts") == {
            **first.position("accounts"),
            "last_read_at": run.position("accounts")["last_read_at"],
        }

    def test_the_highest_row_version_counts_in_whatever_order_they_come(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.on(ACCOUNTS, page([row("a", 70), row("b", 90)], more="1"), page([row("c", 80)]))

        assert read(clock, configured("accounts")).position("accounts")["row_version"] == "90"

    def test_all_pages_are_followed_one_after_the_other(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 5)], more="x"), page([row("b", 6)], more="y"), page([row("c", 7)]))

        run = read(clock, configured("accounts"), num_workers=10)

        assert run.keys("accounts") == ["a", "b", "c"]
        assert [one.options.get("$skiptoken") for one in api.asked(ACCOUNTS)] == [None, "x", "y"]
        assert api.most_in_flight[123] == 1

    def test_a_record_has_its_division_and_only_the_chosen_columns(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 5, Name="Bakery  ", City="Delft", __metadata={"uri": "x"})]))

        run = read(clock, configured("accounts", columns=("ID", "Name", "Division", "_ab_cdc_deleted_at")))

        assert run.records("accounts") == [
            {"Division": 123, "ID": "a", "Name": "Bakery  ", "Modified": "2025-03-01T09:00:00.000+00:00"}
        ]
        assert set(api.asked(ACCOUNTS)[0].select) == {"ID", "Name", "Modified", "Timestamp"}


class TestOrderOfRows:
    """A feed's row version is its position as long as its rows come in that order, which Exact does not promise."""

    def broken_off(self, api: ScriptedApi, clock: FakeClock, *pages: list[int], state: Any = None) -> Run:
        """A run that ends after some pages with rows of these versions."""
        for number, versions in enumerate(pages):
            api.on(ACCOUNTS, page([row(str(version), version) for version in versions], more=str(number)))
        api.on(ACCOUNTS, *[refusal(500)] * 6)
        run = read(clock, configured("accounts"), state)
        assert run.statuses == {"accounts": "INCOMPLETE"}
        assert run.keys("accounts") == [str(version) for versions in pages for version in versions]
        return run

    @pytest.mark.parametrize("pages", [([5, 6], [8, 9]), ([5, 9], []), ([5], [9, 9])])
    def test_in_order_it_is_the_highest_one(self, api: ScriptedApi, clock: FakeClock, pages: Any) -> None:
        run = self.broken_off(api, clock, *pages)
        api.on(ACCOUNTS, page([row("10", 10)]))

        rest = read(clock, configured("accounts"), run.state)

        assert run.position("accounts")["row_version"] == "9"
        assert api.asked(ACCOUNTS)[-1].filter == "Timestamp gt 9L"
        assert rest.keys("accounts") == ["10"]

    @pytest.mark.parametrize("pages", [([5, 9], [6, 12]), ([9, 5], [12]), ([6, 5],)])
    def test_out_of_order_it_is_that_of_before_until_the_listing_has_ended(
        self, api: ScriptedApi, clock: FakeClock, pages: Any
    ) -> None:
        run = self.broken_off(api, clock, *pages, state=state_of(accounts={"row_version": "4"}))
        api.on(ACCOUNTS, page([row("12", 12), row("7", 7)]))

        rest = read(clock, configured("accounts"), run.state)

        assert run.position("accounts")["row_version"] == "4"
        assert api.asked(ACCOUNTS)[-1].filter == "Timestamp gt 4L"
        assert rest.position("accounts")["row_version"] == "12"

    def test_a_full_refresh_out_of_order_begins_anew(self, api: ScriptedApi, clock: FakeClock) -> None:
        streams = configured("accounts:full_refresh")
        api.on(ACCOUNTS, page([row("a", 9), row("b", 5)], more="1"), *[refusal(500)] * 6)
        broken = read(clock, streams)
        api.on(ACCOUNTS, page([row("b", 5), row("a", 9)]))

        run = read(clock, streams, broken.state)

        assert api.asked(ACCOUNTS)[-1].filter == "Timestamp gt 1L"
        assert run.keys("accounts") == ["b", "a"]


class TestMixedFeed:
    """One feed with headers (line number 0 or none) and lines, for two streams."""

    ROWS = (
        invoice("h1", 0, 5),
        invoice("l1", 1, 6),
        invoice("l2", 2, 7),
        invoice("h2", None, 8),
        invoice("l3", 10, 9),
    )

    def test_its_pages_are_asked_for_once_and_no_row_is_lost(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page(self.ROWS[:2], more="1"), page(self.ROWS[2:]))

        run = read(clock, configured("sales_invoices", "sales_invoice_lines"))

        assert len(api.asked(INVOICES)) == 2
        assert run.keys("sales_invoices") == ["h1", "h2"]
        assert run.keys("sales_invoice_lines") == ["l1", "l2", "l3"]
        assert {record["InvoiceID"] for record in run.records("sales_invoice_lines")} == {"i1"}

    @pytest.mark.parametrize(
        ("stream", "keys"), [("sales_invoices", ["h1", "h2"]), ("sales_invoice_lines", ["l1", "l2", "l3"])]
    )
    def test_alone_each_stream_gets_its_own_rows(
        self, api: ScriptedApi, clock: FakeClock, stream: str, keys: list[str]
    ) -> None:
        api.on(INVOICES, page(self.ROWS))

        run = read(clock, configured(stream))

        assert run.keys(stream) == keys
        assert "LineNumber" in api.asked(INVOICES)[0].select

    def test_it_begins_at_the_older_of_two_cursors(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page([row | {"Timestamp": str(int(row["Timestamp"]) + 100)} for row in self.ROWS]))
        state = state_of(sales_invoices={"row_version": "107"}, sales_invoice_lines={"row_version": "100"})

        run = read(clock, configured("sales_invoices", "sales_invoice_lines"), state)

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 100L"
        assert run.keys("sales_invoice_lines") == ["l1", "l2", "l3"]
        assert "h2" in run.keys("sales_invoices")

    def test_a_stream_added_later_gets_all_its_rows(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page(self.ROWS))

        run = read(
            clock, configured("sales_invoices", "sales_invoice_lines"), state_of(sales_invoices={"row_version": "9"})
        )

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 1L"
        assert run.keys("sales_invoice_lines") == ["l1", "l2", "l3"]

    def test_one_stream_in_full_and_one_incremental_share_the_feed(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page(self.ROWS))
        state = state_of(sales_invoices={"row_version": "5"}, sales_invoice_lines={"row_version": "5"})

        run = read(clock, configured("sales_invoices", "sales_invoice_lines:full_refresh"), state)

        assert [one.filter for one in api.asked(INVOICES)] == ["Timestamp gt 1L"]
        assert run.keys("sales_invoice_lines") == ["l1", "l2", "l3"]
        assert "h2" in run.keys("sales_invoices")
        assert run.position("sales_invoices")["row_version"] == "9"

    def test_ledger_headers_are_rows_like_any_other(self, api: ScriptedApi, clock: FakeClock) -> None:
        rows = [row("a", 5, LineNumber=0, EntryID="e"), row("b", 6, LineNumber=1, EntryID="e")]
        api.on("sync/Financial/TransactionLines", page(rows))

        assert read(clock, configured("transaction_lines")).keys("transaction_lines") == ["a", "b"]
