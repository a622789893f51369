"""The page: one file of HTML with its style and charts in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from source_exact_online.report import charts
from source_exact_online.report.books import BUCKETS, Books, Division, Position
from source_exact_online.version import VERSION

TOP = 10
"""How many customers and cost centers are told by name."""


def page(books: Books, now: datetime) -> str:
    """Return the page.

    Args:
        books: all figures.
        now: aware; when the page was made.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": _money, "count": lambda number: f"{number:,}"}
    return environment.get_template("page.html").render(
        books=books,
        now=now,
        version=VERSION,
        buckets=BUCKETS,
        top=TOP,
        names={division.code: division.name for division in books.divisions},
        by_section=_by_section,
        drawings={division.code: _drawings(division) for division in books.divisions},
    )


def _drawings(division: Division) -> dict[str, tuple[str, str]]:
    """Each chart of a division in two widths."""
    widths = (charts.WIDE, charts.NARROW)
    found = {}
    if division.months:
        wide, narrow = (charts.result_by_month(division.months, width=width) for width in widths)
        found["result"] = wide, narrow
    if division.debtors:
        wide, narrow = (charts.ageing(division.owed, width=width) for width in widths)
        found["ageing"] = wide, narrow
    return found


def _by_section(positions: Iterable[Position]) -> dict[str, list[Position]]:
    """Positions by section, in the order in which they come."""
    found: dict[str, list[Position]] = {}
    for one in positions:
        found.setdefault(one.section, []).append(one)
    return found


def _money(amount: Decimal) -> str:
    """Whole units, a minus sign of the width of a digit."""
    return f"{amount:,.0f}".replace("-", "\N{MINUS SIGN}") if round(amount) else "0"
