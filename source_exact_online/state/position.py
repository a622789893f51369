"""How far one stream is in one division, and the JSON form in which a state keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from source_exact_online.api import exact_time

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_DAY_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Pass:
    """A listing that has begun and not ended: where it goes on.

    Attributes:
        began: when it began, epoch milliseconds of Exact's clock.
        full: whether it belongs to a full refresh.
        next_url: page to go on from; None once the pass is done (kept only for full refreshes).
        pages: pages read so far.
        stuck: whether the last run ended because `next_url` failed at once.
        undated: whether rows without ``Modified`` were among them.
        highest_modified: highest ``Modified`` seen, milliseconds on Exact's wall clock.
        highest_version: highest row version seen.
        settled_version: highest row version of a row that was changed before the listing began, as far as rows tell.
        ordered: whether row versions have come in ascending order so far.
    """

    began: int
    full: bool
    next_url: str | None = None
    pages: int = 0
    stuck: bool = False
    undated: bool = False
    highest_modified: int | None = None
    highest_version: int | None = None
    settled_version: int | None = None
    ordered: bool = True

    @property
    def proven_version(self) -> int | None:
        """Row version up to which all is read once the listing has ended.

        Out of order, a row that was changed behind the reader's back may have a lower version than one that was changed
        before the reader's eyes.
        """
        return self.highest_version if self.ordered else self.settled_version


@dataclass(frozen=True, slots=True)
class Position:
    """How far one stream is in one division.

    Attributes:
        modified: highest ``Modified`` delivered, or the begin of the pass if that was earlier; milliseconds on Exact's
            wall clock, as that is what Exact's filters compare.
        version: highest row version delivered, for feeds.
        before: `modified` when the last pass over a feed began, 0 if there was none; None where that is not known. The
            last pass proves nothing if the division came to another database while it was under way, nor do passes
            of which it is not known whether it did.
        since: begin of the first pass that ended at this `modified`, epoch milliseconds.
        seen: begin of the last pass that ended at this `modified`, epoch milliseconds.
        deletions_version: highest row version read from the deletion log.
        deletions_read: when the deletion log was last read, or the begin of the first pass, epoch milliseconds.
        deletions_before: the moment of the reading before that, as the division may have moved during the last one.
        undated: whether rows without ``Modified`` were seen, which a filter on it would hide.
        stands_in: whether the stream's stand-in was read. It is kept to, as keys may differ from those of the feed.
        by_key: whether headers did not show their lines, so that these are asked for by key.
        moved: ``DivisionMoveDate`` of the division as last seen, None if it had never moved.
        moved_known: whether `moved` was ever seen.
        unwatched: begin of the first run, since `moved` was last seen, to which Exact did not tell it; epoch
            milliseconds. None if the last run was told.
        delivered: digests of records that the next pass may read again (see overlap.py).
        under_way: listing that has begun and not ended.
    """

    modified: int | None = None
    version: int | None = None
    before: int | None = None
    since: int | None = None
    seen: int | None = None
    deletions_version: int | None = None
    deletions_read: int | None = None
    deletions_before: int | None = None
    moved: str | None = None
    moved_known: bool = False
    unwatched: int | None = None
    delivered: frozenset[str] = frozenset()
    undated: bool = False
    stands_in: bool = False
    by_key: bool = False
    under_way: Pass | None = None

    def dump(self) -> dict[str, Any]:
        """JSON form. Row versions are text: JavaScript on the way would round those beyond 2^53."""
        document: dict[str, Any] = {
            "Modified": _text(self.modified),
            "Timestamp": _digits(self.version),
            "before": "" if self.before == 0 else _text(self.before),
            "unchanged_since": _instant_text(self.since),
            "read_at": _instant_text(self.seen),
            "deletions": _without_none(
                {
                    "Timestamp": _digits(self.deletions_version),
                    "read_at": _instant_text(self.deletions_read),
                    "before": _instant_text(self.deletions_before),
                }
            ),
            "unwatched_since": _instant_text(self.unwatched),
            "undated": self.undated or None,
            "stands_in": self.stands_in or None,
            "by_key": self.by_key or None,
            "delivered": sorted(self.delivered),
            "pass": None if self.under_way is None else _dump_pass(self.under_way),
        }
        if self.moved_known:
            document["moved"] = self.moved or ""
        return {name: value for name, value in document.items() if value not in (None, {}, [])}

    @classmethod
    def load(cls, document: object) -> Position:
        """Read the JSON form back.

        Raises:
            ValueError: it does not have that form.
        """
        fields = _mapping(document)
        deletions = _mapping(fields.get("deletions", {}))
        moved = fields.get("moved")
        if moved is not None and not isinstance(moved, str):
            raise ValueError("'moved' is not text")
        try:
            return cls(
                modified=_milliseconds(fields.get("Modified")),
                version=_integer(fields.get("Timestamp")),
                before=0 if fields.get("before") == "" else _milliseconds(fields.get("before")),
                since=_instant(fields.get("unchanged_since")),
                seen=_instant(fields.get("read_at")),
                deletions_version=_integer(deletions.get("Timestamp")),
                deletions_read=_instant(deletions.get("read_at")),
                deletions_before=_instant(deletions.get("before")),
                delivered=_digests(fields.get("delivered", [])),
                undated=fields.get("undated") is True,
                stands_in=fields.get("stands_in") is True,
                by_key=fields.get("by_key") is True,
                moved=moved or None,
                moved_known=moved is not None,
                unwatched=_instant(fields.get("unwatched_since")),
                under_way=_load_pass(fields.get("pass")),
            )
        except OverflowError as error:
            raise ValueError(str(error)) from error

    def without_cursors(self) -> Position:
        """Position to begin a full refresh with: only what is known of the division."""
        return Position(
            moved=self.moved, moved_known=self.moved_known, unwatched=self.unwatched, stands_in=self.stands_in
        )

    @property
    def is_begin(self) -> bool:
        """Whether nothing was read yet, but deletions count already."""
        return self.deletions_read is not None and self.seen is None and self.under_way is None

    def is_later_than(self, moment: datetime) -> bool:
        """Whether it knows of anything after an aware moment. A cursor in the future would hide rows for good."""
        instants = (self.since, self.seen, self.deletions_read, self.under_way.began if self.under_way else None)
        limit = round((moment - _EPOCH) / timedelta(milliseconds=1))
        wall_limit = exact_time.AMSTERDAM.from_instant(limit)
        return (self.modified or 0) > wall_limit or any(instant is not None and instant > limit for instant in instants)

    def with_move(self, moved: str | None) -> Position:
        """The same position, with the date at which the division came to its database."""
        return replace(self, moved=moved, moved_known=True, unwatched=None)

    def has_moved(self, moved: str | None) -> bool:
        """Whether row versions cannot be those of the database to which the division came at that date.

        Where no date was known so far, it counts whether it lies after the first reading, with a day to spare.
        """
        if self.moved_known or moved is None:
            return self.moved_known and self.moved != moved
        if self.version is None and self.deletions_version is None and self.under_way is None:
            return False
        try:
            date = exact_time.milliseconds(moved)
        except ValueError:
            return True
        return self.unwatched is None or date >= exact_time.AMSTERDAM.from_instant(self.unwatched) - _DAY_MS

    def after_move(self, moved: str | None) -> Position:
        """Position in a division that came to another database, where all row versions were given out anew.

        The last pass may have been under way then, and have taken the lower row versions of the new database for the
        end of the listing: what it should have found is looked for again.
        """
        position = replace(self, version=None, before=None, deletions_version=None, under_way=None)
        if self.before is not None:
            position = replace(position, modified=self.before or None, since=self.seen)
        return position.with_move(moved)


def _dump_pass(under_way: Pass) -> dict[str, Any]:
    return _without_none(
        {
            "began": _instant_text(under_way.began),
            "sync_mode": "full_refresh" if under_way.full else "incremental",
            "next": under_way.next_url,
            "pages": under_way.pages,
            "stuck": under_way.stuck or None,
            "undated": under_way.undated or None,
            "Modified": _text(under_way.highest_modified),
            "Timestamp": _digits(under_way.highest_version),
            "settled": _digits(under_way.settled_version),
            "unordered": not under_way.ordered or None,
        }
    )


def _load_pass(document: object) -> Pass | None:
    if document is None:
        return None
    fields = _mapping(document)
    began = _instant(fields.get("began"))
    next_url = fields.get("next")
    pages = fields.get("pages", 0)
    sync_mode = fields.get("sync_mode")
    if began is None or not isinstance(next_url, str | None) or not isinstance(pages, int):
        raise ValueError("'pass' is damaged")
    if sync_mode not in ("full_refresh", "incremental"):
        raise ValueError("'sync_mode' is neither full_refresh nor incremental")
    return Pass(
        began=began,
        full=sync_mode == "full_refresh",
        next_url=next_url,
        pages=pages,
        stuck=fields.get("stuck") is True,
        undated=fields.get("undated") is True,
        highest_modified=_milliseconds(fields.get("Modified")),
        highest_version=_integer(fields.get("Timestamp")),
        settled_version=_integer(fields.get("settled")),
        ordered=fields.get("unordered") is not True,
    )


def _digests(values: object) -> frozenset[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("'delivered' is not a list of text")
    return frozenset(values)


def _mapping(document: object) -> Mapping[str, object]:
    if not isinstance(document, Mapping):
        raise ValueError(f"{document!r} is not an object")
    return document


def _without_none(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}


def _text(wall_ms: int | None) -> str | None:
    return None if wall_ms is None else exact_time.to_text(wall_ms)


def _milliseconds(text: object) -> int | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not a time")
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
        raise ValueError(f"{text!r} is not an instant")
    return round((instant - _EPOCH) / timedelta(milliseconds=1))


def _digits(number: int | None) -> str | None:
    return None if number is None else str(number)


def _integer(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is not a row version")
    version = int(value)
    if not 0 <= version < 2**63:
        raise ValueError(f"{value!r} is not a row version")
    return version
