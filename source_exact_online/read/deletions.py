"""Deleted rows: Exact's log of them, read once per division and sync and shared by all streams.

The log names the kind of entity by a number and the row by its key, and is kept for two months (Exact's reference on
sync/Deleted). Its row versions are those of the division's database, so that a division that was moved has new ones.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import ClassVar

from source_exact_online.api import exact_time
from source_exact_online.api.client import ExactClient
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.errors import ErrorKind, NotReadableError, QueryRefusedError, error_of, resolution_of
from source_exact_online.api.page import Page, Row
from source_exact_online.api.request import PageRequest, RetryAfter
from source_exact_online.catalog.definitions import StreamDefinition, catalog
from source_exact_online.catalog.schemas import DELETED_AT
from source_exact_online.read.list_partition import ListPartition
from source_exact_online.read.partition import PageResult
from source_exact_online.read.records import Record
from source_exact_online.state import transitions
from source_exact_online.state.position import InProgressListing, Position
from source_exact_online.state.stream_state import StreamState
from source_exact_online.words import counted

logger = logging.getLogger("airbyte.exact_online")

KEPT_DAYS = 60
"""Days after which a gap in reading the log may have swallowed deletions: two months, the shortest ones."""

_NAMING = ("EntityKey", "EntityType")
"""Columns that name the row that was deleted; by Exact's metadata they are never null."""

_DAY_MS = 86_400_000
_OVERLAP_MS = 2 * 3_600_000


@cache
def deletion_log() -> StreamDefinition:
    """Return the stream whose rows are the log's entries."""
    return next(one for one in catalog().values() if one.path == endpoints().deleted.path)


@dataclass(slots=True)
class TombstoneReader:
    """A stream's part in the log: tombstones of its deleted rows.

    Attributes:
        stream: the stream.
        state: state of the stream, in which deletions count; only read here.
        key: name of the division in that state.
        client: the API, for its clocks.
        first: lowest row version so far of its entries since rows were first read.
    """

    stream: StreamDefinition
    state: StreamState
    key: str
    client: ExactClient
    definition: StreamDefinition = field(init=False)
    name: str = field(init=False)
    columns: tuple[str, ...] = field(init=False)
    required: tuple[str, ...] = field(init=False)
    proof: tuple[str, ...] = field(init=False)
    position: Position = field(init=False)
    row_version: int | None = field(init=False)
    first: int | None = field(init=False, default=None)
    counts_as_readable: ClassVar[bool] = False
    owns_all: ClassVar[bool] = False
    full_refresh: ClassVar[bool] = False
    in_progress: ClassVar[InProgressListing | None] = None

    def __post_init__(self) -> None:
        """Take what follows from the attributes, and the position of now."""
        self.definition = deletion_log()
        self.name = self.stream.name
        self.columns = endpoints().deleted.columns
        self.proof = self.definition.key
        self.required = (*self.proof, *_NAMING)
        self.begin()

    def begin(self) -> None:
        """Take the position that the stream has now for the one to start from.

        Without a row version of the log its entries are told by date.
        """
        self.position = self.state.positions.get(self.key, Position())
        self.row_version = None if self.position.deletions is None else self.position.deletions.row_version

    def owns(self, row: Row) -> bool:
        """Return whether an entry is about a row of the stream, and one deleted since the log was last read.

        Without a row version of the log it is told by the date, with an overlap for the hour that the wall clock
        repeats.
        """
        if row.EntityType != self.stream.entity_type or row.EntityKey is None:
            return False
        deletions = self.position.deletions
        if deletions is None or deletions.row_version is not None or not row.DeletedDate:
            return True  # the query compares row versions
        try:
            deleted = exact_time.milliseconds(row.DeletedDate)
        except ValueError:
            return True
        return deleted >= self.client.wall_clock.from_instant(deletions.read_at) - _OVERLAP_MS

    def records(self, rows: Sequence[Row], division: int, now_ms: float) -> Sequence[Record]:
        """Return tombstones; the present stands in for a date that the log does not tell."""
        versions = (self.first, *(row.Timestamp for row in rows if self._is_since_first_read(row)))
        self.first = min((version for version in versions if version is not None), default=None)
        return [self._tombstone(row, division, now_ms) for row in rows]

    def _is_since_first_read(self, row: Row) -> bool:
        """Return whether an entry was made since rows were first read; the overlap brings others too."""
        deletions = self.position.deletions
        if deletions is None or deletions.row_version is not None or not row.DeletedDate:
            return True
        return datetime.fromisoformat(row.DeletedDate).timestamp() * 1000 >= deletions.read_at

    def _tombstone(self, row: Row, division: int, now_ms: float) -> Record:
        now = datetime.fromtimestamp(now_ms / 1000, tz=timezone.utc).isoformat(timespec="milliseconds")
        deleted_at = row.DeletedDate or now
        record = {self.stream.key[0]: row.EntityKey, "Division": division, DELETED_AT: deleted_at}
        if self.stream.cursor == "Modified":
            record["Modified"] = deleted_at
        elif self.stream.cursor == "Timestamp":
            record["Timestamp"] = row.Timestamp
        return record

    def after(self, listing: InProgressListing, *, finished: bool, ascending: bool) -> Position:
        """Return the position once the whole log has been read; before that it has not changed."""
        return transitions.deletions_read(self.position, listing, self.first) if finished else self.position

    def warn_of_gap(self) -> None:
        """Warn if deletions may have gone from the log unread."""
        deletions = self.position.deletions
        age_ms = 0 if deletions is None else self.client.server_clock.now_ms() - deletions.read_at
        if age_ms > KEPT_DAYS * _DAY_MS:
            logger.warning(
                "Stream %s last asked for deletions in division %s %d days ago, and Exact Online keeps them for "
                "two months: deletions may have been missed. Refresh the stream in full once to remove such rows.",
                self.name,
                self.key,
                age_ms // _DAY_MS,
            )


