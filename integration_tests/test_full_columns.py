"""Every stream that `full_columns` can name, and switching it on and off between syncs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.connector import ROOT, Catalog, Record, Run
from integration_tests.protocol import members
from integration_tests.sandbox_client import SOME_OF_ALL, Sandbox
from integration_tests.truth import same

Stream = dict[str, Any]

FULL: list[Stream] = [
    {**stream, **stream["full"]}
    for stream in yaml.safe_load((ROOT / "source_exact_online/catalog/catalog.yaml").read_text(encoding="utf-8"))[
        "streams"
    ]
    if "full" in stream
]
NAMES = [stream["name"] for stream in FULL]
ITEMS = ["items"]


@pytest.fixture(scope="module")
def whole(start_sandbox: StartSandbox) -> Sandbox:
    """A sandbox with rows for every endpoint."""
    return start_sandbox(
        *("--divisions", "1", *SOME_OF_ALL),
        *("--minute-limit", MANY_CALLS, "--daily-limit", MANY_CALLS),
    )


def discovered(sandbox: Sandbox, names: list[str], full: list[str]) -> Catalog:
    """A configured catalogue of some streams as `discover` shows them where `full_columns` names some."""
    run = sandbox.connection(full_columns=full).discover()
    (found,) = members(run.messages, "CATALOG")
    streams = {stream["name"]: stream for stream in found["streams"]}
    configured = []
    for name in names:
        incremental = "incremental" in streams[name]["supported_sync_modes"]
        configured.append(
            {
                "stream": streams[name],
                "sync_mode": "incremental" if incremental else "full_refresh",
                "destination_sync_mode": "append_dedup" if incremental else "overwrite",
                "cursor_field": streams[name].get("default_cursor_field", []),
                "primary_key": streams[name]["source_defined_primary_key"],
            }
        )
    return {"streams": configured}


@pytest.fixture(scope="module")
def everything(whole: Sandbox) -> Catalog:
    return discovered(whole, NAMES, NAMES)


@pytest.fixture(scope="module")
def first(whole: Sandbox, everything: Catalog) -> Run:
    whole.forget_calls()
    return whole.connection(full_columns=NAMES).read(everything)


def schema_of(everything: Catalog, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one["stream"] for one in everything["streams"] if one["stream"]["name"] == name)
    return found


def test_nothing_that_is_asked_for_is_refused(whole: Sandbox, first: Run) -> None:
    assert [(call.endpoint, call.status) for call in whole.calls() if call.status != 200] == []
    assert first.warnings == []


@pytest.mark.parametrize("stream", [pytest.param(one, id=one["name"]) for one in FULL])
def test_records_have_all_that_the_endpoint_has(
    stream: Stream, whole: Sandbox, first: Run, everything: Catalog
) -> None:
    entry = schema_of(everything, stream["name"])
    key = [column for (column,) in entry["source_defined_primary_key"] if column != "Division"]
    rows = {
        tuple(row[column] for column in key): row
        for row in whole.truth(stream["path"], whole.divisions[0])
        if stream.get("rows", "all") == "all" or bool(row["LineNumber"]) is (stream["rows"] == "lines")
    }
    records = {tuple(record[column] for column in key): record for record in first.records(stream["name"])}
    plain = [
        name
        for name, schema in entry["json_schema"]["properties"].items()
        if "format" not in schema and name not in ("Division", "_ab_cdc_deleted_at")
    ]

    assert rows
    assert records.keys() == rows.keys()
    assert {
        (id_, name): (record.get(name), rows[id_].get(name))
        for id_, record in records.items()
        for name in plain
        if name in rows[id_] and not same(_number(record.get(name)), _number(rows[id_].get(name)))
    } == {}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def test_a_second_sync_asks_for_changes_alone(whole: Sandbox, first: Run, everything: Catalog) -> None:
    whole.forget_calls()

    run = whole.connection(full_columns=NAMES).read(everything, first.state)

    assert run.warnings == []
    lists = {stream["path"] for stream in FULL if stream["transport"] == "list" and "header" not in stream}
    filters = [call.options.get("$filter", "") for call in whole.calls() if call.endpoint in lists]
    assert filters
    assert [one for one in filters if not one.startswith("Modified ge datetime'2")] == []


def switched(sandbox: Sandbox, run: Run, *, on: bool) -> Run:
    full = ITEMS if on else []
    return sandbox.connection(full_columns=full).read(discovered(sandbox, ITEMS, full), run.state)


def table(*runs: Run) -> dict[str, Record]:
    """What a destination that merges has after some syncs."""
    rows: dict[str, Record] = {}
    for run in runs:
        rows.update({record["ID"]: record for record in run.records("items")})
        for tombstone in run.tombstones("items"):
            rows.pop(tombstone["ID"], None)
    return rows


@pytest.mark.parametrize("on_first", [False, True], ids=["on later", "off later"])
def test_a_switch_loses_neither_rows_nor_changes_nor_deletions(on_first: bool, whole: Sandbox) -> None:
    division, full = whole.divisions[0], ITEMS if on_first else []
    before = whole.connection(full_columns=full).read(discovered(whole, ITEMS, full))
    rows = whole.truth("logistics/Items", division)
    whole.update(division, "logistics/Items", rows[0]["ID"], {"Description": f"changed {on_first}"})
    whole.delete(division, "logistics/Items", rows[-1]["ID"])

    there = switched(whole, before, on=not on_first)
    whole.update(division, "logistics/Items", rows[1]["ID"], {"Description": f"changed again {on_first}"})
    back = switched(whole, there, on=on_first)

    now = {row["ID"]: row["Description"] for row in whole.truth("logistics/Items", division)}
    assert {key: row["Description"] for key, row in table(before, there, back).items()} == now
    assert any("full_columns" in line for line in there.warnings)
    prices = [record.get("StandardSalesPrice") for record in (back if on_first else there).records("items")]
    assert len([price for price in prices if price is not None]) > 0
