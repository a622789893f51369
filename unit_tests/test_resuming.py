"""A listing that broke off goes on where it was, and begins anew where that cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit_tests.exact_fakes import (
    BASE_URL,
    Answer,
    FakeClock,
    Run,
    ScriptedApi,
    configured,
    lost,
    page,
    read,
    refusal,
    row,
    state_of,
)

ACCOUNTS = "sync/CRM/Accounts"
JOURNALS = "financial/Journals"
UNITS = "logistics/Units"
INVOICES = "sync/SalesInvoice/SalesInvoices"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


def invoice(key: str, line: int | None, version: int, **columns: Any) -> dict[str, Any]:
    return row(key, version, InvoiceID="i1", LineNumber=line, **columns)


def broken_off(api: ScriptedApi, clock: FakeClock, path: str, stream: str) -> Run:
    """Two pages are read, the third is not available."""
    api.on(path, page([row("a", 5)], more="a"), page([row("b", 6)], more="b"), *[refusal(500)] * 6)
    run = read(clock, configured(stream))
    assert run.statuses == {stream.partition(":")[0]: "INCOMPLETE"}
    assert run.keys(stream.partition(":")[0]) == ["a", "b"]
    return run


class TestFeeds:
    """They go on after the highest row version; links of an earlier run are not needed."""

    @pytest.mark.parametrize("mode", ["incremental", "full_refresh"])
    def test_a_feed_goes_on_after_its_row_version(self, api: ScriptedApi, clock: FakeClock, mode: str) -> None:
        broken = broken_off(api, clock, ACCOUNTS, f"accounts:{mode}")
        count = len(api.asked(ACCOUNTS))
        api.on(ACCOUNTS, page([row("c", 7)]))

        run = read(clock, configured("accounts", mode=mode), broken.state)

        assert [one.filter for one in api.asked(ACCOUNTS)[count:]] == ["Timestamp gt 6L"]
        assert "$skiptoken" not in api.asked(ACCOUNTS)[-1].options
        assert run.keys("accounts") == ["c"]
        assert run.statuses == {"accounts": "COMPLETE"}

    def test_a_full_refresh_that_breaks_off_twice_goes_on_twice(self, api: ScriptedApi, clock: FakeClock) -> None:
        streams = configured("accounts:full_refresh")
        broken = broken_off(api, clock, ACCOUNTS, "accounts:full_refresh")
        api.on(ACCOUNTS, page([row("c", 7)], more="c"), *[refusal(500)] * 6, page([row("d", 8)]))
        again = read(clock, streams, broken.state)

        run = read(clock, streams, again.state)

        assert api.asked(ACCOUNTS)[-1].filter == "Timestamp gt 7L"
        assert (again.keys("accounts"), run.keys("accounts")) == (["c"], ["d"])

    @pytest.mark.parametrize(("first", "then"), [("full_refresh", "incremental"), ("incremental", "full_refresh")])
    def test_in_the_other_sync_mode_it_begins_anew(
        self, api: ScriptedApi, clock: FakeClock, first: str, then: str
    ) -> None:
        broken = broken_off(api, clock, ACCOUNTS, f"accounts:{first}")
        api.on(ACCOUNTS, page([row("a", 5), row("b", 6), row("c", 7)]))

        run = read(clock, configured("accounts", mode=then), broken.state)

        assert api.asked(ACCOUNTS)[-1].filter == "Timestamp gt 1L"
        assert run.keys("accounts") == ["a", "b", "c"]

    @pytest.mark.parametrize(("first", "second"), [("incremental", "incremental"), ("incremental", "full_refresh")])
    def test_two_streams_of_one_feed_go_on_together(
        self, api: ScriptedApi, clock: FakeClock, first: str, second: str
    ) -> None:
        streams = configured(f"sales_invoices:{first}", f"sales_invoice_lines:{second}")
        api.on(INVOICES, page([invoice("h1", 0, 5), invoice("l1", 1, 6)], more="a"), *[refusal(500)] * 6)
        broken = read(clock, streams)
        api.on(INVOICES, page([invoice("h2", 0, 7), invoice("l2", 1, 8)]))

        run = read(clock, streams, broken.state)

        assert api.asked(INVOICES)[-1].filter == "Timestamp gt 6L"
        assert (run.keys("sales_invoices"), run.keys("sales_invoice_lines")) == (["h2"], ["l2"])

    def test_one_that_joins_later_gets_all_its_rows(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page([invoice("h1", 0, 5), invoice("l1", 1, 6)], more="a"), *[refusal(500)] * 6)
        broken = read(clock, configured("sales_invoices"))
        api.on(INVOICES, page([invoice("h1", 0, 5), invoice("l1", 1, 6), invoice("h2", 0, 7)]))

        run = read(clock, configured("sales_invoices", "sales_invoice_lines"), broken.state)

        assert (run.keys("sales_invoices"), run.keys("sales_invoice_lines")) == (["h2"], ["l1"])

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


class TestLists:
    """They go on at the page that they had reached."""

    @pytest.mark.parametrize(("mode", "changes"), [("incremental", [None]), ("full_refresh", [])])
    def test_a_list_goes_on_at_its_page(
        self, api: ScriptedApi, clock: FakeClock, mode: str, changes: list[None]
    ) -> None:
        broken = broken_off(api, clock, JOURNALS, f"journals:{mode}")
        count = len(api.asked(JOURNALS))
        api.on(JOURNALS, page([row("c")])).always(JOURNALS, page([]))

        run = read(clock, configured("journals", mode=mode), broken.state)

        assert [one.options.get("$skiptoken") for one in api.asked(JOURNALS)[count:]] == ["b", *changes]
        assert run.keys("journals") == ["c"]
        assert run.statuses == {"journals": "COMPLETE"}

    def test_the_cursor_is_no_later_than_the_start_of_the_listing(self, api: ScriptedApi, clock: FakeClock) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        clock.advance(3 * 86_400)
        api.on(JOURNALS, page([row("c", modified="2025-03-06T09:00:00")]), page([]))

        run = read(clock, configured("journals"), broken.state)

        assert run.position("journals")["cursor"] == "2025-03-03T10:00:00.000"

    def test_what_changed_since_it_began_is_read_in_the_same_run(self, api: ScriptedApi, clock: FakeClock) -> None:
        """A row of a page that was read before may have changed since: the run that is complete must have it."""
        broken = broken_off(api, clock, JOURNALS, "journals")
        clock.advance(3 * 3600)
        count = len(api.asked(JOURNALS))
        api.on(JOURNALS, page([row("c")]), page([row("a", Description="new")], more="a"), page([row("aa")]))

        run = read(clock, configured("journals"), broken.state)

        started_at = broken.position("journals")["in_progress"]["started_at"]
        assert started_at == "2025-03-03T09:00:00.000+00:00"
        assert api.asked(JOURNALS)[count + 1].filter == "Modified ge datetime'2025-03-03T10:00:00'"
        assert run.keys("journals") == ["c", "a", "aa"]
        assert run.statuses == {"journals": "COMPLETE"}
        assert "in_progress" not in run.position("journals")
        assert run.position("journals")["last_read_at"] == started_at

    def test_a_run_that_dies_while_it_catches_up_does_so_in_the_next_one(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        api.on(JOURNALS, page([row("c")]), *[refusal(500)] * 6)
        again = read(clock, configured("journals"), broken.state)
        api.on(JOURNALS, page([row("c")]), page([row("a", Description="new")]))

        run = read(clock, configured("journals"), again.state)

        assert again.statuses == {"journals": "INCOMPLETE"}
        assert run.keys("journals") == ["c", "a"]
        assert run.statuses == {"journals": "COMPLETE"}

    def test_rows_of_the_pages_before_count_for_the_cursor(self, api: ScriptedApi, clock: FakeClock) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        api.on(JOURNALS, page([row("c", modified="2024-01-01T09:00:00")]), page([]))

        run = read(clock, configured("journals"), broken.state)

        assert run.position("journals")["cursor"] == "2025-03-01T10:00:00.000"
        assert "in_progress" not in run.position("journals")

    def test_with_columns_that_were_added_it_begins_anew(self, api: ScriptedApi, clock: FakeClock) -> None:
        """Rows delivered before lack the new column."""
        broken = broken_off(api, clock, JOURNALS, "journals")
        api.on(JOURNALS, page([row("a", Code="A")]))

        run = read(clock, configured("journals", columns=("ID", "Code")), broken.state)

        assert "$skiptoken" not in api.asked(JOURNALS)[-1].options
        assert [record["Code"] for record in run.records("journals")] == ["A"]

    def test_with_fewer_columns_it_goes_on(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([row("a", Code="A")], more="a"), *[refusal(500)] * 6, page([row("b", Code="B")]))
        broken = read(clock, configured("journals", columns=("ID", "Code")))

        api.on(JOURNALS, page([]))

        run = read(clock, configured("journals"), broken.state)

        assert api.asked(JOURNALS)[-2].options["$skiptoken"] == "a"
        assert "Code" not in run.records("journals")[0]

    @pytest.mark.parametrize(
        "answers",
        [
            [refusal(400, "Bad Request - Error in query syntax.")],
            [refusal(500)] * 6,
            [Answer(body=b"{")] * 6,
            [Answer(body=b'{"d": {"results": [{"ID": null}]}}')] * 6,
        ],
        ids=["refused", "server fault", "cut off", "a row without its key"],
    )
    def test_a_page_that_fails_for_good_makes_it_begin_anew_in_the_same_run(
        self, api: ScriptedApi, clock: FakeClock, answers: list[Answer], caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        api.on(JOURNALS, *answers, page([row("a")], more="x"), page([row("c")]))

        run = read(clock, configured("journals"), broken.state)

        assert run.keys("journals") == ["a", "c"]
        assert run.statuses == {"journals": "COMPLETE"}
        assert [line for line in caplog.messages if "cannot go on in mid-list" in line]
        assert api.asked(JOURNALS)[-1].options["$skiptoken"] == "x"

    def test_it_begins_anew_once(self, api: ScriptedApi, clock: FakeClock) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        before = len(api.asked(JOURNALS))
        api.always(JOURNALS, Answer(400, refusal(400, "Bad Request - Error in query syntax.").body))

        run = read(clock, configured("journals"), broken.state)

        assert run.statuses == {"journals": "INCOMPLETE"}
        assert [one.options.get("$skiptoken") for one in api.asked(JOURNALS)[before:]] == ["b", None]

    def test_links_in_a_circle_make_it_begin_anew_as_well(self, api: ScriptedApi, clock: FakeClock) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        api.on(JOURNALS, page([row("c")], more="b"), page([row("a"), row("c")]))

        run = read(clock, configured("journals"), broken.state)

        assert run.keys("journals") == ["a", "c"]
        assert run.statuses == {"journals": "COMPLETE"}

    @pytest.mark.parametrize(
        ("answers", "words"),
        [([refusal(403, "Forbidden")], "forbids"), ([lost(), *[refusal(503)] * 300], "not available")],
        ids=["forbidden", "site down"],
    )
    def test_it_does_not_begin_anew_for_what_is_not_the_page_s_fault(
        self, api: ScriptedApi, clock: FakeClock, answers: list[Answer], words: str
    ) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        api.on(JOURNALS, *answers)

        run = read(clock, configured("journals"), broken.state)

        assert {one.options.get("$skiptoken") for one in api.asked(JOURNALS)[8:]} == {"b"}
        assert run.position("journals") == broken.position("journals")
        assert words in str(run.error)

    def test_a_page_after_the_resumed_one_that_fails_does_not_begin_anew(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        api.on(JOURNALS, page([row("c")], more="c"), *[refusal(500)] * 6)

        run = read(clock, configured("journals"), broken.state)

        assert run.keys("journals") == ["c"]
        assert run.statuses == {"journals": "INCOMPLETE"}
        assert run.position("journals")["in_progress"]["next_url"].endswith("$skiptoken=c")

    @pytest.mark.parametrize(
        "other",
        [
            f"{BASE_URL}/api/v1/456/financial/Journals",
            f"{BASE_URL}/api/v1/123/financial/GLAccounts",
            "https://evil.example/api/v1/123/financial/Journals",
            "https://start.exactonline.nl@evil.example/api/v1/123/financial/Journals",
            "https://[start.exactonline.nl/api/v1/123/financial/Journals",
            f"\0{BASE_URL}/api/v1/123/financial/Journals",
            "file:///api/v1/123/financial/Journals",
            "javascript:alert(1)//api/v1/123/financial/Journals",
            "/api/v1/123/financial/Journals",
            "",
        ],
    )
    def test_a_link_to_elsewhere_in_a_state_is_not_followed(
        self, api: ScriptedApi, clock: FakeClock, other: str
    ) -> None:
        broken = broken_off(api, clock, JOURNALS, "journals")
        document = json.loads(json.dumps(broken.position("journals")))
        link = document["in_progress"]["next_url"]
        document["in_progress"]["next_url"] = link.replace(f"{BASE_URL}/api/v1/123/financial/Journals", other)
        api.on(JOURNALS, page([row("a")]))

        run = read(clock, configured("journals"), state_of(journals=document))

        assert run.keys("journals") == ["a"]
        assert "$skiptoken" not in api.asked(JOURNALS)[-1].options
        assert {one.url.partition("/api")[0] for one in api.sent} == {BASE_URL}

    @pytest.mark.parametrize(("first", "then"), [("full_refresh", "incremental"), ("incremental", "full_refresh")])
    def test_in_the_other_sync_mode_it_begins_anew(
        self, api: ScriptedApi, clock: FakeClock, first: str, then: str
    ) -> None:
        broken = broken_off(api, clock, JOURNALS, f"journals:{first}")
        api.on(JOURNALS, page([row("a"), row("b"), row("c")]))

        assert read(clock, configured("journals", mode=then), broken.state).keys("journals") == ["a", "b", "c"]
        assert "$skiptoken" not in api.asked(JOURNALS)[-1].options

    def test_a_snapshot_goes_on_at_its_page_too(self, api: ScriptedApi, clock: FakeClock) -> None:
        streams = configured("units:full_refresh", columns=("ID",))
        api.on(UNITS, page([{"ID": "a"}], more="a"), *[refusal(500)] * 6, page([{"ID": "b"}]))
        broken = read(clock, streams)

        run = read(clock, streams, broken.state)

        assert api.asked(UNITS)[-1].options["$skiptoken"] == "a"
        assert run.keys("units") == ["b"]