class DeletionLogPartition(ListPartition):
    """The deletion log of one division: rows of the stream that shows it, if that is read, and tombstones of others."""

    def step(self) -> PageResult | RetryAfter:
        """Fetch at most one page of the log. Where it is forbidden, rows of other streams are read nevertheless.

        Raises:
            ApiError: the log cannot be read to its end, or not at all by the stream that shows it.
        """
        try:
            return super().step()
        except (NotReadableError, QueryRefusedError) as error:
            logger.warning(
                "Deleted rows of division %s are not seen: %s Rows are read nevertheless.",
                self.division,
                error.resolution.message,
            )
            if self.readable:
                raise NotReadableError(error.resolution) from None
            return PageResult(finished=True)

    def _take(self, page: Page, url: str) -> PageResult:
        """Turn a page into records, as every listing; entries that name no row are passed over.

        Raises:
            ApiError: see there; or something else stands in place of a name, so that its deletion would be lost.
        """
        if any(isinstance(reader, TombstoneReader) for reader in self._readers):  # else there may be no such columns
            for repair in page.repairs:
                if repair.column in _NAMING:
                    sent = repair.value or "damaged text"
                    detail = f"entry {repair.key} of the log has {sent} for its {repair.column}"
                    raise error_of(resolution_of(ErrorKind.DAMAGED_PAGE, detail, self.context))
            unnamed = [row.ID for row in page.rows if row.EntityKey is None or row.EntityType is None]
            if unnamed:
                logger.warning(
                    "%s in the log of deleted rows of division %s lack what was deleted (first: %s): passed over.",
                    counted(len(unnamed), "row"),
                    self.division,
                    unnamed[0],
                )
        return super()._take(page, url)

    def _first_request(self) -> PageRequest | None:
        request = super()._first_request()
        for reader in self._readers:
            if isinstance(reader, TombstoneReader):
                reader.warn_of_gap()
        return request
