"""A later run brings what changed and what was deleted, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from integration_tests.connector import Connector, Record, Run, configured_catalog
from integration_tests.entity_rows import (
    ENTITIES,
    FAMILIES,
    LOGGED,
    NAMED_KEYS,
    change,
    is_feed,
    key_of,
    newest,
    positions,
    rows_of,
)
from integration_tests.sandbox_client import Row, Sandbox
from integration_tests.truth import (
    CORE,
    assert_same,
    by_key,
    parse_time,
    primary_key,
    utc_text,
)


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
    (order,) = deleted["sales_orders"]  # its own lines go with it
    others = (row for row in rows_of(sandbox, "sales_order_lines", calm) if row["OrderID"] != order["OrderID"])
    deleted["sales_order_lines"] = [next(others)]
    for headers, lines in FAMILIES.items():
        header, header_key = rows_of(sandbox, headers, calm)[1], NAMED_KEYS[headers]
        deleted[headers] = [header]
        deleted[lines] = [row for row in rows_of(sandbox, lines, calm) if row[header_key] == header[header_key]]
    deleted_at = utc_text(sandbox.now(), sandbox.now())
    for stream in (*LOGGED, *FAMILIES):
        sandbox.delete(calm, ENTITIES[stream], key_of(stream, deleted[stream][0]), at=deleted_at)

    after = {stream: sandbox.expected(stream) for stream in CORE}
    second = connector.read(catalog, quiet.state)
    return Story(connector, first, quiet, before, inserted, silent, deleted, deleted_at, after, second)


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


def test_a_list_finds_a_row_that_was_committed_late(sandbox: Sandbox) -> None:
    """The default lookback of two hours reads again what was modified shortly before the cursor, and no more."""
    division = sandbox.divisions[0]
    connector = sandbox.connection(divisions=[division])
    now = sandbox.now()
    sandbox.insert(division, "hrm/Costunits", {"Code": "NOW", "Description": "cursor"}, at=now.isoformat())
    state = connector.read(["cost_units"]).state
    late = {}
    for minutes in (90, 150):
        row = {"Code": f"L{minutes}", "Description": f"{minutes} minutes late"}
        moment = (now - timedelta(minutes=minutes)).isoformat()
        late[minutes] = sandbox.insert(division, "hrm/Costunits", row, at=moment)["ID"]

    found = {record["ID"] for record in connector.read(["cost_units"], state).records("cost_units")}

    assert late[90] in found
    assert late[150] not in found


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
