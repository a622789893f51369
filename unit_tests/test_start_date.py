"""The start date: what lies before it is left out, wherever it can be at the server."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from unit_tests.exact_fakes import (
    Answer,
    FakeClock,
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
SYNC_TIMESTAMP = "read/sync/Sync/SyncTimestamp"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


def invoice(key: str, line: int | None, version: int, **columns: Any) -> dict[str, Any]:
    return row(key, version, InvoiceID="i1", LineNumber=line, **columns)


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
        assert run.position("accounts")["row_version"] == "8"

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

    def test_a_feed_with_a_sync_timestamp_begins_at_the_version_of_that_moment(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        api.on(SYNC_TIMESTAMP, page([{"TimeStampAsBigInt": "5000"}]))
        api.on(INVOICES, page([invoice("a", 0, 5000)]))

        run = read(clock, configured("sales_invoices"), start_date=self.START)

        asked = api.asked(SYNC_TIMESTAMP)[0].options
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
    def test_the_sync_timestamp_may_come_in_any_envelope(
        self, api: ScriptedApi, clock: FakeClock, answer: Answer
    ) -> None:
        api.on(SYNC_TIMESTAMP, answer).on(INVOICES, page([]))

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
    def test_without_a_sync_timestamp_the_feed_is_read_from_its_beginning(
        self, api: ScriptedApi, clock: FakeClock, answer: Answer
    ) -> None:
        api.on(SYNC_TIMESTAMP, answer).on(INVOICES, page([invoice("old", 0, 5, Created=None), invoice("new", 0, 6)]))

        run = read(clock, configured("sales_invoices"), start_date=self.START)

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 1L"
        assert run.keys("sales_invoices") == ["old", "new"]
        assert run.error is None
        assert len(api.asked(SYNC_TIMESTAMP)) == 1

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b'{"d": null}', "holds no rows"),
            (b'{"d": {"results": [{"error": {"message": {"value": "Deadlock"}}}]}}', "Deadlock"),
            (b"not JSON", "not JSON"),
        ],
    )
    def test_a_sync_timestamp_that_stays_damaged_does_not_stop_the_feed(
        self, api: ScriptedApi, clock: FakeClock, body: bytes, words: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.on(SYNC_TIMESTAMP, *[Answer(body=body)] * 6).on(INVOICES, page([invoice("new", 0, 6)]))

        run = read(clock, configured("sales_invoices"), start_date=self.START)

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 1L"
        assert run.statuses == {"sales_invoices": "COMPLETE"}
        assert [line for line in caplog.messages if words in line and "from its beginning" in line]

    def test_a_sync_timestamp_that_was_damaged_once_is_asked_for_again(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        damaged = Answer(body=b'{"d": {"results": [{"error": {"message": {"value": "Deadlock"}}}]}}')
        api.on(SYNC_TIMESTAMP, damaged, page([{"TimeStampAsBigInt": "5000"}])).on(INVOICES, page([]))

        read(clock, configured("sales_invoices"), start_date=self.START)

        assert api.asked(INVOICES)[0].filter == "Timestamp gt 4999L"

    def test_a_feed_with_a_row_version_needs_no_sync_timestamp(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(INVOICES, page([]))
        state = state_of(sales_invoices={"cursor": "2025-03-02T00:00:00.000", "row_version": "77"})

        read(clock, configured("sales_invoices"), state, start_date=self.START)

        assert api.asked(SYNC_TIMESTAMP) == []
        assert api.asked(INVOICES)[0].filter == "Timestamp gt 77L"

    def test_a_later_start_date_holds_for_an_older_cursor_too(self, api: ScriptedApi, clock: FakeClock) -> None:
        api.on(JOURNALS, page([]))

        read(
            clock,
            configured("journals"),
            state_of(journals={"cursor": "2024-01-01T00:00:00.000"}),
            start_date=self.START,
        )

        assert "datetime'2025-03-01T10:00:00'" in str(api.asked(JOURNALS)[0].filter)


class TestChangedStartDate:
    """Rows that another start date has left out are read once they are wanted."""

    ROWS = (
        row("january", 5, "2025-01-15T10:00:00"),
        row("february", 6, "2025-02-15T10:00:00"),
        row("march", 7, "2025-03-01T10:00:00"),
    )
    FEBRUARY, MARCH = "2025-02-01T00:00:00Z", "2025-03-01T00:00:00Z"

    @pytest.fixture(autouse=True)
    def served(self, api: ScriptedApi) -> None:
        """The three rows, as far as a filter lets them through."""

        def answer_to(sent: Sent) -> Answer:
            condition = sent.filter or ""
            if "Timestamp" in condition:
                version = int(condition.removeprefix("Timestamp gt ").removesuffix("L"))
                return page([one for one in self.ROWS if int(one["Timestamp"]) > version])
            first = date_json(condition.split("'")[1]) if condition else ""
            return page([one for one in self.ROWS if one["Modified"] >= first])

        api.serve(ACCOUNTS, answer_to).serve(JOURNALS, answer_to)

    @pytest.mark.parametrize("stream", ["accounts", "journals"])
    @pytest.mark.parametrize("earlier", [{"start_date": FEBRUARY}, {}], ids=["earlier", "taken away"])
    def test_an_earlier_one_reads_again_with_a_line_that_says_so(
        self, clock: FakeClock, stream: str, earlier: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        first = read(clock, configured(stream), start_date=self.MARCH)

        second = read(clock, configured(stream), first.state, **earlier)
        caplog.clear()
        third = read(clock, configured(stream), second.state, **earlier)

        everything = ["january", "february", "march"]
        assert first.keys(stream) == ["march"]
        assert second.keys(stream) == (everything[1:] if earlier else everything)
        assert set(third.keys(stream)) <= {"march"}
        assert not [line for line in caplog.messages if "start_date is earlier" in line]

    def test_the_line_is_logged_once_for_all_divisions(
        self, api: ScriptedApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        api.divisions(123, 456)
        first = read(clock, configured("journals", "accounts"), start_date=self.MARCH)

        read(clock, configured("journals", "accounts:full_refresh"), first.state, start_date=self.FEBRUARY)

        lines = [line for line in caplog.messages if "start_date is earlier" in line]
        assert lines == ["start_date is earlier than it was: reading journals again from there."]

    @pytest.mark.parametrize("stream", ["accounts", "journals"])
    @pytest.mark.parametrize(("before", "after"), [(FEBRUARY, MARCH), (None, FEBRUARY)])
    def test_a_later_one_goes_on_from_the_cursor(
        self, clock: FakeClock, stream: str, before: str | None, after: str
    ) -> None:
        first = read(clock, configured(stream), **({"start_date": before} if before else {}))

        second = read(clock, configured(stream), first.state, start_date=after)
        third = read(clock, configured(stream), second.state, **({"start_date": before} if before else {}))

        assert set(second.keys(stream)) | set(third.keys(stream)) <= {"march"}, "the window alone is read again"

    def test_a_later_one_ahead_of_the_cursor_is_remembered(self, api: ScriptedApi, clock: FakeClock) -> None:
        """What it left out was not read before either."""
        state = state_of(journals={"cursor": "2025-01-15T10:00:00.000"}, accounts={"row_version": "5"})
        streams = configured("journals", "accounts")
        later = read(clock, streams, state, start_date=self.MARCH)

        run = read(clock, streams, later.state)

        for stream in ("journals", "accounts"):
            assert later.keys(stream) == ["march"]
            assert set(run.keys(stream)) >= {"february", "march"}
