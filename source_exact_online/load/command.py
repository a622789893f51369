"""Load Exact Online into a database: everything the first time, and what has changed from then on."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from source_exact_online.command_line import LOAD_EXTRA
from source_exact_online.load.errors import LoadError
from source_exact_online.words import printable

DLT_SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",  # what goes wrong is told here, in a sentence
    "RUNTIME__INTERCEPT_SIGNALS": "false",  # what dies half-way is loaded by the next run
    "LOAD__TRUNCATE_STAGING_DATASET": "true",  # a second copy of what came last helps nobody
}
"""What dlt is told, unless the environment tells it otherwise."""


def run(args: argparse.Namespace) -> int:
    """Run the command; return the exit code: 1 if anything could not be loaded.

    Args:
        args: parsed options of the command line.
    """
    for name, value in DLT_SETTINGS.items():
        os.environ.setdefault(name, value)
    signal.signal(signal.SIGTERM, _end)
    try:
        return _load(args)
    except LoadError as error:
        print(printable(str(error)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. What was loaded stays; the next load goes on from there.", file=sys.stderr)
        return 130


def _load(args: argparse.Namespace) -> int:
    try:
        from source_exact_online.load.destination import DATASET, without_password
        from source_exact_online.load.loading import load
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("dlt", "pyarrow"):
            raise
        raise LoadError(f"`load` needs dlt and pyarrow, which are not installed: {LOAD_EXTRA}") from None
    from source_exact_online.load.screen import Screen
    from source_exact_online.load.summary import lines

    screen = Screen(sys.stderr)
    try:
        tally, goal = load(args.config.expanduser(), args.to, args.streams, screen, full=args.full)
    finally:
        screen.clear()
    to = f" --to {without_password(args.to)}" if args.to else ""
    again = f"source-exact-online load --config {args.config}{to}"
    for line in lines(tally, goal.place, screen.seconds, goal.query, DATASET, again):
        print(line)
    return 1 if tally.error or tally.failures else 0


def _end(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)
