"""Tombstones: each deletion since the log was last read for a stream, whatever else goes wrong."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

import pytest

from source_exact_online.catalog.definitions import catalog
from unit_tests.exact_fakes import (
    Answer,
    FakeClock,
    Run,
    ScriptedApi,
    configured,
    date_json,
    lost,
    page,
    read,
    refusal,
    row,
    state_of,
)

LOG = "sync/Deleted"
ACCOUNTS = "sync/CRM/Accounts"
CONTACTS = "sync/CRM/Contacts"
INVOICES = "sync/SalesInvoice/SalesInvoices"
ACCOUNT, CONTACT, INVOICE = 2, 5, 13


@pytest.fixture(autouse=True)
def one_division(api: ScriptedApi) -> None:
    api.divisions(123)
    for path in (ACCOUNTS, CONTACTS, INVOICES):
        api.always(path, page([]))


def deleted(key: str, kind: int, version: int, at: str | None = "2025-03-03T10:30:00") -> dict[str, Any]:
    return {
        "ID": f"log-{version}",
        "Timestamp": str(version),
        "EntityKey": key,
        "EntityType": kind,
        "DeletedDate": None if at is None else date_json(at),
    }


def first_sync(api: ScriptedApi, clock: FakeClock, *streams: str) -> Run:
    """The sync before the deletions: at 10:00 Dutch time, one row in each stream."""
    for path in (ACCOUNTS, CONTACTS, INVOICES):
        api.on(path, page([row("a", 100, LineNumber=0, InvoiceID="i")]))
    run = read(clock, configured(*streams))
    for path in (ACCOUNTS, CONTACTS, INVOICES):
        api.forget(path)
    clock.advance(3600)
    return run


def tombstones(run: Run, stream: str) -> list[dict[str, Any]]:
    return [record for record in run.records(stream) if "_ab_cdc_deleted_at" in record]


def test_a_first_sync_asks_for_no_deletions(api: ScriptedApi, clock: FakeClock) -> None:
    run = first_sync(api, clock, "accounts")

    assert api.asked(LOG) == []
    assert tombstones(run, "accounts") == []


def test_a_deletion_becomes_a_record_with_key_and_times(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("a", ACCOUNT, 101)]))

    run = read(clock, configured("accounts"), first.state)

    assert run.records("accounts") == [
        {
            "Division": 123,
            "ID": "a",
            "Modified": "2025-03-03T09:30:00.000+00:00",
            "_ab_cdc_deleted_at": "2025-03-03T09:30:00.000+00:00",
        }
    ]


def test_a_tombstone_bears_the_primary_key_of_its_stream(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "sales_invoices", "sales_invoice_lines")
    api.on(LOG, page([deleted("x", INVOICE, 101)]))

    run = read(clock, configured("sales_invoices", "sales_invoice_lines"), first.state)

    for stream in ("sales_invoices", "sales_invoice_lines"):
        assert [(one["Division"], one["ID"]) for one in tombstones(run, stream)] == [(123, "x")]


def test_the_log_is_read_once_however_many_streams_it_feeds(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts", "contacts")
    rows = [deleted("a", ACCOUNT, 101), deleted("c", CONTACT, 102), deleted("z", 999, 103)]
    api.on(LOG, page(rows[:2], more="1"), page(rows[2:]))

    run = read(clock, configured("accounts", "contacts"), first.state, num_workers=4)

    assert len(api.asked(LOG)) == 2
    assert [one["ID"] for one in tombstones(run, "accounts")] == ["a"]
    assert [one["ID"] for one in tombstones(run, "contacts")] == ["c"]


def test_each_deletion_is_told_once(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("a", ACCOUNT, 101)]), page([]))
    second = read(clock, configured("accounts"), first.state)

    third = read(clock, configured("accounts"), second.state)

    assert [one.filter for one in api.asked(LOG)] == ["Timestamp gt 1L", "Timestamp gt 101L"]
    assert tombstones(third, "accounts") == []


def test_what_was_deleted_before_the_first_sync_is_not_told(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("old", ACCOUNT, 7, "2025-03-01T12:00:00"), deleted("new", ACCOUNT, 101)]))

    run = read(clock, configured("accounts"), first.state)

    assert [one["ID"] for one in tombstones(run, "accounts")] == ["new"]


def test_what_was_deleted_while_the_first_sync_ran_is_told(api: ScriptedApi, clock: FakeClock) -> None:
    """The row may have been on a page that had been read already."""
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("meanwhile", ACCOUNT, 50, "2025-03-03T10:00:01")]))

    assert tombstones(read(clock, configured("accounts"), first.state), "accounts")


def test_a_deletion_in_the_hour_shown_twice_is_told(api: ScriptedApi, clock: FakeClock) -> None:
    """The first sync begins at 02:50 summer time; the deletion, twenty minutes later, is at 02:10 by the clock."""
    night = datetime(2025, 10, 26, 0, 50, tzinfo=timezone.utc)
    clock.advance((night - clock.now()).total_seconds())
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("a", ACCOUNT, 50, "2025-10-26T02:10:00")]))

    assert tombstones(read(clock, configured("accounts"), first.state), "accounts")


def test_a_stream_that_is_behind_gets_what_another_has_had(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts", "contacts")
    api.on(LOG, page([deleted("c", CONTACT, 101), deleted("a", ACCOUNT, 102)]))
    second = read(clock, configured("accounts"), [one for one in first.state if "accounts" in str(one)])
    of_contacts = [one for one in first.state if one.stream and one.stream.stream_descriptor.name == "contacts"]
    api.on(LOG, page([deleted("c", CONTACT, 101), deleted("a", ACCOUNT, 102), deleted("b", ACCOUNT, 103)]))

    third = read(clock, configured("accounts", "contacts"), [*second.state, *of_contacts])

    assert api.asked(LOG)[1].filter == "Timestamp gt 1L"
    assert [one["ID"] for one in tombstones(third, "accounts")] == ["b"]
    assert [one["ID"] for one in tombstones(third, "contacts")] == ["c"]


def test_tombstones_come_before_the_rows_of_the_same_sync(api: ScriptedApi, clock: FakeClock) -> None:
    """A row that was deleted and booked again under its key must not be buried after its return."""
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("a", ACCOUNT, 101)], more="1"), page([deleted("b", ACCOUNT, 102)]))
    api.on(ACCOUNTS, page([row("a", 103)]))

    run = read(clock, configured("accounts"), first.state, num_workers=4)

    assert [("_ab_cdc_deleted_at" in one, one["ID"]) for one in run.records("accounts")] == [
        (True, "a"),
        (True, "b"),
        (False, "a"),
    ]


def test_a_row_that_came_back_before_its_deletion_was_told_is_read_again(api: ScriptedApi, clock: FakeClock) -> None:
    """The log is read before the rows: what is deleted and booked again between the two is told by the next run alone.

    Log and feeds share one scale of row versions, so a deletion below the feed's position tells where to begin again.
    """
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([]), page([deleted("a", ACCOUNT, 102, "2025-03-03T11:00:00")]))
    api.on(ACCOUNTS, page([row("a", 103), row("b", 104)]))
    second = read(clock, configured("accounts"), first.state)
    api.on(ACCOUNTS, page([row("a", 103), row("b", 104)]))

    third = read(clock, configured("accounts"), second.state)

    assert api.asked(ACCOUNTS)[-1].filter == "Timestamp gt 102L"
    assert [("_ab_cdc_deleted_at" in one, one["ID"]) for one in third.records("accounts")] == [
        (True, "a"),
        (False, "a"),
        (False, "b"),
    ]
    assert third.position("accounts")["row_version"] == "104"


@pytest.mark.parametrize(("when", "begins_at"), [("2025-03-03T09:59:00", 100), ("2025-03-03T10:00:00", 50)])
def test_what_was_deleted_before_the_first_listing_is_no_reason_to_read_rows_again(
    api: ScriptedApi, clock: FakeClock, when: str, begins_at: int
) -> None:
    """Its tombstones come for the sake of a clock that is not the one that it is taken for."""
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("x", ACCOUNT, 50, when)]))

    run = read(clock, configured("accounts"), first.state)

    assert [one["ID"] for one in tombstones(run, "accounts")] == ["x"]
    assert api.asked(ACCOUNTS)[-1].filter == f"Timestamp gt {begins_at}L"


def test_a_run_that_dies_between_log_and_rows_reads_what_came_back_in_the_next_one(
    api: ScriptedApi, clock: FakeClock
) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("a", ACCOUNT, 99)]), page([]))
    api.on(ACCOUNTS, *[refusal(500)] * 6)
    broken = read(clock, configured("accounts"), first.state)
    api.on(ACCOUNTS, page([row("a", 100)]))

    run = read(clock, configured("accounts"), broken.state)

    assert [one["ID"] for one in tombstones(broken, "accounts")] == ["a"]
    assert api.asked(ACCOUNTS)[-1].filter == "Timestamp gt 99L"
    assert run.keys("accounts") == ["a"]


def test_the_position_in_the_log_moves_when_all_of_it_was_read(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("a", ACCOUNT, 900)], more="1"), *[refusal(500)] * 6, page([deleted("b", ACCOUNT, 101)]))
    second = read(clock, configured("accounts"), first.state)

    third = read(clock, configured("accounts"), second.state)

    assert second.statuses == {"accounts": "INCOMPLETE"}
    assert "row_version" not in second.position("accounts")["deletions_read_until"]
    assert [one["ID"] for one in tombstones(third, "accounts")] == ["b"]
    assert third.position("accounts")["deletions_read_until"]["row_version"] == "101"


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "Forbidden - Application Scope Violated. Cannot read 'organization.administration' scope."),
        refusal(403, "Forbidden"),
        refusal(404),
        refusal(400, "Bad Request"),
    ],
)
def test_without_the_right_rows_are_read_nevertheless(
    api: ScriptedApi, clock: FakeClock, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, answer)
    api.on(ACCOUNTS, page([row("b", 101)]))

    run = read(clock, configured("accounts"), first.state)

    assert run.error is None
    assert run.keys("accounts") == ["b"]
    warned = [one.message for one in caplog.records if one.levelno == logging.WARNING and "eleted" in one.message]
    assert len(warned) == 1
    assert "123" in warned[0]
    read_at = run.position("accounts")["deletions_read_until"]["read_at"]
    assert read_at == first.position("accounts")["deletions_read_until"]["read_at"], (
        "what was not read is still to be read"
    )


def test_a_log_that_is_forbidden_in_its_middle_is_incomplete_and_stops_no_rows(
    api: ScriptedApi, clock: FakeClock
) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("a", ACCOUNT, 101)], more="1"), refusal(403, "Forbidden"))
    api.on(ACCOUNTS, page([row("b", 102)]))

    run = read(clock, configured("accounts"), first.state)

    assert run.keys("accounts") == ["a", "b"]
    assert run.statuses == {"accounts": "INCOMPLETE"}
    assert run.position("accounts")["row_version"] == "102"
    assert "row_version" not in run.position("accounts")["deletions_read_until"], "it is to be read again"


def test_switched_on_after_a_first_listing_broke_off_what_was_read_may_have_been_deleted(
    api: ScriptedApi, clock: FakeClock
) -> None:
    """A feed in mid-listing knows its row version alone, so that nobody can tell which deletions are news."""
    api.on(ACCOUNTS, page([row("a", 100)], more="100L"), *[refusal(500)] * 6)
    broken = read(clock, configured("accounts"), read_deletions=False)
    clock.advance(24 * 3600)
    api.on(LOG, page([deleted("a", ACCOUNT, 101, "2025-03-03T10:30:00")]))

    run = read(clock, configured("accounts"), broken.state)

    assert broken.keys("accounts") == ["a"]
    assert [one["ID"] for one in tombstones(run, "accounts")] == ["a"]


def test_a_state_that_tells_no_reading_of_the_log_goes_back_to_the_last_listing(
    api: ScriptedApi, clock: FakeClock
) -> None:
    first = first_sync(api, clock, "accounts")
    position = dict(first.position("accounts"))
    del position["deletions_read_until"]
    api.on(LOG, page([deleted("a", ACCOUNT, 101)]))

    run = read(clock, configured("accounts"), state_of(accounts=position))

    assert [one["ID"] for one in tombstones(run, "accounts")] == ["a"]


def test_a_fault_of_the_log_that_passes_costs_nothing(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, lost(), refusal(503), page([deleted("a", ACCOUNT, 101)]))

    run = read(clock, configured("accounts"), first.state)

    assert [one["ID"] for one in tombstones(run, "accounts")] == ["a"]
    assert run.error is None


def test_rows_are_read_when_the_log_is_broken_and_the_stream_is_incomplete(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, *[refusal(500)] * 6)
    api.on(ACCOUNTS, page([row("b", 101)]))

    run = read(clock, configured("accounts"), first.state)

    assert run.keys("accounts") == ["b"]
    assert run.statuses == {"accounts": "INCOMPLETE"}


@pytest.mark.parametrize(("days", "warned"), [(59, False), (61, True), (400, True)])
def test_a_gap_longer_than_the_log_is_warned_of_with_the_remedy(
    api: ScriptedApi, clock: FakeClock, days: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    first = first_sync(api, clock, "accounts")
    clock.advance(days * 86_400)
    api.on(LOG, page([]))

    read(clock, configured("accounts"), first.state)

    lines = [line for line in caplog.messages if "two months" in line]
    assert bool(lines) is warned
    assert all("accounts" in line and "in full" in line for line in lines)


def test_switched_off_the_log_is_not_read(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")

    run = read(clock, configured("accounts"), first.state, read_deletions=False)

    assert api.asked(LOG) == []
    assert run.error is None


def test_a_full_refresh_needs_no_tombstones(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(ACCOUNTS, page([row("a", 100)]))

    read(clock, configured("accounts", mode="full_refresh"), first.state)

    assert api.asked(LOG) == []


def test_a_division_read_for_the_first_time_has_no_deletions_yet(api: ScriptedApi, clock: FakeClock) -> None:
    first = first_sync(api, clock, "accounts")
    api.divisions(123, 456)
    api.on(LOG, page([]), division=123)

    read(clock, configured("accounts"), first.state)

    assert [one.division for one in api.asked(LOG)] == [123]


def test_a_log_row_without_date_is_a_tombstone_nevertheless(api: ScriptedApi, clock: FakeClock) -> None:
    """Without the mark it would pass for a live row whose columns are all empty."""
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([deleted("a", ACCOUNT, 101, None)]))

    run = read(clock, configured("accounts"), first.state)

    assert [one["_ab_cdc_deleted_at"][:18] for one in tombstones(run, "accounts")] == ["2025-03-03T10:00:0"], "now"


@pytest.mark.parametrize("date", ["/Date(x)/", "/Date(99999999999999999)/", "yesterday"])
def test_a_log_row_whose_date_does_not_fit_is_a_tombstone_too(
    api: ScriptedApi, clock: FakeClock, date: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = first_sync(api, clock, "accounts")
    api.on(LOG, page([{**deleted("a", ACCOUNT, 101), "DeletedDate": date}]))

    run = read(clock, configured("accounts"), first.state)

    assert [one["_ab_cdc_deleted_at"][:18] for one in tombstones(run, "accounts")] == ["2025-03-03T10:00:0"], "now"
    assert [
        line for line in caplog.messages if line.startswith("DeletedDate of sync/Deleted in division 123, row log-101")
    ]


def test_where_the_row_version_is_the_cursor_a_tombstone_has_it(api: ScriptedApi, clock: FakeClock) -> None:
    state = state_of(
        stock_positions={
            "row_version": "70",
            "deletions_read_until": {"read_at": "2025-03-03T08:00:00.000+00:00", "row_version": "90"},
        }
    )
    stream = catalog()["stock_positions"]
    api.always(stream.path, page([]))
    api.on(LOG, page([deleted("a", int(stream.entity_type or 0), 101)]))

    run = read(clock, configured("stock_positions"), state)

    assert [one["Timestamp"] for one in tombstones(run, "stock_positions")] == [101]
    assert run.position("stock_positions")["row_version"] == "70", "the log's row version is another one"


@pytest.mark.parametrize("column", ["EntityKey", "EntityType"])
def test_a_log_row_that_names_no_row_is_passed_over_with_a_warning(
    api: ScriptedApi, clock: FakeClock, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Exact's metadata says that they are never null; nothing is to fail on it all the same."""
    first = first_sync(api, clock, "accounts", "contacts")
    unnamed = [{**deleted("b", ACCOUNT, version), column: None} for version in (100, 101)]
    api.on(LOG, page([*unnamed, deleted("a", ACCOUNT, 102)]))

    run = read(clock, configured("accounts", "contacts"), first.state)

    assert [one["ID"] for one in tombstones(run, "accounts")] == ["a"]
    assert run.statuses == {"accounts": "COMPLETE", "contacts": "COMPLETE"}
    assert [line for line in caplog.messages if "passed over" in line] == [
        "2 rows in the log of deleted rows of division 123 lack what was deleted (first: log-100): passed over."
    ]


