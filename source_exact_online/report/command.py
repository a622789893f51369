"""Write a page about what was loaded: rows, checks, result by month, balance sheet, ageing, cost centers."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone

from source_exact_online.command_line import REPORT_EXTRA
from source_exact_online.report.errors import ReportError

_MODULES = ("duckdb", "jinja2", "matplotlib", "numpy")


def run(args: argparse.Namespace) -> int:
    """Run the command; return the exit code: 1 if the page could not be written.

    Args:
        args: parsed options of the command line.
    """
    try:
        _write(args)
    except ReportError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _write(args: argparse.Namespace) -> None:
    try:
        from source_exact_online.report.books import read
        from source_exact_online.report.page import page
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _MODULES:
            raise
        needs = "`report` needs DuckDB, matplotlib and Jinja2, which are not installed"
        raise ReportError(f"{needs}: {REPORT_EXTRA}") from None
    source, to = args.source.expanduser(), args.to.expanduser()
    if not source.is_file():
        raise ReportError(f"There is no file {source}: `source-exact-online load` makes one.")
    books = read(source, args.models_schema)
    try:
        to.write_text(page(books, datetime.now(timezone.utc)), encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{to} cannot be written: {error.strerror}.") from None
    origin = "the dbt models" if books.has_models else "the loaded tables, as no dbt models were built"
    print(f"{to}: {len(books.divisions)} administrations, figures from {origin}.")
