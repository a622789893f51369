"""Listings, seen from outside: given this config and this state, when read, expect these requests and these records."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest
from airbyte_cdk.models import FailureType

from unit_tests.exact_fakes import (
    BASE_URL,
    Answer,
    FakeClock,
    Run,
    ScriptedApi,
    Sent,
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
LOOK_UP = "read/sync/Sync/SyncTimestamp"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


def invoice(key: str, line: int | None, version: int, **columns: Any) -> dict[str, Any]:
    return row(key, version, InvoiceID="i1", LineNumber=line, **columns)


class TestFeed:
    def test_a_first_read_begins_at_row_version_one(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 5), row("b", 9)]))

        run = read(clock, configured("accounts"))

        assert [one.filter for one in api.asked(ACCOUNTS)] == ["Timestamp gt 1L"]
        assert run.keys("accounts") == ["a", "b"]
        assert run.position("accounts")["Timestamp"] == "9"

    def test_the_next_read_asks_for_what_changed_since(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 9_007_199_254_740_993)]), page([]))
        first = read(clock, configured("accounts"))

        run = read(clock, configured("accounts"), first.state, read_deletions=False)

        assert api.asked(ACCOUNTS)[1].filter == "Timestamp gt 9007199254740993L"
        assert run.records("accounts") == []
        assert run.position("accounts") == {
            **first.position("accounts"),
            "read_at": run.position("accounts")["read_at"],
            "before": run.position("accounts")["before"],
        }

    def test_the_highest_row_version_counts_in_whatever_order_they_come(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.on(ACCOUNTS, page([row("a", 70), row("b", 90)], more="1"), page([row("c", 80)]))

        assert read(clock, configured("accounts")).position("accounts")["Timestamp"] == "90"

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


class TestStartDate:
    START = "2025-03-01T09:00:00Z"  # 10:00 in Amsterdam

    def test_rows_before_it_are_dropped_and_the_one_at_it_is_not(self, api: ScriptedApi, clock: FakeClock) -> None:
        rows = [
            row("before", 5, "2025-03-01T09:59:59.999"),
            row("at", 6, "2025-03-01T10:00:00"),
            row("after", 7, "2025-03-01T10:00:01"),
            row("undated", 8, None),
        ]
        api.on(ACCOUNTS, page(rows))

        run = read(clock, configured("accounts"), start_date=self.START)

        assert run.keys("accounts") == ["at", "after", "undated"]
        assert run.position("accounts")["Timestamp"] == "8"

    @pytest.mark.parametrize(("stream", "path"), [("accounts", ACCOUNTS), ("journals", JOURNALS)])
    def test_it_counts_to_the_millisecond(self, api: ScriptedApi, clock: FakeClock, stream: str, path: str) -> None:
        api.on(path, page([row("a", 5, "2025-03-01T10:00:00.499"), row("b", 6, "2025-03-01T10:00:00.500")]))

        run = read(clock, configured(stream), start_date="2025-03-01T09:00:00.500Z")

        assert run.keys(stream) == ["b"]

    @pytest.mark.parametrize(
        ("start", "first"),
        [
            ("2024-10-27T00:50:00Z", "02:00:00"),  # 02:50, and 02:00 comes once more
            ("2024-10-27T01:20:00Z", "02:20:00"),
            ("2024-10-26T23:50:00Z", "01:50:00"),
        ],
    )
    def test_in_the_hour_shown_twice_nothing_after_it_is_left_out(
        self, api: ScriptedApi, clock: FakeClock, start: str, first: str
    ) -> None:
        api.on(JOURNALS, page([row("a", modified=f"2024-10-27T{first}")]))

        run = read(clock, configured("journals"), start_date=start)

        assert str(api.asked(JOURNALS)[0].filter).startswith(f"Modified ge datetime'2024-10-27T{first}'")
        assert run.keys("journals") == ["a"]

    def test_a_list_filters_at_the_server(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([]))

        read(clock, configured("journals"), start_date=self.START)

        assert str(api.asked(JOURNALS)[0].filter).startswith("Modified ge datetime'2025-03-01T10:00:00'")

    def test_a_feed_that_can_be_looked_up_begins_at_the_version_of_that_moment(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.on(LOOK_UP, page([{"TimeStampAsBigInt": "5000"}]))
        api.on(INVOICES, page([invoice("a", 0, 5000)]))

        run = read(clock, configured("sales_invoices"), start_date=self.START)

        asked = api.asked(LOOK_UP)[0].options
        assert (asked["modified"], asked["endPoint"]) == ("datetime'2025-03-01T10:00:00'", "'SalesInvoices'")
        assert api.asked(INVOICES)[0].filter == "Timestamp gt 4999L", "its own row included"
        assert run.keys("sales_invoices") == ["a"]

    @pytest.mark.parametrize(
        "answer",
        [
            page([{"TimeStampAsBigInt": "5000"}]),
            page([{"TimeStampAsBigInt": 5000}]),
            Answer(body=b'{"d": [{"TimeStampAsBigInt": "5000"}]}'),
            Answer(body=b'{"d": {"TimeStampAsBigInt": "5000"}}'),
        ],
    )
    def test_the_look_up_may_answer_in_any_envelope(self, api: ScriptedApi, clock: FakeClock, answer: Answer) -> None:
        api.on(LOOK_UP, answer).on(INVOICES, page([]))

        read(clock, configured("sales_invoices"), start_date=self.START)

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 4999L"

    @pytest.mark.parametrize(
        "answer",
        [
            page([]),
            Answer(body=b'{"d": []}'),
            page([{"TimeStampAsBigInt": None}]),
            page([{}]),
            refusal(403, "Forbidden"),
            refusal(404),
            refusal(400, "Bad Request"),
        ],
    )
    def test_without_an_answer_the_feed_is_read_from_its_beginning(
        self, api: ScriptedApi, clock: FakeClock, answer: Answer
    ) -> None:
        api.on(LOOK_UP, answer).on(INVOICES, page([invoice("old", 0, 5, Created=None), invoice("new", 0, 6)]))

        run = read(clock, configured("sales_invoices"), start_date=self.START)

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 1L"
        assert run.keys("sales_invoices") == ["old", "new"]
        assert run.error is None
        assert len(api.asked(LOOK_UP)) == 1

    def test_an_answer_that_is_none_does_not_stop_the_feed(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(LOOK_UP, *[Answer(body=b'{"d": null}')] * 6).on(INVOICES, page([invoice("new", 0, 6)]))

        run = read(clock, configured("sales_invoices"), start_date=self.START)

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 1L"
        assert run.error is None

    def test_a_feed_with_a_row_version_needs_no_look_up(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page([]))
        state = state_of(sales_invoices={"Modified": "2025-03-02T00:00:00.000", "Timestamp": "77"})

        read(clock, configured("sales_invoices"), state, start_date=self.START)

        assert api.asked(LOOK_UP) == []
        assert api.asked(INVOICES)[0].filter == "Timestamp gt 77L"

    def test_a_later_start_date_holds_for_an_older_cursor_too(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([]))

        read(
            clock,
            configured("journals"),
            state_of(journals={"Modified": "2024-01-01T00:00:00.000"}),
            start_date=self.START,
        )

        assert "datetime'2025-03-01T10:00:00'" in str(api.asked(JOURNALS)[0].filter)


class TestList:
    def test_a_first_read_asks_for_everything(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([row("a"), row("b", modified=None)]))

        run = read(clock, configured("journals"))

        assert api.asked(JOURNALS)[0].filter is None
        assert run.keys("journals") == ["a", "b"]
        assert run.position("journals")["Modified"] == "2025-03-01T10:00:00.000"

    def test_the_next_read_begins_a_lookback_before_the_cursor(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([row("a")]), page([row("b", modified="2025-03-01T08:30:00")]))
        first = read(clock, configured("journals"))

        run = read(clock, configured("journals"), first.state, lookback_window_minutes=90)

        assert str(api.asked(JOURNALS)[1].filter).startswith("Modified ge datetime'2025-03-01T08:30:00'")
        assert run.keys("journals") == ["b"]
        assert run.position("journals")["Modified"] == "2025-03-01T10:00:00.000"

    def test_rows_without_a_date_are_not_hidden_by_the_filter(self, api: ScriptedApi, clock: FakeClock) -> None:
        """A row with Modified null is in no range of Modified."""
        api.on(JOURNALS, page([row("a"), row("undated", modified=None)]), page([]))
        first = read(clock, configured("journals"))

        read(clock, configured("journals"), first.state)

        assert str(api.asked(JOURNALS)[1].filter).endswith(" or Modified eq null")

    def test_where_exact_does_not_take_null_the_dated_rows_are_read(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.on(JOURNALS, page([row("undated", modified=None), row("a")]))
        api.on(JOURNALS, refusal(400, "Operator 'eq' incompatible with operand types"), page([row("b")]))
        first = read(clock, configured("journals"))

        run = read(clock, configured("journals"), first.state)

        assert run.keys("journals") == ["b"]
        assert "null" not in str(api.asked(JOURNALS)[2].filter)
        assert [line for line in caplog.messages if "without Modified" in line]

    def test_a_date_that_means_none_does_not_stop_a_list(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([{**row("a"), "Modified": "/Date(-62135596800000)/"}]), page([]))
        first = read(clock, configured("journals"))

        run = read(clock, configured("journals"), first.state)

        assert (first.keys("journals"), run.error) == (["a"], None)
        assert api.asked(JOURNALS)[1].filter == "Modified ge datetime'1753-01-01T00:00:00'"

    def test_a_cursor_is_not_later_than_the_begin_of_its_pass(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([row("a")], more="1"), page([row("b", modified="2025-03-03T23:00:00")]))

        assert read(clock, configured("journals")).position("journals")["Modified"] == "2025-03-03T10:00:00.000"

    def test_in_mid_pass_the_state_has_the_old_cursor_and_the_next_page(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.on(JOURNALS, page([row("a", modified="2025-03-02T10:00:00")], more="guid'a'"), refusal(403, "Forbidden"))
        state = state_of(journals={"Modified": "2025-03-01T10:00:00.000"})

        position = read(clock, configured("journals"), state).position("journals")

        assert position["Modified"] == "2025-03-01T10:00:00.000"
        assert position["pass"]["next"].endswith("&$skiptoken=guid'a'")

    def test_an_incremental_filter_that_is_refused_is_replaced_by_our_own(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = "Filtering on these fields is not supported: Modified"
        rows = [row("old", modified="2025-03-01T07:59:59"), row("new", modified="2025-03-01T08:00:00")]
        api.on(JOURNALS, refusal(400, text), page(rows))

        run = read(clock, configured("journals"), state_of(journals={"Modified": "2025-03-01T10:00:00.000"}))

        assert api.asked(JOURNALS)[1].filter is None
        assert run.keys("journals") == ["new"]
        assert run.error is None
        assert [line for line in caplog.messages if text in line]

    def test_a_filter_that_is_demanded_is_one_that_every_row_meets(self, api: ScriptedApi, clock: FakeClock) -> None:
        text = "This endpoint has mandatory filtering applied. ... must have a $filter parameter"
        api.on(JOURNALS, refusal(400, text), page([row("a")]))

        run = read(clock, configured("journals"))

        assert str(api.asked(JOURNALS)[1].filter).startswith("Modified ge datetime'1753-01-01T00:00:00'")
        assert run.keys("journals") == ["a"]

    def test_a_row_that_is_only_read_again_is_not_delivered_again(self, api: ScriptedApi, clock: FakeClock) -> None:
        rows = [row("a", Code="1"), row("b", modified="2025-03-01T09:00:00", Code="2")]
        api.on(JOURNALS, page(rows), page(rows), page([{**rows[0], "Code": "9"}, rows[1]]), page(rows))
        columns = configured("journals", columns=("ID", "Code"))
        runs = [read(clock, columns)]
        for _ in range(3):
            clock.advance(60)
            runs.append(read(clock, columns, runs[-1].state))

        assert [run.keys("journals") for run in runs] == [["a", "b"], [], ["a"], ["a"]]

    def test_a_column_that_was_ticked_since_makes_a_row_a_new_one(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.always(JOURNALS, page([row("a", Code="1")]))
        first = read(clock, configured("journals"))

        second = read(clock, configured("journals", columns=("ID", "Code")), first.state)

        assert [record["Code"] for record in second.records("journals")] == ["1"]

    def test_a_row_delivered_in_a_pass_that_broke_off_is_delivered_by_the_next(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        """Whether the destination has kept it, nobody knows."""
        columns = configured("journals", columns=("ID", "Code"))
        api.on(JOURNALS, page([row("a", Code="1")]))
        first = read(clock, columns)
        api.on(JOURNALS, page([row("a", Code="2")], more="1"), *[refusal(500)] * 6)
        broken = read(clock, columns, first.state)
        api.on(JOURNALS, refusal(400, "Bad Request - Error in query syntax."), page([row("a", Code="2")]))

        last = read(clock, columns, broken.state)

        assert [record["Code"] for record in last.records("journals")] == ["2"]

    @pytest.mark.parametrize("text", ["mandatory filtering applied", "Filtering on these fields is not supported"])
    def test_a_demand_that_cannot_be_met_is_not_tried_again_and_again(
        self, api: ScriptedApi, clock: FakeClock, text: str
    ) -> None:
        api.always(JOURNALS, refusal(400, text))

        run = read(clock, configured("journals"), state_of(journals={"Modified": "2025-03-01T10:00:00.000"}))

        assert run.error is not None
        assert len(api.asked(JOURNALS)) <= 2


class TestColumns:
    TEXT = "De kolom 'Description' bestaat niet."

    def test_a_refused_column_is_dropped_once_with_a_warning(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.divisions(123, 456)
        api.on(JOURNALS, refusal(400, self.TEXT), page([row("a", Code="10")]), division=123)
        api.on(JOURNALS, page([row("b", Code="20")]), division=456)

        run = read(clock, configured("journals", columns=("ID", "Code", "Description")))

        assert [("Description" in one.select) for one in api.asked(JOURNALS)] == [True, False, False]
        assert sorted(record["Code"] for record in run.records("journals")) == ["10", "20"]
        assert run.error is None
        warned = [one for one in caplog.records if one.levelno == logging.WARNING and "Description" in one.message]
        assert len(warned) == 1

    def test_two_divisions_that_refuse_at_once_cost_a_refusal_each(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456)
        for division, key in ((123, "a"), (456, "b")):
            api.on(JOURNALS, refusal(400, self.TEXT), page([row(key)]), division=division)
        together = threading.Barrier(2, timeout=10)

        def wait_for_each_other(sent: Sent) -> None:
            if sent.path == JOURNALS and "Description" in sent.select:
                together.wait()

        api.before = wait_for_each_other

        run = read(clock, configured("journals", columns=("ID", "Description")), num_workers=2)

        assert sorted(run.keys("journals")) == ["a", "b"]
        assert run.error is None

    @pytest.mark.parametrize("text", ["The column 'ID' cannot be selected.", "Bad Request - Error in query syntax."])
    def test_a_refusal_that_names_no_column_to_spare_is_an_error(
        self, api: ScriptedApi, clock: FakeClock, text: str
    ) -> None:
        api.on(JOURNALS, refusal(400, text))

        run = read(clock, configured("journals", columns=("ID", "Code")))

        assert run.error is not None
        assert text in str(run.error.message)
        assert run.statuses == {"journals": "INCOMPLETE"}

    def test_unticked_columns_are_off_the_wire(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([]))

        read(clock, configured("journals", columns=("Code",)))

        assert set(api.asked(JOURNALS)[0].select) == {"ID", "Modified", "Code"}


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
        state = state_of(sales_invoices={"Timestamp": "107"}, sales_invoice_lines={"Timestamp": "100"})

        run = read(clock, configured("sales_invoices", "sales_invoice_lines"), state)

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 100L"
        assert run.keys("sales_invoice_lines") == ["l1", "l2", "l3"]
        assert "h2" in run.keys("sales_invoices")

    def test_a_stream_added_later_gets_all_its_rows(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page(self.ROWS))

        run = read(
            clock, configured("sales_invoices", "sales_invoice_lines"), state_of(sales_invoices={"Timestamp": "9"})
        )

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 1L"
        assert run.keys("sales_invoice_lines") == ["l1", "l2", "l3"]

    def test_one_stream_in_full_and_one_incremental_share_the_feed(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page(self.ROWS))
        state = state_of(sales_invoices={"Timestamp": "5"}, sales_invoice_lines={"Timestamp": "5"})

        run = read(clock, configured("sales_invoices", "sales_invoice_lines:full_refresh"), state)

        assert [one.filter for one in api.asked(INVOICES)] == ["Timestamp gt 1L"]
        assert run.keys("sales_invoice_lines") == ["l1", "l2", "l3"]
        assert "h2" in run.keys("sales_invoices")
        assert run.position("sales_invoices")["Timestamp"] == "9"

    def test_ledger_headers_are_rows_like_any_other(self, api: ScriptedApi, clock: FakeClock) -> None:
        rows = [row("a", 5, LineNumber=0, EntryID="e"), row("b", 6, LineNumber=1, EntryID="e")]
        api.on("sync/Financial/TransactionLines", page(rows))

        assert read(clock, configured("transaction_lines")).keys("transaction_lines") == ["a", "b"]


class TestResuming:
    """A pass that broke off goes on at the page it had reached."""

    def broken_off(self, api: ScriptedApi, clock: FakeClock, path: str, stream: str, *, mode: str) -> Run:
        """Two pages are read, the third is not to be had."""
        api.on(path, page([row("a", 5)], more="a"), page([row("b", 6)], more="b"), *[refusal(500)] * 6)
        run = read(clock, configured(stream, mode=mode))
        assert run.error is not None
        assert run.keys(stream) == ["a", "b"]
        return run

    @pytest.mark.parametrize("mode", ["incremental", "full_refresh"])
    @pytest.mark.parametrize(("path", "stream"), [(ACCOUNTS, "accounts"), (JOURNALS, "journals")])
    def test_it_goes_on_where_it_stopped(
        self, api: ScriptedApi, clock: FakeClock, path: str, stream: str, mode: str
    ) -> None:
        broken = self.broken_off(api, clock, path, stream, mode=mode)
        count = len(api.asked(path))
        api.on(path, page([row("c", 7)]))

        run = read(clock, configured(stream, mode=mode), broken.state)

        assert [one.options["$skiptoken"] for one in api.asked(path)[count:]] == ["b"]
        assert run.keys(stream) == ["c"]
        assert run.statuses == {stream: "COMPLETE"}

    def test_the_cursor_of_a_resumed_pass_is_that_of_its_begin(self, api: ScriptedApi, clock: FakeClock) -> None:
        broken = self.broken_off(api, clock, JOURNALS, "journals", mode="incremental")
        clock.advance(3 * 86_400)
        api.on(JOURNALS, page([row("c", modified="2025-03-06T09:00:00")]))

        run = read(clock, configured("journals"), broken.state)

        assert run.position("journals")["Modified"] == "2025-03-03T10:00:00.000"

    def test_rows_of_the_pages_before_the_break_count_for_the_cursor(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 900)], more="a"), *[refusal(500)] * 6, page([row("b", 5)]))
        broken = read(clock, configured("accounts"))

        run = read(clock, configured("accounts"), broken.state)

        assert run.position("accounts")["Timestamp"] == "900"

    def test_with_other_columns_it_begins_afresh(self, api: ScriptedApi, clock: FakeClock) -> None:
        """Rows delivered before would lack the new column."""
        broken = self.broken_off(api, clock, ACCOUNTS, "accounts", mode="incremental")
        api.on(ACCOUNTS, page([row("a", 5, Name="A")]))

        run = read(clock, configured("accounts", columns=("ID", "Name")), broken.state)

        assert "$skiptoken" not in api.asked(ACCOUNTS)[-1].options
        assert [record["Name"] for record in run.records("accounts")] == ["A"]

    def test_a_link_that_exact_no_longer_takes_is_given_up(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = self.broken_off(api, clock, ACCOUNTS, "accounts", mode="incremental")
        api.on(ACCOUNTS, refusal(400, "Bad Request - Error in query syntax."), page([row("a", 5), row("c", 7)]))

        run = read(clock, configured("accounts"), broken.state)

        assert run.keys("accounts") == ["a", "c"]
        assert run.error is None
        assert [line for line in caplog.messages if "resumed" in line]

    def test_a_link_that_fails_in_a_second_run_as_well_is_given_up(self, api: ScriptedApi, clock: FakeClock) -> None:
        """The first time it may be a bad day of Exact's, and the pages read so far are worth waiting for."""
        broken = self.broken_off(api, clock, ACCOUNTS, "accounts", mode="incremental")
        api.on(ACCOUNTS, *[refusal(500)] * 6)
        again = read(clock, configured("accounts"), broken.state)
        assert again.statuses == {"accounts": "INCOMPLETE"}
        assert {one.options["$skiptoken"] for one in api.asked(ACCOUNTS)[-6:]} == {"b"}
        api.on(ACCOUNTS, *[refusal(500)] * 6, page([row("a", 5), row("c", 7)]))

        run = read(clock, configured("accounts"), again.state)

        assert run.keys("accounts") == ["a", "c"]
        assert run.statuses == {"accounts": "COMPLETE"}

    def test_a_link_that_failed_once_goes_on_where_it_stopped(self, api: ScriptedApi, clock: FakeClock) -> None:
        broken = self.broken_off(api, clock, ACCOUNTS, "accounts", mode="incremental")
        api.on(ACCOUNTS, *[refusal(500)] * 6)
        again = read(clock, configured("accounts"), broken.state)
        api.on(ACCOUNTS, page([row("c", 7)]))

        run = read(clock, configured("accounts"), again.state)

        assert run.keys("accounts") == ["c"]

    def test_a_link_to_elsewhere_in_a_state_is_not_followed(self, api: ScriptedApi, clock: FakeClock) -> None:
        under_way = {
            "began": "2025-03-03T08:00:00.000+00:00",
            "sync_mode": "incremental",
            "next": "https://evil.example/api/v1/123/sync/CRM/Accounts?$select=ID,Modified,Timestamp",
            "pages": 3,
        }
        api.on(ACCOUNTS, page([row("a", 5)]))

        run = read(clock, configured("accounts"), state_of(accounts={"pass": under_way}))

        assert {one.url.partition("/api")[0] for one in api.sent} == {BASE_URL}
        assert run.keys("accounts") == ["a"]

    @pytest.mark.parametrize("other", ["/456/financial/Journals", "/123/financial/GLAccounts"])
    def test_a_link_to_other_rows_in_a_state_is_not_followed(
        self, api: ScriptedApi, clock: FakeClock, other: str
    ) -> None:
        api.on(JOURNALS, page([row("a")], more="7"), *[refusal(500)] * 6, page([row("b")]))
        document = json.loads(json.dumps(read(clock, configured("journals")).position("journals")))
        document["pass"]["next"] = document["pass"]["next"].replace("/123/financial/Journals", other)

        run = read(clock, configured("journals"), state_of(journals=document))

        assert run.keys("journals") == ["b"]
        assert "$skiptoken" not in api.asked(JOURNALS)[-1].options

    def test_a_pass_of_the_other_mode_is_not_gone_on_with(self, api: ScriptedApi, clock: FakeClock) -> None:
        broken = self.broken_off(api, clock, ACCOUNTS, "accounts", mode="full_refresh")
        api.on(ACCOUNTS, page([row("a", 5), row("b", 6), row("c", 7)]))

        assert read(clock, configured("accounts"), broken.state).keys("accounts") == ["a", "b", "c"]
        assert "$skiptoken" not in api.asked(ACCOUNTS)[-1].options

    @pytest.mark.parametrize(("first", "second"), [("incremental", "incremental"), ("incremental", "full_refresh")])
    def test_two_streams_of_one_feed_go_on_together(
        self, api: ScriptedApi, clock: FakeClock, first: str, second: str
    ) -> None:
        streams = configured(f"sales_invoices:{first}", f"sales_invoice_lines:{second}")
        api.on(INVOICES, page([invoice("h1", 0, 5), invoice("l1", 1, 6)], more="a"), *[refusal(500)] * 6)
        broken = read(clock, streams)
        api.on(INVOICES, page([invoice("h2", 0, 7), invoice("l2", 1, 8)]))

        run = read(clock, streams, broken.state)

        assert api.asked(INVOICES)[-1].options.get("$skiptoken") == "a"
        assert (run.keys("sales_invoices"), run.keys("sales_invoice_lines")) == (["h2"], ["l2"])

    def test_they_do_not_when_only_one_was_in_the_pass(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page([invoice("h1", 0, 5), invoice("l1", 1, 6)], more="a"), *[refusal(500)] * 6)
        broken = read(clock, configured("sales_invoices"))
        api.on(INVOICES, page([invoice("h1", 0, 5), invoice("l1", 1, 6)]))

        run = read(clock, configured("sales_invoices", "sales_invoice_lines"), broken.state)

        assert run.keys("sales_invoice_lines") == ["l1"]

    def test_broken_off_after_any_message_no_row_is_lost(self, api: ScriptedApi, clock: FakeClock) -> None:
        """The states of two streams are two messages: a run may die between them, and the slower one counts."""
        streams = configured("sales_invoices", "sales_invoice_lines")
        pages = [[invoice(f"h{n}", 0, 10 * n), invoice(f"l{n}", 1, 10 * n + 1)] for n in (1, 2, 3)]
        api.listing(INVOICES, *pages)
        whole = read(clock, streams)
        assert whole.error is None

        for count in range(len(whole.messages) + 1):
            kept = whole.keys_saved_after(count)
            rest = read(clock, streams, whole.state_after(count))
            delivered = kept | {*rest.keys("sales_invoices"), *rest.keys("sales_invoice_lines")}
            assert delivered == {row["ID"] for rows in pages for row in rows}, f"broken off after message {count}"

    def test_two_streams_in_different_passes_begin_afresh(self, api: ScriptedApi, clock: FakeClock) -> None:
        """The page that one had reached may lie behind rows that the other still lacks."""
        broken = []
        for stream in ("sales_invoices", "sales_invoice_lines"):
            api.on(INVOICES, page([invoice("h1", 0, 5), invoice("l1", 1, 6)], more="a"), *[refusal(500)] * 6)
            broken += read(clock, configured(stream)).state
            clock.advance(3600)
        api.on(INVOICES, page([]))

        read(clock, configured("sales_invoices", "sales_invoice_lines"), broken)

        assert "$skiptoken" not in api.asked(INVOICES)[-1].options


