"""docs/performance.md and its plots, from what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plots import Panel, bars, panels

Results = Mapping[str, Any]
PROGRAMS = ("ceiling", "connector", "dlt, rows iterated", "dlt, extracted to disk", "Airbyte manifest")


def write(results: Results, folder: Path) -> list[Path]:
    """Write the document and its plots into a folder; return their paths."""
    found = {
        "performance.md": document(results),
        "performance-throughput.svg": _throughput_plot(results["throughput"]),
        "performance-growth.svg": _growth_plot(results),
    }
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in found]


def document(results: Results) -> str:
    """Return the document."""
    machine, throughput = results["machine"], results["throughput"]
    return f"""# Performance

What the connector costs in CPU, memory and calls, and how that grows. `make bench` measures it and writes this page;
`make bench BENCH_ARGS="--rows 20000 --rounds 1"` is a quick look, which it keeps in `benchmarks/output/`, and
`BENCH_ARGS="--only throughput startup"` measures again in part.

Measured on {machine["cores"]} cores, {machine["system"]}, Python {machine["python"]}, beside other work: compare the
numbers of one table with each other, not with those of another machine. CPU is user and system time of the whole
process, start-up included, as the kernel counted it; memory is the most that was resident at a time.

## Throughput

![CPU seconds per 100,000 rows of the connector and of other programs](performance-throughput.svg)

{throughput["rows"]:,} transaction lines of 71 columns, 1,000 on a page, from a server on the same machine that
replays them from memory. The programs take turns, {throughput["rounds"]} times; medians.

{_throughput_table(throughput)}

* The *ceiling* is the least that a program can do with requests and orjson: fetch, parse, write each row as a line. It
  converts nothing. With the start-up of both taken off, the connector reaches {_without_start(throughput):.2f} of it.
* The connector converts dates to UTC, and proves each page to be the page that was asked for.
* dlt's `rest_api` source and an Airbyte manifest in the CDK read the same pages and leave dates as they are. *Iterated*
  means that rows are counted and go nowhere.

## Start-up

{_startup_table(results["startup"])}

`spec` and `discover` are answered without the CDK (`source_exact_online/offline.py`). Everything else imports it, which
is most of the start-up.

## Calls

A first read costs one call for each page and three more: the token, the user (`current/Me`) and the list of divisions.
A run without changes costs one call for each listing and division, one for the deletion log of each division, and
the same three. Listings that are small or have no dates are read in full each time.

The 21 core streams in one division, where each listing has seven pages:

{_calls_table(results["calls"])}

Token calls are not in the table; there is one a run. Two pairs of streams share a feed, so that 21 streams are 19
listings, and 18 of them have seven pages here. `system/Divisions` is asked twice: for the divisions to read, and for
the stream `divisions`. No other call is made.

Alone on its quota of {results["quota"]["limit"]} calls a minute, against the sandbox, the connector used
{_quota_share(results["quota"])} of the calls of {len(results["quota"]["minutes"])} whole minutes and was refused
{results["quota"]["refused"]} times.

## Latency

Each answer takes half a second; 10 workers, at most four of them in a division.

{_latency_table(results["latency"])}

The pages of one listing follow from each other, so that they cannot be asked for side by side. Eight divisions are
read {_eight_to_one(results["latency"]):.1f} times as fast as one.

## Memory

Transaction lines of one division:

{_memory_table(results["memory"])}

## Growth

![CPU per call, memory and state of a run without changes by the number of divisions](performance-growth.svg)

Runs without changes:

{_growth_table(results["growth"])}