@pytest.mark.parametrize("damage", [{"EntityKey": 7}, {"EntityType": "contact"}])
def test_a_log_row_with_something_else_for_a_name_is_damage_and_the_deletion_is_not_lost(
    api: ScriptedApi, clock: FakeClock, damage: dict[str, Any]
) -> None:
    first = first_sync(api, clock, "accounts")
    gone = deleted("a", ACCOUNT, 101)
    api.on(LOG, page([{**gone, **damage}]), page([gone]))

    broken = read(clock, configured("accounts"), first.state)
    mended = read(clock, configured("accounts"), broken.state)

    assert broken.statuses == {"accounts": "INCOMPLETE"}
    assert [one["ID"] for one in tombstones(mended, "accounts")] == ["a"]


class TestTheLogAsAStream:
    """The stream `deleted` shows the log itself, and is fed from the same reading of it."""

    @pytest.fixture
    def before(self, api: ScriptedApi, clock: FakeClock) -> Run:
        api.on(LOG, page([entry("1", "z", ACCOUNT, 90)]))
        return first_sync(api, clock, "accounts", "deleted")

    def test_one_reading_feeds_it_and_the_tombstones(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        rows = [entry("2", "a", ACCOUNT, 101), entry("3", "z", 999, 102)]
        api.on(LOG, page(rows[:1], more="1"), page(rows[1:]))

        run = read(clock, configured("accounts", "deleted"), before.state)

        assert [one.filter for one in api.asked(LOG)[1:2]] == ["Timestamp gt 1L"]
        assert len(api.asked(LOG)) == 1 + 2
        assert run.keys("deleted") == ["2", "3"]
        assert [one["ID"] for one in tombstones(run, "accounts")] == ["a"]
        assert run.statuses == {"accounts": "COMPLETE", "deleted": "COMPLETE"}
        assert run.position("deleted")["row_version"] == "102"
        assert run.position("accounts")["deletions_read_until"]["row_version"] == "102"

    def test_each_gets_only_what_is_new_to_it(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.on(LOG, page([entry("1", "z", ACCOUNT, 90), entry("2", "a", ACCOUNT, 101)]), page([]))

        run = read(clock, configured("accounts", "deleted"), before.state)
        read(clock, configured("accounts", "deleted"), run.state)

        assert run.keys("deleted") == ["2"]
        assert api.asked(LOG)[-1].filter == "Timestamp gt 101L"

    def test_columns_of_both_are_asked_for(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        api.on(LOG, page([entry("2", "a", ACCOUNT, 101)]))

        run = read(clock, configured("accounts", "deleted", columns=["ID", "DeletedBy"]), before.state)

        assert set(api.asked(LOG)[-1].select) == {
            "ID",
            "Timestamp",
            "DeletedBy",
            "DeletedDate",
            "EntityKey",
            "EntityType",
        }
        assert run.records("deleted") == [{"Division": 123, "ID": "2", "Timestamp": 101}]

    @pytest.mark.parametrize("answer", [refusal(403, "Forbidden"), refusal(400, "Bad Request")])
    def test_without_the_right_it_alone_is_incomplete(
        self, api: ScriptedApi, clock: FakeClock, before: Run, answer: Answer
    ) -> None:
        api.on(LOG, answer)
        api.on(ACCOUNTS, page([row("b", 101)]))

        run = read(clock, configured("accounts", "deleted"), before.state)

        assert run.keys("accounts") == ["b"]
        assert run.statuses == {"accounts": "COMPLETE", "deleted": "INCOMPLETE"}

    def test_a_reading_that_broke_off_goes_on_where_it_was(
        self, api: ScriptedApi, clock: FakeClock, before: Run
    ) -> None:
        first, second = [entry("2", "a", ACCOUNT, 101)], [entry("3", "b", ACCOUNT, 102)]
        api.on(LOG, page(first, more="7"), *[refusal(500)] * 6)
        broken = read(clock, configured("accounts", "deleted"), before.state)
        api.serve(LOG, lambda sent: page(second if "$skiptoken" in sent.options else [*first, *second]))

        run = read(clock, configured("accounts", "deleted"), broken.state)

        assert broken.keys("deleted") == ["2"]
        assert run.keys("deleted") == ["3"]
        assert [one["ID"] for one in tombstones(run, "accounts")] == ["a", "b"]

    def test_a_full_refresh_of_it_brings_all_of_the_log(self, api: ScriptedApi, clock: FakeClock, before: Run) -> None:
        rows = [entry("1", "z", ACCOUNT, 90), entry("2", "a", ACCOUNT, 101)]
        api.on(LOG, page([]), page(rows))
        seen = read(clock, configured("accounts", "deleted"), before.state)

        run = read(clock, configured("accounts", "deleted:full_refresh"), seen.state)

        assert run.keys("deleted") == ["1", "2"]
        assert len(api.asked(LOG)) == 3


def entry(number: str, key: str, kind: int, version: int) -> dict[str, Any]:
    return {**deleted(key, kind, version), "ID": number}
