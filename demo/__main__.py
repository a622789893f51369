"""`make demo`: load two administrations, ask some questions, let business go on, and load what changed."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import NoReturn

from demo import report
from demo.sandbox import NOW, Sandbox, SandboxError, sandbox
from demo.terminal import Terminal
from demo.warehouse import LoadError, Warehouse

OUTPUT = Path(__file__).parent / "output"
STEPS = 5
"""Events of business between the two loads, in each administration."""


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--size", default="small", help="bookkeeping per administration (default: %(default)s)")
    parser.add_argument(
        "--now",
        default=os.environ.get("SANDBOX_NOW", NOW),
        help="when it takes place; also SANDBOX_NOW in the environment (default: %(default)s)",
    )
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    terminal = Terminal()
    warehouse = _empty_warehouse()
    try:
        with sandbox(OUTPUT / "sandbox.log", options.size, options.now) as box:
            warehouse.config.touch(mode=0o600)
            warehouse.config.write_text(json.dumps(box.config()), encoding="utf-8")
            _tell(terminal, box, warehouse)
    except (LoadError, SandboxError) as error:
        terminal.failed(str(error))
        terminal.line(f"All that was said stands in {_shown(OUTPUT)}.")
        return 1
    except KeyboardInterrupt:
        terminal.failed("stopped")
        return 130
    return 0


def _tell(terminal: Terminal, box: Sandbox, warehouse: Warehouse) -> None:
    terminal.title("source-exact-online", "a stand-in for Exact Online → load → DuckDB")
    seconds = _load(terminal, warehouse, "First load: everything")
    first_calls = box.calls()
    rows, administrations = warehouse.rows_by_division(), warehouse.administrations()
    count = sum(sum(counts.values()) for counts in rows.values())
    terminal.heading("First load: everything", f"{count:,} rows of {len(rows)} streams in {seconds:.0f} s")
    report.loaded(terminal, administrations, rows)

    report.answers(terminal, warehouse)

    terminal.heading("Business goes on", "orders, invoices, payments, prices, deletions")
    box.forget_calls()
    known = warehouse.keys()
    begun = datetime.now(timezone.utc)
    report.activity(terminal, {one: box.work(one.code, STEPS) for one in administrations})

    seconds = _load(terminal, warehouse, "Second load: what changed")
    fetched = warehouse.fetched_since(begun, box.began, known)
    terminal.heading("Second load: only what changed", f"{sum(one.rows for one in fetched):,} rows in {seconds:.0f} s")
    report.changed(terminal, fetched)
    if warehouse.balances():
        terminal.done("debits equal credits in both administrations, as before")
    else:
        terminal.failed("debits do not equal credits any more")

    terminal.heading("Calls to the API")
    report.calls(terminal, administrations, [first_calls, box.calls()], box.limits())

    terminal.heading("Yours to look at", _shown(warehouse.file))
    page = OUTPUT / "report.html"
    with terminal.waiting("A page about all of it"):
        warehouse.report(page)
    report.farewell(terminal, _shown(Path(sys.executable)), _shown(warehouse.file), _shown(page))
    terminal.line()


def _load(terminal: Terminal, warehouse: Warehouse, text: str) -> float:
    begun = time.monotonic()
    with terminal.waiting(text):
        warehouse.load()
    return time.monotonic() - begun


def _empty_warehouse() -> Warehouse:
    """Return a warehouse without anything of an earlier run: that run's sandbox is gone, and its login with it."""
    OUTPUT.mkdir(exist_ok=True)
    warehouse = Warehouse(OUTPUT / "exact.duckdb", OUTPUT / "config.json", OUTPUT / "load.log")
    for file in (warehouse.file, warehouse.file.with_suffix(".duckdb.wal"), warehouse.config, warehouse.log):
        file.unlink(missing_ok=True)
    return warehouse


def _shown(path: Path) -> str:
    """Return a path as a person in this folder would write it."""
    return os.path.relpath(path)


def _end(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