class TestFullRefresh:
    def test_it_ignores_the_cursor(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 5)])).on(JOURNALS, page([row("b")]))
        state = state_of(accounts={"Timestamp": "99"}, journals={"Modified": "2025-03-01T10:00:00.000"})

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


class TestLoginListing:
    def test_divisions_are_read_once_for_the_login(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, 456, 789)

        run = read(clock, configured("divisions", columns=("Code", "Description")), exclude_divisions=[456])

        assert run.keys("divisions", "Division") == [123, 789]
        assert [record["Description"] for record in run.records("divisions")] == ["Company 123", "Company 789"]
        assert run.records("divisions")[0]["Code"] == 123

    def test_a_snapshot_is_read_whole_each_time(self, api: ScriptedApi, clock: FakeClock) -> None:
        first = read(clock, configured("divisions", columns=("Code",)))

        run = read(clock, configured("divisions", columns=("Code",)), first.state)

        assert run.keys("divisions", "Division") == [123]
        assert all(one.filter is None for one in api.sent)


class TestMovedDivision:
    MOVED = "/Date(1740787200000)/"

    def test_row_versions_of_the_old_database_are_given_up(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.on(ACCOUNTS, page([row("a", 900)]), page([row("a", 3), row("b", 4)]))
        first = read(clock, configured("accounts"))
        api.divisions(123, DivisionMoveDate=self.MOVED)

        run = read(clock, configured("accounts"), first.state, read_deletions=False)

        assert api.asked(ACCOUNTS)[1].filter == "Timestamp gt 1L"
        assert run.keys("accounts") == ["a", "b"]
        assert run.position("accounts")["Timestamp"] == "4"
        assert [line for line in caplog.messages if "moved" in line and "123" in line]

    def test_a_feed_that_can_be_looked_up_goes_on_from_its_last_modified(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        state = state_of(sales_invoices={"Modified": "2025-03-01T10:00:00.000", "Timestamp": "900", "moved": ""})
        api.divisions(123, DivisionMoveDate=self.MOVED)
        api.on(LOOK_UP, page([{"TimeStampAsBigInt": "50"}])).on(INVOICES, page([invoice("a", 0, 50)]))

        run = read(clock, configured("sales_invoices"), state, lookback_window_minutes=120)

        assert api.asked(LOOK_UP)[0].options["modified"] == "datetime'2025-03-01T08:00:00'"
        assert api.asked(INVOICES)[0].filter == "Timestamp gt 49L"
        assert run.position("sales_invoices")["Timestamp"] == "50"

    def test_a_move_seen_before_changes_nothing(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.divisions(123, DivisionMoveDate=self.MOVED)
        api.on(ACCOUNTS, page([row("a", 900)]), page([]))
        first = read(clock, configured("accounts"))

        read(clock, configured("accounts"), first.state, read_deletions=False)

        assert api.asked(ACCOUNTS)[1].filter == "Timestamp gt 900L"

    def test_a_pass_of_the_old_database_is_not_resumed(self, api: ScriptedApi, clock: FakeClock) -> None:
        for mode in ("incremental", "full_refresh"):
            api.divisions(123)
            api.on(ACCOUNTS, page([row("a", 900)], more="a"), *[refusal(500)] * 6)
            broken = read(clock, configured("accounts", mode=mode))
            api.divisions(123, DivisionMoveDate=self.MOVED)
            api.on(ACCOUNTS, page([row("a", 3), row("b", 4)]))

            run = read(clock, configured("accounts", mode=mode), broken.state)

            assert run.keys("accounts") == ["a", "b"], mode

    def test_where_exact_tells_no_move_date_nothing_is_given_up(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.always("system/Divisions", refusal(403, "Application Scope Violated"))
        api.always("hrm/Divisions", page([{"Code": 123, "Description": "x"}]))
        api.on(ACCOUNTS, page([]))

        read(clock, configured("accounts"), state_of(accounts={"Timestamp": "900", "moved": ""}))

        assert api.asked(ACCOUNTS)[0].filter == "Timestamp gt 900L"


class TestMoveUnseen:
    """Where Exact does not tell when divisions were moved, and later does."""

    EARLIER = date_json("2025-02-01T10:00:00")
    SINCE = date_json("2025-03-03T10:30:00")

    @staticmethod
    def hide(api: ScriptedApi) -> None:
        api.always("system/Divisions", refusal(403, "Application Scope Violated"))
        api.always("hrm/Divisions", page([{"Code": 123, "Description": "x"}]))

    def read_in_the_dark(self, api: ScriptedApi, clock: FakeClock, before: Run | None = None) -> Run:
        self.hide(api)
        run = read(clock, configured("accounts"), before and before.state, read_deletions=False)
        clock.advance(3600)
        return run

    def test_a_move_since_the_first_reading_is_followed(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 900)]), page([row("a", 3), row("b", 4)]), page([]))
        first = self.read_in_the_dark(api, clock)
        api.divisions(123, DivisionMoveDate=self.SINCE)

        run = read(clock, configured("accounts"), first.state, read_deletions=False)
        read(clock, configured("accounts"), run.state, read_deletions=False)

        assert [one.filter for one in api.asked(ACCOUNTS)[1:]] == ["Timestamp gt 1L", "Timestamp gt 4L"]
        assert run.keys("accounts") == ["a", "b"]

    def test_what_was_read_in_the_dark_proves_nothing(self, api: ScriptedApi, clock: FakeClock) -> None:
        """Row "b" was changed after the move, before the second reading in the dark, which found another one."""
        state = state_of(sales_invoices={"Modified": "2025-03-01T10:00:00.000", "Timestamp": "900", "moved": ""})
        late = {**invoice("z", 0, 950), "Modified": date_json("2025-03-03T09:50:00")}
        api.on(INVOICES, page([late]), page([]), page([]))
        self.hide(api)
        second = read(clock, configured("sales_invoices"), state)
        clock.advance(3600)
        third = read(clock, configured("sales_invoices"), second.state)
        api.divisions(123, DivisionMoveDate=self.EARLIER)
        api.on(LOOK_UP, page([{"TimeStampAsBigInt": "50"}]))

        read(clock, configured("sales_invoices"), third.state, lookback_window_minutes=0)

        assert api.asked(LOOK_UP)[0].options["modified"] == "datetime'2025-03-01T10:00:00'"

    @pytest.mark.parametrize("moved", [None, EARLIER])
    def test_a_move_before_the_first_reading_changes_nothing(
        self, api: ScriptedApi, clock: FakeClock, moved: str | None
    ) -> None:
        api.on(ACCOUNTS, page([row("a", 900)]), page([]), page([]))
        second = self.read_in_the_dark(api, clock, self.read_in_the_dark(api, clock))
        api.divisions(123, DivisionMoveDate=moved)

        run = read(clock, configured("accounts"), second.state, read_deletions=False)

        assert api.asked(ACCOUNTS)[2].filter == "Timestamp gt 900L"
        assert "unwatched_since" not in run.position("accounts")


class TestCutShort:
    """What ends in the middle is never called complete."""

    @pytest.mark.parametrize(
        "end",
        [
            [refusal(403, "Forbidden")],
            [refusal(404)],
            [Answer(200, b'{"d": null}')] * 6,
            [refusal(500)] * 6,
        ],
        ids=["forbidden", "not found", "no listing", "server fault"],
    )
    def test_a_listing_that_ends_in_mid_list_is_incomplete(
        self, api: ScriptedApi, clock: FakeClock, end: list[Answer]
    ) -> None:
        api.divisions(123, 456)
        api.on(JOURNALS, page([row("a")], more="1"), *end, division=123).on(JOURNALS, page([row("b")]), division=456)

        run = read(clock, configured("journals"))

        assert run.keys("journals") == ["a", "b"]
        assert run.statuses == {"journals": "INCOMPLETE"}
        assert run.error is not None

    def test_a_link_to_another_host_cuts_the_stream_short(self, api: ScriptedApi, clock: FakeClock) -> None:
        body = json.dumps({"d": {"results": [row("a")], "__next": "https://evil.example/x"}}).encode()
        api.on(JOURNALS, Answer(body=body))

        run = read(clock, configured("journals"))

        assert run.keys("journals") == ["a"]
        assert run.statuses == {"journals": "INCOMPLETE"}
        assert run.error is not None
        assert run.error.failure_type is not FailureType.config_error
