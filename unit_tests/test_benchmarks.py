"""The benchmarks on tiny inputs: what is compared does the same work, and the report tells what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ceiling, report, scenarios
from benchmarks.measure import Cost, ProcessError, middle, run
from benchmarks.plots import Panel, bars, panels
from benchmarks.programs import CONNECTOR, config, read_command
from benchmarks.replay import STREAM, serving
from source_exact_online.catalog.definitions import catalog
from tools.generate_catalog import load_overlay

COST = {"cpu": 1.5, "seconds": 2.0, "rss": 100.0}
RESULTS: dict[str, Any] = {
    "machine": {"cores": 2, "python": "3.11.7", "system": "Linux on x86_64"},
    "throughput": {
        "rows": 1000,
        "rounds": 1,
        "costs": {
            **dict.fromkeys(report.PROGRAMS, COST),
            **{f"{name}, no rows": {**COST, "cpu": 0.5} for name in ("connector", "ceiling")},
        },
    },
    "startup": {"spec": COST},
    "calls": [
        {"path": "/api/v1/1/hrm/Costunits", "streams": ["cost_units"], "transport": "list", "first": 7, "second": 1}
    ],
    "quota": {"calls": 200, "minutes": [60, 59], "refused": 0, "limit": 60},
    "latency": [
        {"divisions": 1, "streams": 1, "calls": 10, "seconds": 5.0},
        {"divisions": 8, "streams": 1, "calls": 80, "seconds": 5.5},
    ],
    "memory": [{"rows": 1000, **COST}, {"rows": 2000, **COST}],
    "growth": [
        {"divisions": number, "streams": 21, "calls": 50, "states": 21, "state_bytes": 9000, **COST}
        for number in (5, 20, 10)
    ],
}


@pytest.mark.slow
def test_the_ceiling_and_the_connector_emit_the_same_rows(tmp_path: Path) -> None:
    with serving(25, page_size=10) as server:
        least = subprocess.run(
            [sys.executable, ceiling.__file__, server.base_url],
            capture_output=True,
            check=True,
            env={"PYTHONPATH": str(Path(ceiling.__file__).parent.parent)},
        )
        read = subprocess.run(
            read_command(tmp_path, config(server.base_url), [STREAM]), capture_output=True, check=True
        )
        calls = [path.rpartition("/")[2] for path, _, _ in server.log()]

    lines = [json.loads(line) for line in read.stdout.splitlines()]
    records = [line["record"]["data"] for line in lines if line["type"] == "RECORD"]
    assert [record["ID"] for record in records] == [json.loads(line)["ID"] for line in least.stdout.splitlines()]
    assert len(records) == 25
    assert calls.count("TransactionLines") == 6


@pytest.mark.slow
def test_a_run_without_changes_finds_none() -> None:
    streams = ["accounts", "journals"]
    found = scenarios.unchanged(2, streams)

    assert found["calls"] == 2 + 2 * (len(streams) + 1), (
        "user, divisions, and in each division the deletion log as well"
    )
    assert found["states"] >= 2


def test_the_core_is_the_one_of_the_documentation() -> None:
    assert list(scenarios.CORE) == list(load_overlay().core)
    assert sum(scenarios.only_feeds(catalog()[name]) for name in scenarios.CORE) >= 8


def test_a_process_is_measured_and_its_failure_told() -> None:
    cost = run([sys.executable, "-c", "x = bytes(50_000_000)"])

    assert 0 < cost.cpu < 30
    assert cost.rss > 50
    with pytest.raises(ProcessError, match="no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"])
    assert CONNECTOR[0] == sys.executable


def test_the_middle_of_three_runs_is_the_median() -> None:
    assert middle([Cost(1, 9, 30), Cost(5, 7, 10), Cost(2, 8, 20)]) == Cost(2, 8, 20)


def test_scaled_down_nothing_vanishes() -> None:
    assert scenarios.Scale(200_000).of(500) == 500
    assert scenarios.Scale(20_000).of(500) == 50
    assert scenarios.Scale(1).of(500, 2) == 2


def test_the_document_has_what_was_measured(tmp_path: Path) -> None:
    written = report.write(RESULTS, tmp_path)

    text = written[0].read_text("utf-8")
    assert "| connector | 1.50 | 667 | 1.00 |" in text
    assert "7.3 times as fast as one" in text
    assert "99.2 % of the calls of 2 whole minutes" in text
    assert "| `hrm/Costunits` | cost_units | list | 7 | 1 |" in text
    assert all(f"({path.name})" in text for path in written[1:])
    assert max(map(len, text.replace("|", "\n").splitlines())) <= 130


@pytest.mark.parametrize(
    "picture",
    [
        bars("A & B", {"one": 1.0, "two": 2.0}, "s", "one"),
        panels("Growth", [Panel("Memory", [(1, 5.0), (2, 5.5)], "rows", "{:.1f}")]),
    ],
    ids=["bars", "panels"],
)
def test_plots_are_well_formed(picture: str) -> None:
    root = xml.etree.ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root) > 4
