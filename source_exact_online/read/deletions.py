"""Deleted rows: Exact's log of them, read once per division and sync and shared by all streams.

The log names the kind of entity by a number and the row by its key, and is kept for two months (Exact's reference on
sync/Deleted). Its row versions are those of the division's database, so that a division that was moved has new ones.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cache
from typing import ClassVar

from source_exact_online.api import exact_time
from source_exact_online.api.client import ExactClient
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.errors import Action, ApiError
from source_exact_online.api.odata import Row
from source_exact_online.api.request import PageRequest
from source_exact_online.catalog.definitions import StreamDefinition, catalog
from source_exact_online.catalog.schemas import DELETED_AT
from source_exact_online.read.list_partition import ListingPartition
from source_exact_online.read.partition import PageResult
from source_exact_online.state.position import Pass, Position
from source_exact_online.state.stream_state import StreamState
from source_exact_online.state.transitions import highest, version_of

logger = logging.getLogger("airbyte.exact_online")

KEPT_DAYS = 60
"""Days after which a gap in reading the log may have swallowed deletions: two months, the shortest ones."""

_DAY_MS = 86_400_000
_OVERLAP_MS = 2 * 3_600_000


@cache
def deletion_log() -> StreamDefinition:
    """The stream whose rows are the log's entries."""
    return next(one for one in catalog().values() if one.path == endpoints().deleted.path)


@dataclass(slots=True)
class TombstoneReader:
    """A stream's part in the log: word of its deleted rows.

    Attributes:
        stream: the stream.
        state: state of the stream, changed by the scheduler alone; it has been read in the division before.
        key: name of the division in that state.
        client: the API, for its clock.
    """

    stream: StreamDefinition
    state: StreamState
    key: str
    client: ExactClient
    brings_rows: ClassVar[bool] = False
    full: ClassVar[bool] = False
    under_way: ClassVar[Pass | None] = None
    indispensable: ClassVar[tuple[str, ...]] = ("EntityKey", "EntityType")

    @property
    def definition(self) -> StreamDefinition:
        """The stream of the log itself."""
        return deletion_log()

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self.stream.name

    @property
    def columns(self) -> tuple[str, ...]:
        """What a tombstone is made of."""
        return endpoints().deleted.columns

    @property
    def position(self) -> Position:
        """How far the stream is."""
        return self.state.positions[self.key]

    @property
    def version(self) -> int | None:
        """Row version up to which it has heard of deletions."""
        return self.position.deletions_version

    def leave_out(self, refused: frozenset[str]) -> None:
        """A tombstone makes do with what is there."""

    def takes(self, row: Row) -> bool:
        """Whether an entry tells of a row of the stream, and of one deleted since it last heard of them.

        Without a row version of the log (first time, or the division was moved) a deletion is new if it comes after
        every row that was read, since log and rows share one scale, or else if its date says so, with an overlap for
        the hour that the wall clock repeats. The last reading does not count there: the division may have moved in its
        midst.
        """
        if row.get("EntityType") != self.stream.entity_type or not row.get("EntityKey"):
            return False
        if self.version is not None:
            return True  # the listing compares versions
        position, version = self.position, version_of(row)
        if position.version is not None and version is not None and version > position.version:
            return True
        heard = _surely_heard(position)
        if heard is None or not row.get("DeletedDate"):
            return True
        return exact_time.milliseconds(row["DeletedDate"]) >= exact_time.AMSTERDAM.from_instant(heard) - _OVERLAP_MS

    def record(self, row: Row, division: int, now_ms: float) -> Row:
        """Record of a deleted row; the present stands in for a date that the log does not tell."""
        if row.get("DeletedDate"):
            deleted_at = exact_time.AMSTERDAM.utc_text(row["DeletedDate"], now_ms)
        else:
            now = self.client.server_clock.now_ms()
            deleted_at = datetime.fromtimestamp(now / 1000, tz=timezone.utc).isoformat(timespec="milliseconds")
        record: Row = {"Division": division, self.stream.key[0]: row["EntityKey"], DELETED_AT: deleted_at}
        if self.stream.cursor == "Modified":
            record["Modified"] = deleted_at
        elif self.stream.cursor == "Timestamp":
            record["Timestamp"] = version_of(row)
        return record

    def after(self, reached: Pass) -> Position:
        """Position once the whole log has been read; before that it has not changed."""
        position = self.position
        if reached.next_url is not None:
            return position
        before = position.deletions_read
        if position.deletions_version is None or position.unwatched is not None:
            before = _surely_heard(position)
        return replace(
            position,
            deletions_version=highest(position.deletions_version, reached.proven_version),
            deletions_read=reached.began,
            deletions_before=before,
        )

    def warn_of_gap(self) -> None:
        """Say so if deletions may have gone from the log unheard."""
        now, read = self.client.server_clock.now_ms(), self.position.deletions_read
        if read is not None and now - read > KEPT_DAYS * _DAY_MS:
            logger.warning(
                "Stream %s last asked for deletions in division %s %d days ago, and Exact Online keeps them for "
                "two months: deletions may have been missed. Refresh the stream in full once to remove such rows.",
                self.name,
                self.key,
                (now - read) // _DAY_MS,
            )


class DeletionLog(ListingPartition):
    """The deletion log of one division: rows of the stream that shows it, if that is read, and tombstones of others."""

    def step(self) -> PageResult:
        """Fetch at most one page of the log. Where it is forbidden, rows of other streams are read all the same."""
        try:
            return super().step()
        except ApiError as error:
            if error.verdict.action not in (Action.SKIP, Action.DROP_COLUMN):
                raise
            logger.warning(
                "Deleted rows of division %s are not seen: %s Rows are read all the same.",
                self.division,
                error.verdict.message,
            )
            if self.readable:
                raise ApiError(replace(error.verdict, action=Action.SKIP)) from None
            return PageResult(finished=True)

    def _first_call(self) -> PageRequest | None:
        for consumer in self._consumers:
            if isinstance(consumer, TombstoneReader):
                consumer.warn_of_gap()
        return super()._first_call()

    def _judged(self, error: ApiError) -> ApiError:
        """Nobody's rows are missing where the log's middle is forbidden, unless the log is read for its own sake."""
        return super()._judged(error) if self.readable else error


def _surely_heard(position: Position) -> int | None:
    """Moment up to which deletions were heard of, whatever happened to the division since; epoch milliseconds."""
    return position.deletions_read if position.deletions_before is None else position.deletions_before
