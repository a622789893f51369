"""What the tests of answers from the field share: a sandbox of many divisions, one stream of each kind of listing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from integration_tests.connector import Catalog, Record, Run, configured_catalog
from integration_tests.sandbox_client import Call, Sandbox

FEED, LIST, SNAPSHOT = "transaction_lines", "bank_entry_lines", "receivables_list"
LISTINGS = {
    FEED: "sync/Financial/TransactionLines",
    LIST: "financialtransaction/BankEntryLines",
    SNAPSHOT: "read/financial/ReceivablesList",
}
"""Path by stream."""

LINES, HEADERS, NAVIGATION = "sales_order_order_charge_lines", "salesorder/SalesOrders", "SalesOrderOrderChargeLines"
"""A stream that is read with ``$expand``."""

STREAMS = (*LISTINGS, LINES)
DELETED, SYNC_TIMESTAMP, DIVISIONS, ME = (
    "sync/Deleted",
    "read/sync/Sync/SyncTimestamp",
    "system/Divisions",
    "current/Me",
)
LONG_AGO = "2001-01-01T00:00:00Z"
"""A start date that leaves no row out."""

MANY = (
    "--divisions",
    "10",
    "--size",
    "tiny",
    "--all-endpoints",
    "--minute-limit",
    "1000000",
    "--daily-limit",
    "1000000",
)
"""Options of a sandbox in which each division can meet something else."""


def with_open_items(sandbox: Sandbox) -> Sandbox:
    """Put rows into the list of receivables of every division: the smallest books may have nothing open."""
    for division in sandbox.divisions:
        items = [
            {
                "HID": 10 * division + number,
                "AccountCode": f"{number:>18}",
                "AccountId": f"00000000-0000-4000-8000-{number:012}",
                "AccountName": f"Customer {number}",
                "Amount": 100.25 * number,
                "AmountInTransit": 0.5,
                "CurrencyCode": "EUR",
                "Description": f"Invoice {number}",
                "DueDate": "2024-02-03T00:00:00",
                "EntryNumber": number,
                "InvoiceDate": "2024-01-03T00:00:00",
                "InvoiceNumber": number,
                "JournalCode": "70",
                "JournalDescription": "Sales",
                "YourRef": f"PO {number}",
            }
            for number in (1, 2, 3)
        ]
        sandbox.load(division, LISTINGS[SNAPSHOT], items)
    return sandbox


def catalog(streams: Iterable[str] = STREAMS) -> Catalog:
    """Streams to read incrementally, as far as they can be."""
    made = configured_catalog(streams)
    for configured in made["streams"]:
        if "incremental" not in configured["stream"]["supported_sync_modes"]:
            configured.update(sync_mode="full_refresh", destination_sync_mode="overwrite")
    return made


def rows(division: int, stream: str, *runs: Run) -> dict[Any, Record]:
    """Records of a stream in a division by their own key, tombstones aside; the latest of each."""
    found = [record for run in runs for record in run.records(stream) if record["Division"] == division]
    return {record.get("ID", record.get("HID")): record for record in found}


def position(run: Run, stream: str, division: int) -> dict[str, Any]:
    """What the state that a run left says of a stream in a division."""
    (state,) = (one for one in run.state if one["stream"]["stream_descriptor"]["name"] == stream)
    found: dict[str, Any] = state["stream"]["stream_state"]["divisions"].get(str(division), {})
    return found


def made_to(calls: Iterable[Call], path: str, division: int | None) -> list[Call]:
    """Those of some calls that went to a path in a division."""
    return [call for call in calls if call.endpoint == path and call.division == division]
