"""Full refreshes read everything once, whatever the cursor says and however often they break off."""

from __future__ import annotations

from typing import Any

import pytest

from unit_tests.exact_fakes import (
    FakeClock,
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
