"""Listings of the login, which hold rows of all divisions."""

from __future__ import annotations

from typing import Any

import pytest

from unit_tests.exact_fakes import (
    FakeClock,
    ScriptedApi,
    configured,
    page,
    read,
    row,
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
