"""Rows of the sandbox by stream, and how a test changes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from integration_tests.connector import Record
from integration_tests.protocol import Message
from integration_tests.sandbox_client import Row, Sandbox
from integration_tests.truth import (
    ENDPOINTS,
    belongs,
)

ENTITIES = {
    "accounts": "crm/Accounts",
    "contacts": "crm/Contacts",
    "addresses": "crm/Addresses",
    "items": "logistics/Items",
    "item_groups": "logistics/ItemGroups",
    "sales_orders": "salesorder/SalesOrders",
    "sales_order_lines": "salesorder/SalesOrderLines",
    "sales_invoices": "salesinvoice/SalesInvoices",
    "sales_invoice_lines": "salesinvoice/SalesInvoiceLines",
    "purchase_orders": "purchaseorder/PurchaseOrders",
    "purchase_order_lines": "purchaseorder/PurchaseOrderLines",
    "purchase_invoices": "purchase/PurchaseInvoices",
    "purchase_invoice_lines": "purchase/PurchaseInvoiceLines",
    "gl_accounts": "financial/GLAccounts",
    "gl_classifications": "financial/GLClassifications",
    "transaction_lines": "financialtransaction/TransactionLines",
    "journals": "financial/Journals",
    "financial_periods": "financial/FinancialPeriods",
    "cost_centers": "hrm/Costcenters",
    "cost_units": "hrm/Costunits",
}
"""The sandbox's name of the rows behind each stream that has a row per division."""

NAMED_KEYS = {"sales_orders": "OrderID", "sales_invoices": "InvoiceID", "purchase_orders": "PurchaseOrderID"}
"""Key of the entity where the feed gives its headers an ID of their own."""

LOGGED = [
    "accounts",
    "contacts",
    "addresses",
    "items",
    "sales_orders",
    "sales_order_lines",
    "gl_accounts",
    "gl_classifications",
    "transaction_lines",
]
"""Streams with a number of their own in the deletion log."""

FAMILIES = {"sales_invoices": "sales_invoice_lines", "purchase_orders": "purchase_order_lines"}


def rows_of(sandbox: Sandbox, stream: str, division: int) -> list[Row]:
    """Rows of a stream as the sandbox has them."""
    return [row for row in sandbox.truth(ENDPOINTS[stream], division) if belongs(stream, row)]


def key_of(stream: str, row: Row) -> str:
    """Key by which the sandbox's control API knows a row."""
    return str(row[NAMED_KEYS.get(stream, "ID")])


def remark(stream: str) -> tuple[str, str]:
    """A property of the stream that takes any text, and a text."""
    names = {
        "contacts": "Notes",
        "addresses": "AddressLine3",
        "sales_order_lines": "Notes",
        "sales_invoice_lines": "Notes",
        "purchase_order_lines": "Notes",
        "purchase_invoice_lines": "Description",
        "purchase_invoices": "Description",
        "accounts": "Remarks",
        "financial_periods": "",
    }
    return names.get(stream, "Description"), f"changed {datetime.now(timezone.utc):%H:%M:%S.%f}"


def positions(state: Message) -> Iterator[tuple[int, dict[str, Any]]]:
    blob = state["stream"]["stream_state"]
    for division, position in blob["divisions"].items():
        yield int(division), position


def is_feed(stream: str) -> bool:
    """Whether a stream is read by row versions."""
    return ENDPOINTS[stream].startswith("sync/")


def newest(records: Iterable[Record]) -> dict[int, str]:
    """Highest `Modified` of each division."""
    found: dict[int, str] = {}
    for record in records:
        found[record["Division"]] = max(found.get(record["Division"], ""), record["Modified"])
    return found


def change(sandbox: Sandbox, stream: str, division: int, row: Row, at: str | None = None) -> None:
    name, text = remark(stream)
    sandbox.update(division, ENTITIES[stream], key_of(stream, row), {name: text} if name else {}, at)
