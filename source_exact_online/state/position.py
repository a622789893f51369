"""How far one stream is in one division, and the JSON form in which a state keeps it.

A position does not move itself: transitions.py has every rule that moves one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from source_exact_online.api import exact_time, odata

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

MODES = {"full_refresh": True, "incremental": False}


@dataclass(frozen=True, slots=True)
class InProgressListing:
    """A listing that has begun and not ended.

    Attributes:
        started_at: when it began, epoch milliseconds of Exact's clock.
        full_refresh: whether it belongs to a full refresh.
        next_url: page to go on from; None before the first page, and for feeds, which go on by row version.
        pages: pages read so far.
        highest_modified: highest ``Modified`` read, milliseconds on Exact's wall clock.
        highest_row_version: highest row version read.
    """

    started_at: int
    full_refresh: bool
    next_url: str | None = None
    pages: int = 0
    highest_modified: int | None = None
    highest_row_version: int | None = None


@dataclass(frozen=True, slots=True)
class DeletionsRead:
    """How far the log of deleted rows was read.

    Attributes:
        read_at: when it was last read, or the start of the first reading of the rows; epoch milliseconds.
        row_version: highest row version read from it; None if it was never read, and is told by date.
    """

    read_at: int
    row_version: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """How far one stream is in one division.

    Attributes:
        cursor: highest ``Modified`` read, or the start of the listing if that was earlier; milliseconds on Exact's wall
            clock, as that is what Exact's filters compare.
        row_version: highest row version read; feeds only.
        last_read_at: start of the last listing that was read to its end, epoch milliseconds.
        cursor_unchanged_since: start of the first listing that ended at this cursor, epoch milliseconds.
        start_date: rows with a lower ``Modified`` were left out; milliseconds on Exact's wall clock, None if none were.
        move_date: ``DivisionMoveDate`` when the division was last read, or `NEVER_MOVED`; None where it is unknown.
        deletions: how far the log of deleted rows was read; None if they do not count yet.
        refreshed_at: start of this division's part of a full refresh that has not ended in all divisions, epoch ms.
        in_progress: listing that has begun and not ended.
        full_columns: whether the stream was read from the endpoint that has all columns, which is another listing.
    """

    cursor: int | None = None
    row_version: int | None = None
    last_read_at: int | None = None
    cursor_unchanged_since: int | None = None
    start_date: int | None = None
    move_date: str | None = None
    deletions: DeletionsRead | None = None
    refreshed_at: int | None = None
    in_progress: InProgressListing | None = None
    full_columns: bool = False

    @property
    def was_read(self) -> bool:
        """Whether some of the stream's rows were read in the division."""
        moments = (self.last_read_at, self.refreshed_at, self.row_version, self.cursor, self.in_progress)
        return any(moment is not None for moment in moments)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form. Row versions are text: JavaScript on the way would round those beyond 2^53."""
        deletions = self.deletions and {
            "row_version": _digits(self.deletions.row_version),
            "read_at": _instant_text(self.deletions.read_at),
        }
        return _without_none(
            {
                "cursor": _wall_text(self.cursor),
                "row_version": _digits(self.row_version),
                "last_read_at": _instant_text(self.last_read_at),
                "cursor_unchanged_since": _instant_text(self.cursor_unchanged_since),
                "start_date": _wall_text(self.start_date),
                "move_date": self.move_date,
                "deletions_read_until": deletions and _without_none(deletions),
                "refreshed_at": _instant_text(self.refreshed_at),
                "in_progress": self.in_progress and _listing_to_json(self.in_progress),
                "full_columns": self.full_columns or None,
            }
        )

    @classmethod
    def from_json(cls, document: object) -> Position:
        """Read the JSON form back.

        Raises:
            ValueError: it does not have that form.
        """
        fields = _mapping(document)
        try:
            return cls(
                cursor=_wall(fields.get("cursor")),
                row_version=_row_version(fields.get("row_version")),
                last_read_at=_instant(fields.get("last_read_at")),
                cursor_unchanged_since=_instant(fields.get("cursor_unchanged_since")),
                start_date=_wall(fields.get("start_date")),
                move_date=_text_or_none(fields.get("move_date"), "move_date"),
                deletions=_deletions(fields.get("deletions_read_until")),
                refreshed_at=_instant(fields.get("refreshed_at")),
                in_progress=_listing(fields.get("in_progress")),
                full_columns=_flag(fields.get("full_columns"), "full_columns"),
            )
        except OverflowError as error:
            raise ValueError(str(error)) from error


def _listing_to_json(listing: InProgressListing) -> dict[str, Any]:
    return _without_none(
        {
            "started_at": _instant_text(listing.started_at),
            "sync_mode": "full_refresh" if listing.full_refresh else "incremental",
            "next_url": listing.next_url,
            "pages": listing.pages,
            "highest_modified": _wall_text(listing.highest_modified),
            "highest_row_version": _digits(listing.highest_row_version),
        }
    )


def _listing(document: object) -> InProgressListing | None:
    if document is None:
        return None
    fields = _mapping(document)
    started_at, pages, mode = _instant(fields.get("started_at")), fields.get("pages"), fields.get("sync_mode")
    if started_at is None or isinstance(pages, bool) or not isinstance(pages, int) or not 0 <= pages < 2**63:
        raise ValueError("'in_progress' is damaged")
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError("'sync_mode' is neither full_refresh nor incremental")
    return InProgressListing(
        started_at=started_at,
        full_refresh=MODES[mode],
        next_url=_link(fields.get("next_url")),
        pages=pages,
        highest_modified=_wall(fields.get("highest_modified")),
        highest_row_version=_row_version(fields.get("highest_row_version")),
    )


def _deletions(document: object) -> DeletionsRead | None:
    if document is None:
        return None
    fields = _mapping(document)
    read_at = _instant(fields.get("read_at"))
    if read_at is None:
        raise ValueError("'deletions_read_until' is damaged")
    return DeletionsRead(read_at, _row_version(fields.get("row_version")))


def _mapping(document: object) -> Mapping[str, object]:
    if not isinstance(document, Mapping):
        raise ValueError(f"{_shown(document)} is not an object")
    return document


def _without_none(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}


def _text_or_none(value: object, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name!r} is not text")
    if value is not None:
        value.encode()  # half a surrogate pair is a ValueError, and no message could bear it
    return value


def _flag(value: object, name: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{name!r} is neither true nor false")
    return bool(value)


def _link(value: object) -> str | None:
    link = _text_or_none(value, "next_url")
    if link is not None and len(link) > odata.LONGEST_LINK:
        raise ValueError(f"'next_url' has {len(link)} characters")
    return link


def _wall_text(wall_ms: int | None) -> str | None:
    return None if wall_ms is None else exact_time.to_text(wall_ms)


def _wall(text: object) -> int | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"{_shown(text)} is not a time")
    return exact_time.from_text(text)


def _instant_text(epoch_ms: int | None) -> str | None:
    if epoch_ms is None:
        return None
    return (_EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds")


def _instant(text: object) -> int | None:
    if text is None:
        return None
    instant = datetime.fromisoformat(text) if isinstance(text, str) else None
    if instant is None or instant.tzinfo is None:
        raise ValueError(f"{_shown(text)} is not an instant")
    return (instant.astimezone(timezone.utc) - _EPOCH) // timedelta(milliseconds=1)


def _digits(number: int | None) -> str | None:
    return None if number is None else str(number)


def _row_version(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str) or len(str(value)[:20]) > 19:
        raise ValueError(f"{_shown(value)} is not a row version")
    version = int(value)
    if not 0 <= version < 2**63:
        raise ValueError(f"{_shown(value)} is not a row version")
    return version


def _shown(value: object) -> str:
    return repr(value)[:60]
