"""Every rule that moves a position. Pure functions: a position, what happened, the position after it.

What they keep to: a position never says that something was read which was not. Reading too much is safe.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from source_exact_online.api import exact_time
from source_exact_online.api.divisions import NEVER_MOVED
from source_exact_online.api.exact_time import WallClock
from source_exact_online.state.position import DeletionsRead, InProgressListing, Position

_HOUR_MS = 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

LONG_AGO = exact_time.to_milliseconds(datetime(1753, 1, 1))  # noqa: DTZ001 - a wall clock has no zone
"""The earliest date that SQL Server knows; milliseconds on Exact's wall clock."""

FIRST_ROW_VERSION = 1
"""Row version to begin a feed with: Exact's reference starts with ``Timestamp gt 1``."""


# -- before a listing ----------------------------------------------------------------------------------------------


def first_modified(position: Position, lookback_ms: int, clock: WallClock) -> int | None:
    """Return the first ``Modified`` that a list asks for, on Exact's wall clock (ms); None for a first read.

    The window before the cursor is read again for rows that were committed late. It shrinks by the time for which the
    cursor has been seen to stand still: a row that became visible after the last listing with a ``Modified`` before the
    cursor would have been that much late on top. A cursor inside the hour that the clock shows twice when summer time
    ends reads that whole hour again. In the March night the window is an hour wider on the clock's face, as that hour
    never was.
    """
    if position.cursor is None:
        return None
    cursor = max(position.cursor, LONG_AGO)
    stood_still = 0
    if position.last_read_at is not None and position.cursor_unchanged_since is not None:
        stood_still = max(0, position.last_read_at - position.cursor_unchanged_since)
    window = min(max(0, lookback_ms - stood_still), cursor - LONG_AGO)
    start = min(cursor - window, clock.from_instant(clock.to_instant(cursor) - window))
    if clock.is_ambiguous(cursor):
        start = min(start, cursor - cursor % _HOUR_MS)
    return max(start, LONG_AGO)


def division_seen(position: Position, move_date: str | None) -> Position:
    """Return the position once it is known to which database the division belongs.

    A division that was moved to another database has new row versions, and Exact asks to read everything anew. A date
    that appears where none was ever known counts as a move: nobody can tell whether rows were read before it. The log
    of deleted rows is then read from its start.

    Args:
        position: before.
        move_date: ``DivisionMoveDate`` as Exact sends it, `NEVER_MOVED`, or None where Exact did not tell.
    """
    if move_date is None or move_date == position.move_date:
        return position
    known = replace(position, move_date=move_date)
    if position.move_date is None and (move_date == NEVER_MOVED or not position.was_read):
        return known
    moved = Position(move_date=move_date, full_columns=position.full_columns)
    if position.deletions is not None:
        deletions = replace(position.deletions, row_version=FIRST_ROW_VERSION)
        moved = replace(moved, deletions=deletions)
    return moved


def begun_anew(position: Position) -> Position:
    """Return the position of a listing that never goes on where it was broken off, as it is short or has changed."""
    return replace(position, in_progress=None)


def start_date_set(position: Position, start_date: int | None) -> Position:
    """Return the position under a configured start date.

    An earlier one than that which rows were left out for, or none at all, means to read from the start again. A later
    one that lies ahead of the cursor leaves out rows that were never read: it has to be known, should it be taken back.

    Args:
        position: before.
        start_date: rows with a lower ``Modified`` are not wanted; milliseconds on Exact's wall clock.
    """
    if not position.was_read:
        return replace(position, start_date=start_date)
    if position.start_date is None or (start_date is not None and start_date >= position.start_date):
        ahead = start_date is not None and (position.cursor is None or start_date > position.cursor)
        return replace(position, start_date=start_date) if ahead else position
    return replace(_forgotten(position), start_date=start_date)


def columns_chosen(position: Position, full_columns: bool) -> Position:
    """Return the position of a stream that is read with all columns from now on, or no longer.

    The two are listings of different endpoints: how far one was read says nothing of the other, and rows that were read
    lack the columns that come with it. So it is read from the start.

    Args:
        position: before.
        full_columns: whether it is read from the endpoint that has all columns.
    """
    if full_columns == position.full_columns:
        return position
    return replace(_forgotten(position), full_columns=full_columns)


def deletions_tracked(position: Position, now: int) -> Position:
    """Return the position from which on deletions count, if they did not before.

    What a first listing reads may be deleted before it has ended, so they count from its start. Where rows were read
    nobody knows when, as a feed in mid-listing does not tell, all of the log counts.

    Args:
        position: before.
        now: epoch milliseconds of Exact's clock.
    """
    if position.deletions is not None:
        return position
    in_progress = None if position.in_progress is None else position.in_progress.started_at
    since = position.last_read_at or in_progress or position.refreshed_at
    if since is None and position.was_read:
        return replace(position, deletions=DeletionsRead(now, FIRST_ROW_VERSION))
    return replace(position, deletions=DeletionsRead(since or now))


