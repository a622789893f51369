"""Where a read begins: divisions, dates, moves, modes and columns that come and go."""

from __future__ import annotations

from typing import Any

import pytest

from integration_tests.conftest import StartSandbox
from integration_tests.connector import Record, configured_catalog
from integration_tests.entity_rows import (
    change,
    rows_of,
)
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import (
    ENDPOINTS,
    assert_same,
    by_key,
    primary_key,
)


def test_a_new_division_is_read_from_its_beginning(sandbox: Sandbox) -> None:
    old, new = sandbox.divisions
    streams = ["accounts", "journals", "sales_invoices", "sales_invoice_lines"]
    connector = sandbox.connection(divisions=[old])
    first = connector.read(configured_catalog(streams))
    connector.config["divisions"] = [old, new]

    second = connector.read(configured_catalog(streams), first.state)

    for stream in streams:
        assert {record["Division"] for record in first.records(stream)} == {old}
        found = by_key(stream, (record for record in second.records(stream) if record["Division"] == new))
        assert_same(stream, found, sandbox.expected(stream, [new]))


def test_a_division_left_out_for_a_while_goes_on_where_it_stopped(sandbox: Sandbox) -> None:
    one, other = sandbox.divisions
    connector = sandbox.connection(lookback_window_minutes=0)
    both = connector.read(["accounts"])
    connector.config["divisions"] = [one]
    alone = connector.read(["accounts"], both.state)
    row = rows_of(sandbox, "accounts", other)[0]
    change(sandbox, "accounts", other, row)
    connector.config["divisions"] = []

    again = connector.read(["accounts"], alone.state)

    assert [(record["Division"], record["ID"]) for record in again.records("accounts")] == [(other, row["ID"])]


