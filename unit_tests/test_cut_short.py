"""What ends in the middle is never called complete."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airbyte_cdk.models import FailureType

from unit_tests.exact_fakes import (
    Answer,
    FakeClock,
    ScriptedApi,
    configured,
    page,
    read,
    refusal,
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
