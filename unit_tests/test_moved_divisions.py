"""A division that came to another database is read again from the start."""

from __future__ import annotations

from typing import Any

import pytest

from unit_tests.exact_fakes import (
    FakeClock,
    Run,
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
SYNC_TIMESTAMP = "read/sync/Sync/SyncTimestamp"


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123).always("sync/Deleted", page([]))


def invoice(key: str, line: int | None, version: int, **columns: Any) -> dict[str, Any]:
    return row(key, version, InvoiceID="i1", LineNumber=line, **columns)


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
        assert run.position("accounts")["row_version"] == "4"
        assert [line for line in caplog.messages if "moved" in line and "123" in line]

    def test_a_feed_that_can_be_looked_up_goes_on_from_its_last_modified(
        self, api: ScriptedApi, clock: FakeClock
    ) -> None:
        state = state_of(sales_invoices={"cursor": "2025-03-01T10:00:00.000", "row_version": "900", "moved": ""})
        api.divisions(123, DivisionMoveDate=self.MOVED)
        api.on(SYNC_TIMESTAMP, page([{"TimeStampAsBigInt": "50"}])).on(INVOICES, page([invoice("a", 0, 50)]))

        run = read(clock, configured("sales_invoices"), state, lookback_window_minutes=120)

        assert api.asked(SYNC_TIMESTAMP)[0].options["modified"] == "datetime'2025-03-01T08:00:00'"
        assert api.asked(INVOICES)[0].filter == "Timestamp gt 49L"
        assert run.position("sales_invoices")["row_version"] == "50"

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

        read(clock, configured("accounts"), state_of(accounts={"row_version": "900", "moved": ""}))

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
        state = state_of(sales_invoices={"cursor": "2025-03-01T10:00:00.000", "row_version": "900", "moved": ""})
        late = {**invoice("z", 0, 950), "Modified": date_json("2025-03-03T09:50:00")}
        api.on(INVOICES, page([late]), page([]), page([]))
        self.hide(api)
        second = read(clock, configured("sales_invoices"), state)
        clock.advance(3600)
        third = read(clock, configured("sales_invoices"), second.state)
        api.divisions(123, DivisionMoveDate=self.EARLIER)
        api.on(SYNC_TIMESTAMP, page([{"TimeStampAsBigInt": "50"}]))

        read(clock, configured("sales_invoices"), third.state, lookback_window_minutes=0)

        assert api.asked(SYNC_TIMESTAMP)[0].options["modified"] == "datetime'2025-03-01T10:00:00'"

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
