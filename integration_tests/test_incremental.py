"""A later run brings what changed and nothing else, and no state runs ahead of the records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from integration_tests.connector import Connector, Record, Run, configured_catalog, last_states
from integration_tests.protocol import Message
from integration_tests.sandbox_client import Row, Sandbox
from integration_tests.truth import (
    CORE,
    ENDPOINTS,
    MIXED,
    assert_same,
    belongs,
    by_key,
    parse_time,
    primary_key,
    utc_text,
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


@dataclass(frozen=True, slots=True)
class Story:
    """A connection's first three runs, and what happened before the third.

    Attributes:
        connector: the connection.
        first: run that read everything.
        quiet: run after which nothing had happened.
        before: records by stream and key as they were then.
        inserted: new rows by stream.
        silent: a row that changed without a new `Modified`.
        deleted: rows that were deleted, by stream.
        deleted_at: moment of the deletions.
        after: records as they were at last.
        second: run that found all this.
    """

    connector: Connector
    first: Run
    quiet: Run
    before: dict[str, dict[Any, Record]]
    inserted: dict[str, Row]
    silent: Row
    deleted: dict[str, list[Row]]
    deleted_at: str
    after: dict[str, dict[Any, Record]]
    second: Run


@pytest.fixture(scope="module")
def story(sandbox: Sandbox) -> Story:
    """Changes in one division, insertions and deletions in the other, and the runs around them."""
    calm, busy = sandbox.divisions
    catalog = configured_catalog(CORE)
    connector = sandbox.connection(lookback_window_minutes=0)
    first = connector.read(catalog)
    quiet = connector.read(catalog, first.state)
    before = {stream: sandbox.expected(stream) for stream in CORE}

    for stream in ENTITIES:
        change(sandbox, stream, busy, rows_of(sandbox, stream, busy)[0])
    inserted = {
        "accounts": sandbox.insert(calm, "crm/Accounts", {"Code": f"{4711:>18}", "Name": "New relation"}),
        "journals": sandbox.insert(calm, "financial/Journals", {"Code": "77", "Description": "New journal"}),
    }
    silent = rows_of(sandbox, "items", calm)[-1]
    sandbox.update(calm, "logistics/Items", silent["ID"], {"Description": "silently"}, touch_modified=False)
    deleted = {stream: [rows_of(sandbox, stream, calm)[2]] for stream in LOGGED}
    for headers, lines in FAMILIES.items():
        header, named_key = rows_of(sandbox, headers, calm)[1], NAMED_KEYS[headers]
        deleted[headers] = [header]
        deleted[lines] = [row for row in rows_of(sandbox, lines, calm) if row[named_key] == header[named_key]]
    deleted_at = f"{datetime.now(timezone.utc) - timedelta(days=30):%Y-%m-%dT10:20:30}.400+00:00"
    for stream in (*LOGGED, *FAMILIES):
        sandbox.delete(calm, ENTITIES[stream], key_of(stream, deleted[stream][0]), at=deleted_at)

    after = {stream: sandbox.expected(stream) for stream in CORE}
    second = connector.read(catalog, quiet.state)
    return Story(connector, first, quiet, before, inserted, silent, deleted, deleted_at, after, second)


# -- what a later run brings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ENTITIES)
def test_a_run_without_changes_brings_next_to_nothing(stream: str, story: Story) -> None:
    """Lists compare with `ge`, so the rows that bear the cursor itself may come again; feeds bring nothing."""
    records = story.quiet.by_stream.get(stream, [])

    if is_feed(stream):
        assert records == []
    else:
        cursor = newest(story.before[stream].values())
        assert all(record["Modified"] == cursor[record["Division"]] for record in records)


@pytest.mark.parametrize("stream", ENTITIES)
def test_a_later_run_brings_exactly_what_changed(stream: str, story: Story) -> None:
    before, after = story.before[stream], story.after[stream]
    changed = {key: record for key, record in after.items() if before.get(key) != record}
    found = by_key(stream, story.second.records(stream))

    assert changed
    assert_same(stream, {key: found[key] for key in found.keys() & changed.keys()}, changed)
    extra = [found[key] for key in found.keys() - changed.keys()]
    if is_feed(stream):
        assert extra == []
    else:
        cursor = newest(before.values())
        assert all(record["Modified"] == cursor[record["Division"]] for record in extra)


@pytest.mark.parametrize("stream", ["accounts", "journals"], ids=["feed", "list"])
def test_an_inserted_row_is_read(stream: str, story: Story) -> None:
    assert story.inserted[stream]["ID"] in {record["ID"] for record in story.second.records(stream)}


def test_a_change_that_leaves_modified_alone_reaches_the_feed(story: Story) -> None:
    """A new row version is a change, whatever Modified says."""
    found = {record["ID"]: record for record in story.second.records("items")}[story.silent["ID"]]

    assert found["Description"] == "silently"
    assert found["Modified"] == utc_text(parse_time(story.silent["Modified"]))


@pytest.mark.parametrize("stream", [*LOGGED, *FAMILIES, *FAMILIES.values()])
def test_a_deleted_row_becomes_a_tombstone_in_its_stream(stream: str, story: Story, sandbox: Sandbox) -> None:
    tombstones = {record["ID"]: record for record in story.second.tombstones(stream)}

    assert story.deleted[stream]
    for row in story.deleted[stream]:
        assert tombstones.get(row["ID"]) == {
            "Division": sandbox.divisions[0],
            "ID": row["ID"],
            "Modified": story.deleted_at,
            "_ab_cdc_deleted_at": story.deleted_at,
        }
    assert not {primary_key(stream, record) for record in tombstones.values()} & story.after[stream].keys()


def test_streams_without_a_deletion_log_have_no_tombstones(story: Story) -> None:
    assert {stream for stream in CORE if story.second.tombstones(stream)} == {
        *LOGGED,
        *FAMILIES,
        *FAMILIES.values(),
    }


def test_a_state_survives_json_and_names_each_division(story: Story, sandbox: Sandbox) -> None:
    state = story.second.state

    assert json.loads(json.dumps(state)) == state
    by_stream = {entry["stream"]["stream_descriptor"]["name"]: entry for entry in state}
    assert set(by_stream) == set(CORE)
    for stream in ENTITIES:
        assert {division for division, _ in positions(by_stream[stream])} == set(sandbox.divisions), stream


def test_a_full_refresh_after_incremental_runs_reads_everything(story: Story, sandbox: Sandbox) -> None:
    streams = ["accounts", "journals", "sales_invoices", "sales_invoice_lines"]

    run = story.connector.read(configured_catalog(streams, "full_refresh"))

    for stream in streams:
        assert_same(stream, by_key(stream, run.records(stream)), sandbox.expected(stream))


@pytest.mark.parametrize(("minutes", "seen"), [(90, True), (150, False)], ids=["within the lookback", "before it"])
def test_a_list_finds_a_row_that_was_committed_late(minutes: int, seen: bool, sandbox: Sandbox) -> None:
    """The default lookback of two hours reads again what was modified shortly before the cursor."""
    division = sandbox.divisions[0]
    connector = sandbox.connection(divisions=[division])
    now = datetime.now(timezone.utc)
    sandbox.insert(division, "hrm/Costunits", {"Code": f"C{minutes}", "Description": "cursor"}, at=now.isoformat())
    state = connector.read(["cost_units"]).state
    earlier = (now - timedelta(minutes=minutes)).isoformat()
    late = sandbox.insert(division, "hrm/Costunits", {"Code": f"L{minutes}", "Description": "late"}, at=earlier)

    found = by_key("cost_units", connector.read(["cost_units"], state).records("cost_units"))

    assert ((division, late["ID"]) in found) is seen


def test_no_tombstones_where_they_are_not_wanted(sandbox: Sandbox) -> None:
    division = sandbox.divisions[0]
    connector = sandbox.connection(read_deletions=False, divisions=[division])
    state = connector.read(["contacts"]).state
    sandbox.delete(division, "crm/Contacts", rows_of(sandbox, "contacts", division)[0]["ID"])
    sandbox.forget_calls()

    run = connector.read(["contacts"], state)

    assert run.counts == {}
    assert sandbox.calls("sync/Deleted") == []


def test_records_and_tombstones_together_give_the_sandboxs_table(sandbox: Sandbox) -> None:
    """What a warehouse with deduplication ends up with after changes, insertions and deletions is the truth."""
    division = sandbox.divisions[0]
    connector = sandbox.connection(divisions=[division], lookback_window_minutes=0)
    streams = [*LOGGED, *FAMILIES, *FAMILIES.values()]
    first = connector.read(configured_catalog(streams))
    for stream in LOGGED:
        rows = rows_of(sandbox, stream, division)
        change(sandbox, stream, division, rows[0])
        sandbox.delete(division, ENTITIES[stream], key_of(stream, rows[1]))
        change(sandbox, stream, division, rows[3])
        sandbox.delete(division, ENTITIES[stream], key_of(stream, rows[3]))

    second = connector.read(configured_catalog(streams), first.state)

    for stream in streams:
        table = by_key(stream, first.records(stream))
        for record in second.by_stream.get(stream, []):
            table[primary_key(stream, record)] = record
        table = {key: record for key, record in table.items() if "_ab_cdc_deleted_at" not in record}
        assert_same(stream, table, sandbox.expected(stream, [division]))


# -- where a read begins -----------------------------------------------------------------------------------------------


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


def test_full_refresh_runs_in_a_row_each_read_everything(sandbox: Sandbox) -> None:
    """The state that a finished full refresh leaves is not taken for data to skip: platforms clear it in between."""
    connector = sandbox.connection()
    catalog = configured_catalog(["journals", "divisions"], "full_refresh")
    first = connector.read(catalog)

    second = connector.read(catalog)

    assert first.counts == second.counts
    assert by_key("journals", second.records("journals")) == sandbox.expected("journals")


def test_a_moved_division_loses_nothing(start_sandbox: Any) -> None:
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


# -- columns -----------------------------------------------------------------------------------------------------------


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
        named_key = {"InvoiceID"} if stream.startswith("sales_invoice") else set()
        allowed = {*ticked, "Division", "ID", "Modified", *named_key}
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


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_pages(start_sandbox: Any) -> Sandbox:
    """A sandbox whose pages hold few rows, so that a small stream has many checkpoints."""
    sandbox: Sandbox = start_sandbox(
        "--divisions", "2", "--size", "600", "--minute-limit", "100000", "--daily-limit", "100000"
    )
    sandbox.post("settings", page_sizes={"standard": 10, "bulk": 20, "sync": 20})
    sandbox.settings = sandbox.get("settings")
    return sandbox


def test_a_state_never_runs_ahead_of_the_records(small_pages: Sandbox) -> None:
    """Each row version or pass that a state claims to be done stands before it in the output."""
    streams = ["transaction_lines", "accounts", "sales_invoices", "sales_invoice_lines", "purchase_invoices"]
    expected = {stream: small_pages.expected(stream) for stream in streams}
    run = small_pages.connection().read(configured_catalog(streams))

    seen: dict[str, set[tuple[Any, ...]]] = {stream: set() for stream in streams}
    claims = 0
    for message in run.messages:
        if message["type"] == "RECORD":
            stream = message["record"]["stream"]
            seen[stream].add(primary_key(stream, message["record"]["data"]))
        elif message["type"] == "STATE":
            stream = message["state"]["stream"]["stream_descriptor"]["name"]
            for division, position in positions(message["state"]):
                under_way = position.get("pass", {})
                rows = {key: record for key, record in expected[stream].items() if key[0] == division}
                if "pass" not in position and "Modified" in position:
                    assert rows.keys() <= seen[stream], f"{stream} claims to be done in {division}"
                    claims += 1
                elif is_feed(stream) and "Timestamp" in under_way:
                    done = {key for key, record in rows.items() if record["Timestamp"] <= int(under_way["Timestamp"])}
                    assert done <= seen[stream], f"{stream} in {division} claims {under_way['Timestamp']}"
                    claims += bool(done)
    assert claims > 20
    for stream in streams:
        assert seen[stream] == expected[stream].keys()


def test_every_state_on_the_way_leads_to_the_whole_truth(small_pages: Sandbox) -> None:
    """Whatever state a run was cut off at: the records before it and those of the next run make up the table."""
    streams = ["accounts", "sales_invoices", "sales_invoice_lines", "purchase_invoices"]
    connector = small_pages.connection()
    catalog = configured_catalog(streams)
    run = connector.read(catalog)
    checkpoints = [number for number, message in enumerate(run.messages) if message["type"] == "STATE"]
    assert len(checkpoints) > 8

    for cut in checkpoints[1 : -1 : max(1, len(checkpoints) // 3)]:
        before = run.messages[: cut + 1]
        rest = connector.read(catalog, last_states(before))
        for stream in streams:
            records = [m["record"]["data"] for m in before if m["type"] == "RECORD" and m["record"]["stream"] == stream]
            found = by_key(stream, [*records, *rest.records(stream)])
            assert_same(stream, found, small_pages.expected(stream))


@pytest.mark.parametrize("endpoint", MIXED)
def test_streams_of_one_feed_with_different_states_both_get_their_rows(endpoint: str, sandbox: Sandbox) -> None:
    headers, lines = MIXED[endpoint]
    division = sandbox.divisions[0]
    connector = sandbox.connection(divisions=[division], lookback_window_minutes=0)
    first = connector.read([headers])
    change(sandbox, headers, division, rows_of(sandbox, headers, division)[0])

    both = connector.read([headers, lines], first.state)

    assert_same(lines, by_key(lines, both.records(lines)), sandbox.expected(lines, [division]))
    table = {**by_key(headers, first.records(headers)), **by_key(headers, both.records(headers))}
    assert_same(headers, table, sandbox.expected(headers, [division]))
    assert parse_time(max(record["Modified"] for record in both.records(headers)))
