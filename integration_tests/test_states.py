"""No state runs ahead of the records, and every one of them leads on to the whole truth."""

from __future__ import annotations

from typing import Any

import pytest

from integration_tests.conftest import StartSandbox
from integration_tests.connector import configured_catalog, last_states
from integration_tests.entity_rows import (
    change,
    is_feed,
    positions,
    rows_of,
)
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import (
    MIXED,
    assert_same,
    by_key,
    parse_time,
    primary_key,
)


@pytest.fixture(scope="module")
def small_pages(start_sandbox: StartSandbox) -> Sandbox:
    """A sandbox whose pages hold few rows, so that a small stream has many checkpoints."""
    sandbox: Sandbox = start_sandbox(
        "--divisions", "2", "--size", "600", "--minute-limit", "100000", "--daily-limit", "100000"
    )
    sandbox.post("settings", page_sizes={"standard": 10, "bulk": 20, "sync": 20})
    sandbox.settings = sandbox.get("settings")
    return sandbox


def test_a_state_never_runs_ahead_of_the_records(small_pages: Sandbox) -> None:
    """Whatever a state claims to be read, by row version or to its end, stands before it in the output."""
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
                rows = {key: record for key, record in expected[stream].items() if key[-1] == division}
                if "in_progress" not in position and "last_read_at" in position:
                    assert rows.keys() <= seen[stream], f"{stream} claims to be done in {division}"
                    claims += 1
                elif is_feed(stream) and "row_version" in position:
                    done = {key for key, record in rows.items() if record["Timestamp"] <= int(position["row_version"])}
                    assert done <= seen[stream], f"{stream} in {division} claims {position['row_version']}"
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
