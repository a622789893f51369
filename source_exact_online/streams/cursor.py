"""Where a listing begins and what a finished one proves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from source_exact_online.api import wall_clock
from source_exact_online.streams.state import Pass, Position

_HOUR_MS = 3_600_000

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
    stood_still = max(0, (position.seen or 0) - (position.since or 0))
    window = max(0, lookback_ms - stood_still)
    cursor = wall_clock.from_milliseconds(position.modified)
    elapsed = wall_clock.to_utc(cursor) - timedelta(milliseconds=window)
    start = min(position.modified - window, wall_clock.to_milliseconds(wall_clock.to_wall(elapsed)))
    if wall_clock.is_ambiguous(cursor):
        start = min(start, position.modified - position.modified % _HOUR_MS)
    return start


def finished(position: Position, done: Pass) -> Position:
    """Position after a pass has read its last page.

    ``Modified`` becomes the highest value seen, but not later than the moment the pass began: what changed behind the
    reader's back during the pass must be caught by the next one. A full refresh leaves nothing but the mark that it is
    done, since the next one begins from scratch.
    """
    if done.full:
        return replace(position.without_cursors(), under_way=replace(done, next_url=None))
    seen = [value for value in (position.modified, done.highest_modified) if value is not None]
    modified = min(max(seen), wall_clock.of_instant(done.began)) if seen else None
    version = max((value for value in (position.version, done.highest_version) if value is not None), default=None)
    since = position.since if modified == position.modified and position.since is not None else done.began
    return replace(
        position,
        modified=modified,
        version=version,
        before=None if version is None else position.modified or 0,
        since=since,
        seen=done.began,
        undated=position.undated or done.undated,
        under_way=None,
    )