@pytest.mark.parametrize("stream", ["transaction_lines", "purchase_invoices", "accounts", "sales_invoice_lines"])
def test_nothing_from_before_the_start_date(stream: str, clean: Sandbox) -> None:
    """By SyncTimestamp for a feed that it knows, by Modified for a list, by leaving rows out for other feeds."""
    everything = clean.expected(stream)
    moments = sorted(record["Modified"] for record in everything.values())
    start = moments[len(moments) // 2]
    connector = clean.connection(start_date=start.replace("+00:00", "Z"))

    found = by_key(stream, connector.read([stream]).records(stream))

    wanted = {key: record for key, record in everything.items() if record["Modified"] >= start}
    assert 0 < len(wanted) < len(everything)
    assert_same(stream, found, wanted)
    looked_up = clean.calls("read/sync/Sync/SyncTimestamp")
    assert bool(looked_up) is (stream in ("transaction_lines", "sales_invoice_lines"))
    if stream == "transaction_lines":
        begun = [call.options["$filter"] for call in clean.calls(ENDPOINTS[stream]) if call.is_first_page]
        assert all(condition != "Timestamp gt 1L" for condition in begun)


def test_a_look_up_of_row_versions_may_answer_with_one_object(clean: Sandbox) -> None:
    """Instead of a list; functions of Exact have been seen to do either."""
    clean.post("settings", sync_timestamp_object=True)
    division = clean.divisions[0]
    everything = clean.expected("sales_order_lines", [division])
    start = sorted(record["Modified"] for record in everything.values())[-20]

    run = clean.connection(divisions=[division], start_date=start).read(["sales_order_lines"])

    wanted = {key: record for key, record in everything.items() if record["Modified"] >= start}
    assert_same("sales_order_lines", by_key("sales_order_lines", run.records("sales_order_lines")), wanted)
    assert sum(call.rows or 0 for call in clean.calls(ENDPOINTS["sales_order_lines"])) < len(everything)


def test_full_refresh_runs_in_a_row_each_read_everything(sandbox: Sandbox) -> None:
    """The state that a finished full refresh leaves is not taken for data to skip: platforms clear it in between."""
    connector = sandbox.connection()
    catalog = configured_catalog(["journals", "divisions"], "full_refresh")
    first = connector.read(catalog)

    second = connector.read(catalog)

    assert first.counts == second.counts
    assert by_key("journals", second.records("journals")) == sandbox.expected("journals")


def test_a_moved_division_loses_nothing(start_sandbox: StartSandbox) -> None:
    """Row versions start afresh in another database; what changed meanwhile is found by Modified."""
    sandbox = start_sandbox("--divisions", "1", "--size", "300", "--minute-limit", "100000")
    (division,) = sandbox.divisions
    connector = sandbox.connection()
    streams = ["accounts", "transaction_lines", "journals", "sales_invoices", "sales_invoice_lines"]
    first = connector.read(configured_catalog(streams))
    deleted = rows_of(sandbox, "accounts", division)[3]
    sandbox.delete(division, "crm/Accounts", deleted["ID"])
    sandbox.post("divisions/move", division=division)
    changed = rows_of(sandbox, "accounts", division)[0]
    change(sandbox, "accounts", division, changed)
    lines = rows_of(sandbox, "transaction_lines", division)
    sandbox.update(division, "financialtransaction/TransactionLines", lines[5]["ID"], {"Notes": "after the move"})

    second = connector.read(configured_catalog(streams), first.state)

    for stream in streams:
        table = by_key(stream, first.records(stream))
        table.update({primary_key(stream, record): record for record in second.by_stream.get(stream, [])})
        table = {key: record for key, record in table.items() if "_ab_cdc_deleted_at" not in record}
        expected = sandbox.expected(stream)
        # Rows that did not change keep the row version of the old database.
        assert_same(stream, without_version(table), without_version(expected))
    assert deleted["ID"] in {record["ID"] for record in second.tombstones("accounts")}
    third = connector.read(configured_catalog(streams), second.state)
    assert third.records("accounts") == []


def without_version(records: dict[Any, Record]) -> dict[Any, Record]:
    return {
        key: {name: value for name, value in record.items() if name != "Timestamp"} for key, record in records.items()
    }


def test_unticked_columns_are_off_the_wire(clean: Sandbox) -> None:
    columns = {
        "accounts": ["Name", "City"],
        "journals": ["Description"],
        "sales_invoices": ["AmountDC", "InvoiceDate"],
        "sales_invoice_lines": ["Quantity"],
    }
    run = clean.connection().read(configured_catalog(columns, columns=columns))

    asked = {endpoint: clean.calls(endpoint) for endpoint in {ENDPOINTS[stream] for stream in columns}}
    assert all(calls for calls in asked.values())
    assert {frozenset(call.columns) for call in asked["sync/CRM/Accounts"]} == {
        frozenset({"Name", "City", "ID", "Modified", "Timestamp"})
    }
    assert {frozenset(call.columns) for call in asked["financial/Journals"]} == {
        frozenset({"Description", "ID", "Modified"})
    }
    assert {frozenset(call.columns) for call in asked["sync/SalesInvoice/SalesInvoices"]} == {
        frozenset({"AmountDC", "InvoiceDate", "Quantity", "ID", "InvoiceID", "Modified", "Timestamp", "LineNumber"})
    }
    for stream, ticked in columns.items():
        header_key = {"InvoiceID"} if stream.startswith("sales_invoice") else set()
        allowed = {*ticked, "Division", "ID", "Modified", *header_key}
        assert run.records(stream)
        assert {name for record in run.records(stream) for name in record} <= allowed, stream


def test_a_column_ticked_later_is_read_from_then_on(sandbox: Sandbox) -> None:
    division = sandbox.divisions[0]
    connector = sandbox.connection(divisions=[division], lookback_window_minutes=0)
    few = configured_catalog(["items"], columns={"items": ["Code"]})
    first = connector.read(few)
    assert all("Description" not in record for record in first.records("items"))
    row = rows_of(sandbox, "items", division)[0]
    change(sandbox, "items", division, row)

    (record,) = connector.read(["items"], first.state).records("items")

    assert record["ID"] == row["ID"]
    assert record["Description"].startswith("changed")
