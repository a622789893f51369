"""Where a listing begins and what a finished one proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from source_exact_online.api import exact_time
from source_exact_online.api.exact_time import AMSTERDAM
from source_exact_online.api.odata import Row
from source_exact_online.state.position import Pass, Position

_HOUR_MS = 3_600_000

LONG_AGO = exact_time.to_milliseconds(datetime(1753, 1, 1))  # noqa: DTZ001 - a wall clock has no zone
"""The earliest date that SQL Server knows; milliseconds on Exact's wall clock."""

FIRST_VERSION = 1
"""Row version to begin a feed with: Exact's reference starts with ``Timestamp gt 1``."""


def filter_from(position: Position, lookback_ms: int) -> int | None:
    """First ``Modified`` that a list asks for, on Exact's wall clock (ms); None for a first read.

    The window before the cursor is read again for rows that were committed late. It shrinks by the time for which the
    cursor has been seen to stand still: a row that became visible after the last pass (`seen`) with a ``Modified``
    before the cursor would have been that much late on top. A cursor inside the hour that the clock shows twice when
    summer time ends reads that whole hour again. In the March night the window is an hour wider on the clock's face,
    as that hour never was.
    """
    if position.modified is None:
        return None
    if position.modified <= LONG_AGO:
        return LONG_AGO
    stood_still = max(0, (position.seen or 0) - (position.since or 0))
    window = min(max(0, lookback_ms - stood_still), position.modified - LONG_AGO)
    elapsed = AMSTERDAM.from_instant(AMSTERDAM.to_instant(position.modified) - window)
    start = min(position.modified - window, elapsed)
    if AMSTERDAM.is_ambiguous(position.modified):
        start = min(start, position.modified - position.modified % _HOUR_MS)
    return max(start, LONG_AGO)


def modified_of(row: Row) -> int | None:
    """``Modified`` of a row, milliseconds on Exact's wall clock; None where it is null or was not asked for."""
    value = row.get("Modified")
    return exact_time.milliseconds(value) if value else None


def version_of(row: Row) -> int | None:
    """Row version of a row; None where it has none."""
    value = row.get("Timestamp")
    return int(value) if value is not None else None


def highest(*values: int | None) -> int | None:
    """The highest of some values, as far as there are any."""
    return max((value for value in values if value is not None), default=None)


def advanced(so_far: Pass, rows: Sequence[Row], next_url: str | None) -> Pass:
    """A pass after one more page.

    Args:
        so_far: the pass before it.
        rows: the page's rows.
        next_url: the page after it.
    """
    began = AMSTERDAM.from_instant(so_far.began)
    if AMSTERDAM.is_ambiguous(began):
        began -= began % _HOUR_MS
    found = [(version_of(row), modified_of(row)) for row in rows]
    versions = [version for version, _ in found if version is not None]
    before = [] if so_far.highest_version is None else [so_far.highest_version]
    return replace(
        so_far,
        next_url=next_url,
        pages=so_far.pages + 1,
        stuck=False,
        undated=so_far.undated or any("Modified" in row and row["Modified"] is None for row in rows),
        highest_modified=highest(so_far.highest_modified, *(modified for _, modified in found)),
        highest_version=highest(so_far.highest_version, *versions),
        settled_version=highest(
            so_far.settled_version, *(version for version, modified in found if modified is None or modified < began)
        ),
        ordered=so_far.ordered and all(a <= b for a, b in pairwise([*before, *versions])),
    )


def finished(position: Position, done: Pass) -> Position:
    """Position after a pass has read its last page.

    ``Modified`` becomes the highest value seen, but not later than the moment the pass began: what changed behind the
    reader's back during the pass must be caught by the next one. A full refresh leaves nothing but the mark that it is
    done, since the next one begins from scratch.
    """
    if done.full:
        return replace(position.without_cursors(), under_way=replace(done, next_url=None))
    seen = [value for value in (position.modified, done.highest_modified) if value is not None]
    modified = min(max(seen), AMSTERDAM.from_instant(done.began)) if seen else None
    version = highest(position.version, done.proven_version)
    before = position.modified or 0
    if position.unwatched is not None and position.before is not None:
        before = position.before
    since = position.since if modified == position.modified and position.since is not None else done.began
    return replace(
        position,
        modified=modified,
        version=version,
        before=None if version is None else before,
        since=since,
        seen=done.began,
        undated=position.undated or done.undated,
        under_way=None,
    )
