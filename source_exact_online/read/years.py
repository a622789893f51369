"""Listings that are read a year at a time, as totals by period take Exact long to work out for all years at once.

Which years have rows is not known beforehand, so each of the last years is asked for, and two open ends: later years,
and all earlier ones. Where a listing is, its URL tells, so that it can go on there in another run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SEPARATE = 9
"""Years before the current one that are asked for one by one."""

_CONDITION = re.compile(r"(\w+) (gt|eq|lt) (\d+)")


@dataclass(frozen=True, slots=True)
class Begin:
    """The earliest year to ask for by itself, and whether all years before it are wanted too."""

    year: int
    open_ended: bool


def first(column: str, this_year: int) -> str:
    """Condition to begin with: years after the current one. There are budgets for those, and orders."""
    return f"{column} gt {this_year}"


def following(column: str, condition: str, begin: Begin) -> str | None:
    """Condition for the rows that come after those of another; None if these were the last.

    Args:
        column: property with the year.
        condition: the one before; None follows on one that is not of this module.
        begin: where to end, as years are read backwards.
    """
    found = _CONDITION.fullmatch(condition)
    if found is None or found[1] != column or found[2] == "lt":
        return None
    year = int(found[3])
    if found[2] == "gt" and year >= begin.year:
        return f"{column} eq {year}"
    if found[2] == "eq" and year > begin.year:
        return f"{column} eq {year - 1}"
    return f"{column} lt {year + (found[2] == 'gt')}" if begin.open_ended else None