CPU per call has the start-up in it. State is what the run writes: each stream's state names all its divisions, so that
a message is written less often the more they are.
"""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _throughput_table(found: Mapping[str, Any]) -> str:
    costs, rows = found["costs"], found["rows"]
    connector, ceiling = costs["connector"]["cpu"], costs["ceiling"]["cpu"]
    return _table(
        ["Program", "CPU s", "rows per CPU s", "of the ceiling", "the connector is", "MB"],
        [
            [
                name,
                f"{costs[name]['cpu']:.2f}",
                f"{rows / costs[name]['cpu']:,.0f}",
                f"{ceiling / costs[name]['cpu']:.2f}",
                "" if name == "connector" else f"{costs[name]['cpu'] / connector:.2f} x as fast",
                f"{costs[name]['rss']:.0f}",
            ]
            for name in PROGRAMS
        ],
    )


def _without_start(found: Mapping[str, Any]) -> float:
    cpu = {name: cost["cpu"] for name, cost in found["costs"].items()}
    return float((cpu["ceiling"] - cpu["ceiling, no rows"]) / (cpu["connector"] - cpu["connector, no rows"]))


def _startup_table(found: Mapping[str, Any]) -> str:
    rows = [[f"{name}", f"{cost['cpu']:.2f}", f"{cost['rss']:.0f}"] for name, cost in found.items()]
    return _table(["Command", "CPU s", "MB"], rows)


def _calls_table(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"`{re.sub('^/api/v1/([0-9]+/)?', '', one['path'])}`",
            ", ".join(one["streams"]),
            one["transport"],
            str(one["first"]),
            str(one["second"]),
        ]
        for one in found
    ]
    total = ["all", "", "", str(sum(one["first"] for one in found)), str(sum(one["second"] for one in found))]
    return _table(["Path", "Streams", "Transport", "First read", "No change"], [*rows, total])


def _quota_share(found: Mapping[str, Any]) -> str:
    minutes = found["minutes"]
    return f"{100 * sum(minutes) / (found['limit'] * max(1, len(minutes))):.1f} %"


def _latency_table(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"{one['divisions']} x {one['streams']}",
            str(one["calls"]),
            f"{one['seconds']:.1f}",
            f"{one['calls'] / one['seconds']:.1f}",
        ]
        for one in found
    ]
    return _table(["Divisions x streams", "pages", "seconds", "pages a second"], rows)


def _eight_to_one(found: Sequence[Mapping[str, Any]]) -> float:
    speed = {(one["divisions"], one["streams"]): one["calls"] / one["seconds"] for one in found}
    return float(speed[8, 1] / speed[1, 1])


def _memory_table(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [[f"{one['rows']:,}", f"{one['rss']:.0f}", f"{one['cpu']:.1f}"] for one in found]
    return _table(["Rows", "MB", "CPU s"], rows)


def _growth_table(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"{one['divisions']} x {one['streams']}",
            f"{one['calls']:,}",
            f"{one['cpu']:.1f}",
            f"{1000 * one['cpu'] / one['calls']:.2f}",
            f"{one['rss']:.0f}",
            f"{one['state_bytes'] / 1000:,.0f}",
            f"{one['state_bytes'] / 1000 / one['divisions']:.1f}",
        ]
        for one in found
    ]
    head = ["Divisions x streams", "calls", "CPU s", "ms a call", "MB", "kB of state", "kB of state per division"]
    return _table(head, rows)


def _throughput_plot(found: Mapping[str, Any]) -> str:
    values = {name: found["costs"][name]["cpu"] * 100_000 / found["rows"] for name in PROGRAMS}
    return bars("CPU seconds per 100,000 transaction lines, start-up included", values, "s", "connector")


def _growth_plot(results: Results) -> str:
    many = results["growth"][:-1]
    return panels(
        "How a run without changes grows with divisions (21 streams), and memory with rows",
        [
            Panel(
                "CPU per call, ms",
                [(one["divisions"], 1000 * one["cpu"] / one["calls"]) for one in many],
                "divisions",
                "{:.2f}",
            ),
            Panel(
                "State written, kB",
                [(one["divisions"], one["state_bytes"] / 1000) for one in many],
                "divisions",
                "{:,.0f}",
            ),
            Panel("Memory, MB", [(one["divisions"], one["rss"]) for one in many], "divisions", "{:.0f}"),
            Panel(
                "Memory, MB", [(one["rows"] / 1000, one["rss"]) for one in results["memory"]], "thousand rows", "{:.0f}"
            ),
        ],
    )
