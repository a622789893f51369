"""A later run brings what changed and nothing else, and no state runs ahead of the records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from integration_tests.connector import Connector, Record, Run, State, configured_catalog
from integration_tests.protocol import Message
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import CORE, ENDPOINTS, MIXED, assert_same, belongs, by_key, parse_time, primary_key

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


def rows_of(sandbox: Sandbox, stream: str, division: int) -> list[dict[str, Any]]:
    """Rows of a stream as the sandbox has them."""
    return [row for row in sandbox.truth(ENDPOINTS[stream], division) if belongs(stream, row)]


def key_of(stream: str, row: dict[str, Any]) -> str:
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


def change(sandbox: Sandbox, stream: str, division: int, row: dict[str, Any], at: str | None = None) -> None:
    name, text = remark(stream)
    sandbox.update(division, ENTITIES[stream], key_of(stream, row), {name: text} if name else {}, at)


@pytest.fixture(scope="module")
def caught_up(sandbox: Sandbox) -> tuple[Connector, Run]:
    """A connection that has read all core streams once, and that run."""
    connector = sandbox.connection(lookback_window_minutes=0)
    return connector, connector.read(configured_catalog(CORE))


@pytest.fixture
def up_to_date(caught_up: tuple[Connector, Run]) -> tuple[Connector, State]:
    """The same connection, with a state that knows of all that earlier tests did."""
    connector, first = caught_up
    return connector, connector.read(configured_catalog(CORE), first.state).state


# -- what a second run brings ------------------------------------------------------------------------------------------


def test_a_second_run_without_changes_brings_next_to_nothing(caught_up: tuple[Connector, Run]) -> None:
    """Lists compare with `ge`, so the rows that bear the cursor itself may come again; feeds bring nothing."""
    connector, first = caught_up
    quiet = connector.read(configured_catalog(CORE), first.state)

    again = connector.read(configured_catalog(CORE), quiet.state)

    for stream in CORE:
        records = again.records(stream)
        if stream == "divisions":
            continue
        if ENDPOINTS[stream].startswith("sync/"):
            assert records == [], stream
        else:
            newest: dict[int, str] = {}
            for record in first.records(stream):
                newest[record["Division"]] = max(newest.get(record["Division"], ""), record["Modified"])
            assert all(record["Modified"] == newest[record["Division"]] for record in records), stream


def test_a_second_run_brings_exactly_the_changed_rows(
    sandbox: Sandbox, up_to_date: tuple[Connector, State]
) -> None:
    connector, state = up_to_date
    division = sandbox.divisions[1]
    before = {stream: sandbox.expected(stream) for stream in CORE}
    for stream in ENTITIES:
        change(sandbox, stream, division, rows_of(sandbox, stream, division)[0])
    after = {stream: sandbox.expected(stream) for stream in CORE}

    run = connector.read(configured_catalog(CORE), state)

    for stream in ENTITIES:
        found = by_key(stream, run.records(stream))
        changed = {key: record for key, record in after[stream].items() if before[stream].get(key) != record}
        assert changed, stream
        assert_same(stream, {key: found[key] for key in found if key in changed}, changed)
        if ENDPOINTS[stream].startswith("sync/"):
            assert found.keys() == changed.keys(), stream
        else:
            # The rows that bear the old cursor itself come again; nothing else does.
            old = max(record["Modified"] for key, record in before[stream].items() if key[0] == division)
            extra = [found[key] for key in found.keys() - changed.keys() if key[0] == division]
            assert all(record["Modified"] == old for record in extra), stream


@pytest.mark.parametrize("stream", ["accounts", "journals"], ids=["feed", "list"])
def test_an_inserted_row_is_read(stream: str, sandbox: Sandbox, up_to_date: tuple[Connector, State]) -> None:
    connector, state = up_to_date
    new = {"accounts": {"Code": f"{4711:>18}", "Name": "New relation"}, "journals": {"Code": "77", "Description": "New"}}
    division = sandbox.divisions[0]
    row = sandbox.insert(division, ENTITIES[stream], new[stream])

    found = by_key(stream, connector.read([stream], state).records(stream))

    assert (division, row["ID"]) in found
    assert_same(stream, found, {key: sandbox.expected(stream)[key] for key in found})


def test_a_change_that_leaves_modified_alone_reaches_the_feed(
    sandbox: Sandbox, up_to_date: tuple[Connector, State]
) -> None:
    """A new row version is a change, whatever Modified says."""
    connector, state = up_to_date
    division = sandbox.divisions[0]
    row = rows_of(sandbox, "items", division)[-1]
    sandbox.update(division, "logistics/Items", row["ID"], {"Description": "silently"}, touch_modified=False)

    records = connector.read(["items"], state).records("items")

    assert [(record["ID"], record["Description"]) for record in records] == [(row["ID"], "silently")]


@pytest.mark.parametrize(("minutes", "seen"), [(90, True), (150, False)], ids=["within the lookback", "before it"])
def test_a_list_finds_a_row_that_was_committed_late(minutes: int, seen: bool, sandbox: Sandbox) -> None:
    """The default lookback of two hours reads again what was modified shortly before the cursor."""
    division = sandbox.divisions[0]
    connector = sandbox.connection(divisions=[division])
    now = datetime.now(timezone.utc)
    sandbox.insert(division, "hrm/Costunits", {"Code": f"C{minutes}", "Description": "cursor"}, at=now.isoformat())
    state = connector.read(["cost_units"]).state
    late = sandbox.insert(
        division,
        "hrm/Costunits",
        {"Code": f"L{minutes}", "Description": "late"},
        at=(now - timedelta(minutes=minutes)).isoformat(),
    )

    found = by_key("cost_units", connector.read(["cost_units"], state).records("cost_units"))

    assert ((division, late["ID"]) in found) is seen


# -- deletions ---------------------------------------------------------------------------------------------------------


def test_deleted_rows_become_tombstones_in_their_stream(sandbox: Sandbox, up_to_date: tuple[Connector, State]) -> None:
    connector, state = up_to_date
    division = sandbox.divisions[0]
    moment = f"{datetime.now(timezone.utc) - timedelta(days=30):%Y-%m-%dT10:20:30}.400+00:00"
    victims = {stream: rows_of(sandbox, stream, division)[2] for stream in LOGGED}
    for stream, row in victims.items():
        sandbox.delete(division, ENTITIES[stream], key_of(stream, row), at=moment)

    run = connector.read(configured_catalog(CORE), state)

    for stream, row in victims.items():
        tombstones = {record["ID"]: record for record in run.tombstones(stream)}
        assert tombstones.get(row["ID"]) == {
            "Division": division,
            "ID": row["ID"],
            "Modified": moment,
            "_ab_cdc_deleted_at": moment,
        }, stream
        assert primary_key(stream, tombstones[row["ID"]]) not in sandbox.expected(stream)


@pytest.mark.parametrize(("headers", "lines"), FAMILIES.items())
def test_a_deleted_document_leaves_tombstones_of_header_and_lines(
    headers: str, lines: str, sandbox: Sandbox, up_to_date: tuple[Connector, State]
) -> None:
    connector, state = up_to_date
    division, named_key = sandbox.divisions[1], NAMED_KEYS[headers]
    header = rows_of(sandbox, headers, division)[1]
    gone = [row for row in rows_of(sandbox, lines, division) if row[named_key] == header[named_key]]
    sandbox.delete(division, ENTITIES[headers], header[named_key])

    run = connector.read(configured_catalog([headers, lines]), state)

    assert gone
    assert header["ID"] in {record["ID"] for record in run.tombstones(headers)}
    assert {row["ID"] for row in gone} <= {record["ID"] for record in run.tombstones(lines)}


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


def test_a_full_refresh_after_incremental_runs_reads_everything(
    sandbox: Sandbox, up_to_date: tuple[Connector, State]
) -> None:
    connector, _ = up_to_date
    streams = ["accounts", "journals", "sales_invoices", "sales_invoice_lines"]

    run = connector.read(configured_catalog(streams, "full_refresh"))

    for stream in streams:
        assert_same(stream, by_key(stream, run.records(stream)), sandbox.expected(stream))


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


def positions(state: Message) -> Iterator[tuple[int, dict[str, Any]]]:
    blob = state["stream"]["stream_state"]
    for division, position in blob["divisions"].items():
        yield int(division), position


@pytest.fixture(scope="module")
def small_pages(start_sandbox: Any) -> Sandbox:
    """A sandbox whose pages hold few rows, so that a small stream has many checkpoints."""
    sandbox: Sandbox = start_sandbox("--divisions", "2", "--size", "600", "--minute-limit", "100000", "--daily-limit", "100000")
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
                elif ENDPOINTS[stream].startswith("sync/") and "Timestamp" in under_way:
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
        rest = connector.read(catalog, states_of(before))
        for stream in streams:
            records = [m["record"]["data"] for m in before if m["type"] == "RECORD" and m["record"]["stream"] == stream]
            found = by_key(stream, [*records, *rest.records(stream)])
            assert_same(stream, found, small_pages.expected(stream))


def states_of(messages: list[Message]) -> State:
    from integration_tests.connector import last_states

    return last_states(messages)


def test_a_state_survives_json_and_names_each_division(up_to_date: tuple[Connector, State], sandbox: Sandbox) -> None:
    _, state = up_to_date

    assert json.loads(json.dumps(state)) == state
    by_stream = {entry["stream"]["stream_descriptor"]["name"]: entry for entry in state}
    assert set(by_stream) == set(CORE)
    for stream in ENTITIES:
        assert {division for division, _ in positions(by_stream[stream])} == set(sandbox.divisions), stream


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
