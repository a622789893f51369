"""`load` beside PyAirbyte: first loads of the core into DuckDB files, of the same books, in turns.

    make bench-load BENCH_ARGS="--lines 50000 --rounds 3"

Prints the table of docs/load.md. Each load has a sandbox of its own without limits worth mentioning, whose processor
time is not counted. Memory is that of all processes of a load together, shared pages counted once (PSS; Linux only).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.measure import ROOT, Cost, ProcessError
from benchmarks.programs import CONNECTOR
from source_exact_online.catalog.offer import named

MANY = "1000000"
"""Calls a minute and a day: neither load waits for a quota."""

SAMPLE_SECONDS = 0.05

PYAIRBYTE = """
import json, os, sys
from pathlib import Path
config, file, *streams = sys.argv[1:]
os.environ |= {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "NO_LIVE_PROGRESS": "1"}
for name in ("AIRBYTE_PROJECT_DIR", "AIRBYTE_CACHE_ROOT", "AIRBYTE_TEMP_DIR", "AIRBYTE_LOGGING_ROOT"):
    os.environ[name] = os.path.dirname(file)
import airbyte
from airbyte.caches import DuckDBCache
source = airbyte.get_source(
    "source-exact-online",
    local_executable=Path(sys.executable).with_name("source-exact-online"),
    config=json.loads(Path(config).read_text()),
    streams=streams,
)
source.read(cache=DuckDBCache(db_path=file, schema_name="exact_online"))
"""


@contextmanager
def sandbox(config: Path, lines: int) -> Iterator[None]:
    """Serve a division with so many transaction lines, and write a configuration for it."""
    command = [sys.executable, "-m", "exact_online_sandbox", "--divisions", "1", "--size", str(lines)]
    command += ["--minute-limit", MANY, "--daily-limit", MANY, "--connector-config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield
        finally:
            process.terminate()


def measured(command: Sequence[str], log: Path) -> Cost:
    """Run a program and return what it and its children cost.

    Raises:
        ProcessError: it has failed.
    """
    began, most = time.monotonic(), 0
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=said,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            most = max(most, _memory(process.pid))
            time.sleep(SAMPLE_SECONDS)
    _, status, usage = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ProcessError(f"{command[0]} ended with {process.returncode}: {log.read_text('utf-8')[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - began, most / 1e6)


def _memory(session: int) -> int:
    """Return the bytes that the processes of a session hold."""
    held = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            after_name = (process / "stat").read_text("utf-8").rpartition(")")[2].split()
            if int(after_name[3]) == session:
                shown = (process / "smaps_rollup").read_text("utf-8")
                held += 1024 * int(shown.partition("\nPss:")[2].split()[0])
    return held


def rows_in(file: Path, streams: Sequence[str]) -> int:
    """Return the number of rows of all streams in a DuckDB file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        counts = (connection.execute(f"select count(*) from exact_online.{name}").fetchone() for name in streams)
        return sum(count[0] for count in counts if count)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pyairbyte", required=True, help="Python in whose environment PyAirbyte is")
    parser.add_argument("--lines", type=int, default=50_000, help="transaction lines (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="loads with each (default: %(default)s)")
    options = parser.parse_args()
    streams = [one.name for one in named("core", frozenset(), frozenset())]
    costs: dict[str, list[Cost]] = {"`load`": [], "PyAirbyte": []}
    rows: dict[str, int] = {}
    for _ in range(options.rounds):
        for name, found in costs.items():
            with tempfile.TemporaryDirectory(prefix="bench-load-") as made:
                config, file = Path(made, "config.json"), Path(made, "exact.duckdb")
                with sandbox(config, options.lines):
                    command = {
                        "`load`": [*CONNECTOR, "load", "--config", str(config), "--to", str(file)],
                        "PyAirbyte": [options.pyairbyte, "-c", PYAIRBYTE, str(config), str(file), *streams],
                    }[name]
                    found.append(measured(command, Path(made, "log")))
                rows[name] = rows_in(file, streams)
            print(json.dumps({"name": name, "rows": rows[name], "cost": str(found[-1])}), file=sys.stderr, flush=True)
    print("| | Rows | Seconds | Processor time | Rows per second | Rows per second of processor time | Memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, found in costs.items():
        seconds, cpu, memory = (median(getattr(one, part) for one in found) for part in ("seconds", "cpu", "rss"))
        speed = f"{rows[name] / seconds:,.0f} | {rows[name] / cpu:,.0f}"
        print(f"| {name} | {rows[name]:,} | {seconds:.1f} s | {cpu:.1f} s | {speed} | {memory:,.0f} MB |")


if __name__ == "__main__":
    main()
