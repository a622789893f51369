"""A listing that broke off goes on where it was, and begins anew where that cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit_tests.exact_fakes import (
    BASE_URL,
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
JOURNALS = "financial/Journals"
INVOICES = "sync/SalesInvoice/SalesInvoices"
SYNC_TIMESTAMP = "read/sync/Sync/SyncTimestamp"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


def invoice(key: str, line: int | None, version: int, **columns: Any) -> dict[str, Any]:
    return row(key, version, InvoiceID="i1", LineNumber=line, **columns)


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

        assert run.position("journals")["cursor"] == "2025-03-03T10:00:00.000"

    def test_rows_of_the_pages_before_the_break_count_for_the_cursor(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(ACCOUNTS, page([row("a", 900)], more="a"), *[refusal(500)] * 6, page([row("b", 5)]))
        broken = read(clock, configured("accounts"))

        run = read(clock, configured("accounts"), broken.state)

        assert run.position("accounts")["row_version"] == "900"

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