# -- during a listing ----------------------------------------------------------------------------------------------


def page_read(
    listing: InProgressListing, modified: int | None, row_version: int | None, next_url: str | None
) -> InProgressListing:
    """Return a listing after one more page.

    Args:
        listing: before.
        modified: highest ``Modified`` of the page, milliseconds on Exact's wall clock.
        row_version: highest row version of the page.
        next_url: the page after it.
    """
    return replace(
        listing,
        next_url=next_url,
        pages=listing.pages + 1,
        highest_modified=highest(listing.highest_modified, modified),
        highest_row_version=highest(listing.highest_row_version, row_version),
    )


def feed_checkpoint(before: Position, listing: InProgressListing) -> Position:
    """Return the position of a feed in mid-listing whose row versions ascend: all up to the highest is read.

    Rows do not come in the order of ``Modified``, so that the cursor has to wait for the end.

    Args:
        before: position when the listing began.
        listing: how far it is.
    """
    if listing.full_refresh:
        return replace(_forgotten(before), in_progress=replace(listing, next_url=None))
    row_version = highest(before.row_version, listing.highest_row_version)
    return replace(before, row_version=row_version, in_progress=None)


def list_checkpoint(before: Position, listing: InProgressListing) -> Position:
    """Return the position of a list or snapshot in the middle of a listing: the old cursor, and the page to go on from.

    Args:
        before: position when the listing began.
        listing: how far it is.
    """
    return replace(_forgotten(before) if listing.full_refresh else before, in_progress=listing)


def listing_finished(before: Position, listing: InProgressListing, clock: WallClock) -> Position:
    """Return the position after a listing has been read to its end.

    The cursor becomes the highest ``Modified``, but not later than the moment the listing began: what changed behind
    the reader's back must be caught by the next one. A full refresh leaves the mark that it is done, since the next one
    begins from scratch, and the moment from which on deletions are news to what it has read.

    Args:
        before: position when the listing began.
        listing: all of it.
        clock: of the site.
    """
    if listing.full_refresh:
        deletions = before.deletions and DeletionsRead(listing.started_at)
        return replace(_forgotten(before), deletions=deletions, refreshed_at=listing.started_at)
    cursor = _cursor(before, listing, clock)
    stands_still = cursor == before.cursor and before.cursor_unchanged_since is not None
    return replace(
        before,
        cursor=cursor,
        row_version=highest(before.row_version, listing.highest_row_version),
        last_read_at=listing.started_at,
        cursor_unchanged_since=before.cursor_unchanged_since if stands_still else listing.started_at,
        refreshed_at=None,
        in_progress=None,
    )


def deletions_read(before: Position, listing: InProgressListing, first: int | None = None) -> Position:
    """Return the position after the log of deleted rows has been read to its end.

    A row that was deleted before the last one that was read may have been booked again under its key and read already:
    its tombstone would bury it. Log and feeds share one scale of row versions, so that the feed begins again at the
    first such deletion, and brings what came back after it.

    Args:
        before: position, in which deletions count.
        listing: of the log.
        first: lowest row version of the stream's own entries in it; None if there are none.
    """
    known = None if before.deletions is None else before.deletions.row_version
    row_version = before.row_version
    if row_version is not None and first is not None:
        row_version = min(row_version, first)
    deletions = DeletionsRead(listing.started_at, highest(known, listing.highest_row_version))
    return replace(before, row_version=row_version, deletions=deletions)


def refresh_ended(position: Position) -> Position:
    """Return the position once a full refresh has ended in all divisions: the next one begins from scratch."""
    return replace(position, refreshed_at=None)


# -- after reading a state -----------------------------------------------------------------------------------------


def is_from_the_future(position: Position, moment: datetime, clock: WallClock) -> bool:
    """Return whether a position knows of anything after a moment, which would hide rows for good.

    Args:
        position: as a state had it.
        moment: aware.
        clock: of the site.
    """
    started_at = position.in_progress.started_at if position.in_progress else None
    read_at = position.deletions.read_at if position.deletions else None
    instants = (
        position.cursor_unchanged_since,
        position.last_read_at,
        position.refreshed_at,
        read_at,
        started_at,
    )
    limit = round((moment - _EPOCH) / timedelta(milliseconds=1))
    late = any(instant is not None and instant > limit for instant in instants)
    return late or (position.cursor is not None and position.cursor > clock.from_instant(limit))


def highest(*values: int | None) -> int | None:
    """Return the highest of some values, as far as there are any."""
    return max((value for value in values if value is not None), default=None)


def _cursor(before: Position, listing: InProgressListing, clock: WallClock) -> int | None:
    found = highest(before.cursor, listing.highest_modified)
    return None if found is None else min(found, clock.from_instant(listing.started_at))


def _forgotten(position: Position) -> Position:
    """Return a position without what was read: what is known of the division, of deletions and of the listing."""
    return Position(
        start_date=position.start_date,
        move_date=position.move_date,
        deletions=position.deletions,
        full_columns=position.full_columns,
    )
