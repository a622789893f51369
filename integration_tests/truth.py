"""What the records of a stream have to be, worked out from the sandbox's own rows and the public type rules alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

from integration_tests.connector import Record, stream_schema

WALL_CLOCK = ZoneInfo("Europe/Amsterdam")
"""Zone of the local time that Exact sends as if it were UTC."""

ENDPOINTS = {
    "accounts": "sync/CRM/Accounts",
    "contacts": "sync/CRM/Contacts",
    "addresses": "sync/CRM/Addresses",
    "items": "sync/Logistics/Items",
    "item_groups": "logistics/ItemGroups",
    "sales_orders": "sync/SalesOrder/SalesOrderHeaders",
    "sales_order_lines": "sync/SalesOrder/SalesOrderLines",
    "sales_invoices": "sync/SalesInvoice/SalesInvoices",
    "sales_invoice_lines": "sync/SalesInvoice/SalesInvoices",
    "purchase_orders": "sync/PurchaseOrder/PurchaseOrders",
    "purchase_order_lines": "sync/PurchaseOrder/PurchaseOrders",
    "purchase_invoices": "purchase/PurchaseInvoices",
    "purchase_invoice_lines": "purchase/PurchaseInvoiceLines",
    "gl_accounts": "sync/Financial/GLAccounts",
    "gl_classifications": "sync/Financial/GLClassifications",
    "transaction_lines": "sync/Financial/TransactionLines",
    "journals": "financial/Journals",
    "financial_periods": "financial/FinancialPeriods",
    "cost_centers": "hrm/Costcenters",
    "cost_units": "hrm/Costunits",
    "divisions": "system/Divisions",
}
"""The endpoint with the rows of each stream."""

CORE = tuple(ENDPOINTS)

MIXED = {
    "sync/SalesInvoice/SalesInvoices": ("sales_invoices", "sales_invoice_lines"),
    "sync/PurchaseOrder/PurchaseOrders": ("purchase_orders", "purchase_order_lines"),
}
"""Feeds that hold the rows of two streams: headers (LineNumber 0) and lines."""


def belongs(stream: str, row: Mapping[str, Any]) -> bool:
    """Whether a row of the stream's endpoint is one of its own."""
    headers_and_lines = MIXED.get(ENDPOINTS[stream])
    return headers_and_lines is None or stream == headers_and_lines[bool(row["LineNumber"])]


def utc_text(moment: datetime, now: datetime | None = None) -> str:
    """An instant as a record that is read at a moment, or long after, has to show it.

    The wall clock shows the hour that ends summer time twice; which of the two an instant in it was is lost on the way.
    It is the second one, unless that has not passed yet.
    """
    wall = moment.astimezone(WALL_CLOCK).replace(tzinfo=None)
    first, second = (wall.replace(tzinfo=WALL_CLOCK, fold=fold).astimezone(timezone.utc) for fold in (0, 1))
    told = first if now is not None and second > now else second
    return f"{told:%Y-%m-%dT%H:%M:%S}.{told.microsecond // 1000:03}+00:00"


def date_text(moment: datetime) -> str:
    """A business date or time as a record has to show it: never shifted."""
    fraction = f".{moment.microsecond // 1000:03}" if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}"


def parse_time(value: str) -> datetime:
    """A time in the sandbox's answers: with a zone for instants, without for business dates."""
    return datetime.fromisoformat(value.replace("Z", "+00:00"))


def expected_record(stream: str, division: int, row: Mapping[str, Any], now: datetime | None = None) -> Record:
    """The record of one of the sandbox's rows, read at a moment; null properties do not appear in records."""
    record: Record = {"Division": division}
    for name, schema in stream_schema(stream)["properties"].items():
        value = row.get(name)
        if value is None or name in ("Division", "_ab_cdc_deleted_at"):
            continue
        if schema.get("format") == "date-time":
            moment = parse_time(value)
            instant = schema["airbyte_type"] == "timestamp_with_timezone"
            assert (moment.tzinfo is not None) is instant, f"{stream}.{name}: {value!r} against {schema}"
            record[name] = utc_text(moment, now) if instant else date_text(moment)
        elif "integer" in schema["type"]:
            record[name] = int(value)
        else:
            record[name] = value
    return record


def primary_key(stream: str, record: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values that identify a record in its stream."""
    if stream == "divisions":
        return (record["Division"],)
    return (record["ID"], record["Division"])


def by_key(stream: str, records: Iterable[Record]) -> dict[tuple[Any, ...], Record]:
    """Records by primary key; the last one of a key counts, as in a table that is kept up to date."""
    return {primary_key(stream, record): record for record in records}


def differences(stream: str, found: Mapping[Any, Record], expected: Mapping[Any, Record]) -> Iterator[str]:
    """What is missing, extra or other than expected, in words."""
    for key in expected.keys() - found.keys():
        yield f"{stream} {key} is missing"
    for key in found.keys() - expected.keys():
        yield f"{stream} {key} is not in the sandbox"
    for key in expected.keys() & found.keys():
        left, right = found[key], expected[key]
        for name in left.keys() | right.keys():
            if not same(left.get(name), right.get(name)):
                yield f"{stream} {key}.{name} is {left.get(name)!r} and should be {right.get(name)!r}"


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal to the last digit; 1, 1.0 and True are not all the same."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def assert_same(stream: str, found: Mapping[Any, Record], expected: Mapping[Any, Record]) -> None:
    """Holds records against what they should be."""
    problems = list(differences(stream, found, expected))
    assert not problems, f"{len(problems)} differences, such as: " + "; ".join(problems[:8])
