"""Every stream of the catalogue, read from a sandbox with rows for every endpoint, equals the sandbox's own rows."""

from __future__ import annotations

import math
import re
import resource
from collections import Counter
from datetime import datetime, timedelta

import pytest

from integration_tests import every_stream
from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.connector import Connector, Record, Run
from integration_tests.entity_rows import positions
from integration_tests.every_stream import CATALOG, Stream, by_key, everything, keys
from integration_tests.sandbox_client import SOME_OF_ALL, Sandbox
from integration_tests.truth import WALL_CLOCK, assert_same, parse_time
from tools.stream_tables import composite_keys, core_joins

STREAMS = [pytest.param(stream, id=stream["name"]) for stream in CATALOG]
LOOKBACK = timedelta(hours=2)
"""The default."""


@pytest.fixture(scope="module")
def full_sandbox(start_sandbox: StartSandbox) -> Sandbox:
    """A sandbox with rows for every endpoint, some deleted, and pages of two rows, so that listings have several."""
    sandbox = start_sandbox(
        "--divisions",
        "2",
        *SOME_OF_ALL,
        "--minute-limit",
        MANY_CALLS,
        "--daily-limit",
        MANY_CALLS,
    )
    division = sandbox.divisions[0]
    for entity in ("documents/Documents", "documents/DocumentAttachments"):
        rows = sandbox.truth(entity, division)
        sandbox.delete(division, entity, rows[0]["ID"])
    sandbox.post("settings", page_sizes={"standard": 2, "bulk": 50, "sync": 50})
    return sandbox


@pytest.fixture(scope="module")
def first(full_sandbox: Sandbox) -> Run:
    """A first sync of every stream."""
    return full_sandbox.connection().read(everything(), variables={"TZ": "Asia/Tokyo"})


@pytest.fixture(scope="module")
def second(full_sandbox: Sandbox, first: Run) -> Run:
    """A sync right after it."""
    return full_sandbox.connection().read(everything(), first.state)


def expected(sandbox: Sandbox, stream: Stream) -> list[Record]:
    """The records of a stream, made from the sandbox's rows."""
    return every_stream.expected(sandbox.truth, sandbox.divisions, stream)


def test_a_sync_of_every_stream_asks_for_nothing_that_is_refused(full_sandbox: Sandbox, first: Run) -> None:
    assert first.exit_code == 0
    assert first.warnings == []
    refused = [(call.endpoint, call.status) for call in full_sandbox.calls() if call.status != 200]
    assert refused == []
    assert set(first.statuses.values()) == {"COMPLETE"}


@pytest.mark.parametrize("stream", STREAMS)
def test_records_of_a_first_sync_equal_the_rows(full_sandbox: Sandbox, first: Run, stream: Stream) -> None:
    rows = expected(full_sandbox, stream)
    records = first.records(stream["name"])
    assert rows, "the sandbox has no rows to compare with"
    assert len(by_key(stream, rows)) == len(rows), "the primary key does not tell the rows apart"
    assert len(records) == len(rows)
    if stream["name"] not in composite_keys():
        first_column = keys()[stream["name"]][0]
        assert len({row[first_column] for row in rows}) == len(rows), "its first column is not enough"
    if "header" in stream:
        records = [{name: value for name, value in record.items() if name != "Modified"} for record in records]
        assert all("Modified" in record for record in first.records(stream["name"])), "the start of their listing"
    assert_same(stream["name"], by_key(stream, records), by_key(stream, rows))


@pytest.mark.parametrize("stream", STREAMS)
def test_a_second_sync_repeats_snapshots_and_the_lookback_window_of_lists(
    first: Run, second: Run, stream: Stream
) -> None:
    known, found = (by_key(stream, run.records(stream["name"])) for run in (first, second))
    if stream["transport"] == "feed":
        assert found == {}
    elif "header" in stream:
        assert set(found) <= set(known)
        assert all("Modified" in record for record in found.values())
    elif stream["transport"] == "snapshot" or "cursor" not in stream:
        assert set(found) == set(known)
    else:
        (state,) = (one for one in first.state if one["stream"]["stream_descriptor"]["name"] == stream["name"])
        window = {
            division: datetime.fromisoformat(position["cursor"]).replace(tzinfo=WALL_CLOCK) - LOOKBACK
            for division, position in positions(state)
        }
        assert set(found) == {
            key for key, record in known.items() if parse_time(record["Modified"]) >= window[record["Division"]]
        }


def test_what_is_read_by_year_is_asked_for_year_by_year(full_sandbox: Sandbox, first: Run) -> None:
    assert first.exit_code == 0
    by_year = [stream for stream in CATALOG if "split_by_year" in stream]
    assert by_year
    for stream in by_year:
        filters = {call.options["$filter"] for call in full_sandbox.calls(stream["path"])}
        assert all(re.fullmatch(rf"{stream['split_by_year']} (gt|eq|lt) \d{{4}}", condition) for condition in filters)
        assert len(filters) > 10


def test_changed_lines_without_a_date_cost_a_call_for_their_headers(
    full_sandbox: Sandbox, first: Run, second: Run
) -> None:
    assert first.exit_code == second.exit_code == 0
    for stream in (stream for stream in CATALOG if "header" in stream):
        name, lines = stream["name"], stream["header"]["navigation"]
        asked = [call for call in full_sandbox.calls(stream["header"]["path"]) if call.options.get("$expand") == lines]
        assert all(call.options["$filter"].startswith("Modified ge ") for call in asked)
        whole = Counter(call.division for call in full_sandbox.calls(stream["path"]))
        assert whole == {
            division: math.ceil(len([one for one in first.records(name) if one["Division"] == division]) / 2)
            for division in full_sandbox.divisions
        }, "only the first sync read all lines"


def test_larger_pages_are_read_only_where_no_filter_is_needed(full_sandbox: Sandbox, first: Run, second: Run) -> None:
    assert first.exit_code == second.exit_code == 0
    for stream in (stream for stream in CATALOG if "bulk_path" in stream):
        bulk, filtered = full_sandbox.calls(stream["bulk_path"]), full_sandbox.calls(stream["path"])
        assert {call.options.get("$filter") for call in bulk} == {None}
        assert all(call.options["$filter"].startswith("Modified ge ") for call in filtered)
        assert len([call for call in filtered if call.is_first_page]) == len(full_sandbox.divisions)


def test_core_streams_join_as_the_documentation_says(first: Run) -> None:
    dangling = []
    for stream, column, target in core_joins():
        other, key = target.split(".")
        known = {(record["Division"], record.get(key)) for record in first.records(other)}
        values = {(one["Division"], one[column]) for one in first.records(stream) if one.get(column) not in (None, "")}
        if values - known:
            dangling.append(f"{stream}.{column} -> {target}: {sorted(values - known)[:2]} of {len(values)}")
    assert dangling == [], "\n".join(dangling)


def test_discover_takes_less_than_two_seconds_of_computing() -> None:
    connection = Connector(
        {"site": "nl", "credentials": {"client_id": "x", "client_secret": "y", "refresh_token": "z"}}
    )
    began = _computed()
    run = connection.discover()
    assert run.exit_code == 0
    assert _computed() - began < 2


def _computed() -> float:
    """Processor seconds of the processes that have ended: the clock on the wall would show others' work as well."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
