"""Deleted rows: Exact's log of them, read once per division and sync and shared by all streams.

The log names the kind of entity by a number and the row by its key, and is kept for two months (Exact's reference on
sync/Deleted). Its row versions are those of the division's database, so that a division that was moved has new ones.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from source_exact_online.api import wall_clock
from source_exact_online.api.call import Call, Later
from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import Division
from source_exact_online.api.errors import Action, ApiError, Subject
from source_exact_online.api.odata import Row
from source_exact_online.api.services import services
from source_exact_online.streams.catalog import StreamDefinition
from source_exact_online.streams.cursor import FIRST_VERSION
from source_exact_online.streams.partition import Step
from source_exact_online.streams.repeated_hour import utc_since
from source_exact_online.streams.schemas import DELETED_AT
from source_exact_online.streams.state import Position, StreamState

logger = logging.getLogger("airbyte.exact_online")

KEPT_DAYS = 60
"""Days after which a gap in reading the log may have swallowed deletions: two months, the shortest ones."""

_DAY_MS = 86_400_000
_OVERLAP_MS = 2 * 3_600_000


@dataclass(slots=True)
class Mourner:
    """A stream that wants to know of its deleted rows.

    Attributes:
        definition: the stream.
        state: state of the stream, changed by the scheduler alone; it has been read in the division before.
        key: name of the division in that state.
    """

    definition: StreamDefinition
    state: StreamState
    key: str

    @property
    def position(self) -> Position:
        """How far the stream is."""
        return self.state.positions[self.key]


class DeletionLog:
    """The deletion log of one division."""

    def __init__(self, client: ExactClient, division: Division, mourners: Sequence[Mourner]) -> None:
        self._client = client
        self._mourners = list(mourners)
        self._began = int(client.server_clock.now_ms())
        self._call: Call | None = None
        self._highest: int | None = None
        self._finished = False
        self.division = division.code
        self.brings_rows = False
        self.subject: Subject = services().deleted.subject(division.code)

    @property
    def streams(self) -> list[str]:
        """Streams it feeds."""
        return [mourner.definition.name for mourner in self._mourners]

    def step(self) -> Step:
        """Fetch at most one page of the log and turn it into tombstones."""
        if self._call is None:
            self._warn_of_gaps()
            self._began = int(self._client.server_clock.now_ms())
            self._call = Call(self._client, self._first_url(), self.subject)
        try:
            outcome = self._call.attempt()
        except ApiError as error:
            if error.verdict.action not in (Action.SKIP, Action.DROP_COLUMN):
                raise
            logger.warning(
                "Deleted rows of division %s are not seen: %s Rows are read all the same.",
                self.division,
                error.verdict.message,
            )
            return Step(finished=True)
        if isinstance(outcome, Later):
            return Step(later=outcome)
        versions = [int(row["Timestamp"]) for row in outcome.rows if row.get("Timestamp") is not None]
        self._highest = max([*versions, *([] if self._highest is None else [self._highest])], default=None)
        self._finished = outcome.next_url is None
        if outcome.next_url is not None:
            self._call = Call(self._client, outcome.next_url, self.subject)
        records = {mourner.definition.name: self._tombstones(mourner, outcome.rows) for mourner in self._mourners}
        return Step(records=records, finished=self._finished)

    def checkpoint(self) -> list[tuple[str, str, Position]]:
        """Positions once the whole log has been read; before that none has changed, as its order is not documented."""
        if not self._finished:
            return []
        positions = []
        for mourner in self._mourners:
            position = mourner.position
            versions = [v for v in (position.deletions_version, self._highest) if v is not None]
            version = max(versions, default=None)
            position = replace(
                position,
                deletions_version=version,
                deletions_read=self._began,
                deletions_before=_surely_heard(position)
                if position.deletions_version is None
                else position.deletions_read,
            )
            positions.append((mourner.definition.name, mourner.key, position))
        return positions

    def _first_url(self) -> str:
        service = services().deleted
        version = min(mourner.position.deletions_version or FIRST_VERSION for mourner in self._mourners)
        options = {"$select": ",".join(service.columns), "$filter": f"Timestamp gt {version}L"}
        return self._client.url(service.path, self.division, options)

    def _tombstones(self, mourner: Mourner, rows: Sequence[Row]) -> list[Row]:
        now = self._client.server_clock.now_ms()
        return [
            _tombstone(mourner, self.division, row, now)
            for row in rows
            if row.get("EntityType") == mourner.definition.entity_type
            and row.get("EntityKey")
            and _is_new(mourner, row)
        ]

    def _warn_of_gaps(self) -> None:
        now = self._client.server_clock.now_ms()
        for mourner in self._mourners:
            read = mourner.position.deletions_read
            if read is not None and now - read > KEPT_DAYS * _DAY_MS:
                logger.warning(
                    "Stream %s last asked for deletions in division %s %d days ago, and Exact Online keeps them for "
                    "two months: deletions may have been missed. Refresh the stream in full once to remove such rows.",
                    mourner.definition.name,
                    self.division,
                    (now - read) // _DAY_MS,
                )


def _surely_heard(position: Position) -> int | None:
    """Moment up to which deletions were heard of, whatever happened to the division since; epoch milliseconds."""
    return position.deletions_read if position.deletions_before is None else position.deletions_before


def _is_new(mourner: Mourner, row: Row) -> bool:
    """Whether a deletion happened since the stream last heard of them.

    Without a row version of the log (first time, or the division was moved) a deletion is new if it comes after every
    row that was read, since log and rows share one scale, or else if its date says so, with an overlap for the hour
    that the wall clock repeats. The last reading does not count there: the division may have moved in its midst.
    """
    position = mourner.position
    version = int(row["Timestamp"])
    if position.deletions_version is not None:
        return version > position.deletions_version
    if position.version is not None and version > position.version:
        return True
    heard = _surely_heard(position)
    if heard is None or not row.get("DeletedDate"):
        return True
    return wall_clock.milliseconds(row["DeletedDate"]) >= wall_clock.of_instant(heard) - _OVERLAP_MS


def _tombstone(mourner: Mourner, division: int, row: Row, now: float) -> Row:
    """Record of a deleted row; `now` (epoch milliseconds) stands in for a date that the log does not tell."""
    if row.get("DeletedDate"):
        deleted_at = utc_since(row["DeletedDate"], mourner.position.deletions_read, now)
    else:
        deleted_at = datetime.fromtimestamp(now / 1000, tz=timezone.utc).isoformat(timespec="milliseconds")
    record: Row = {"Division": division, mourner.definition.key[0]: row["EntityKey"], DELETED_AT: deleted_at}
    if mourner.definition.cursor == "Modified":
        record["Modified"] = deleted_at
    elif mourner.definition.cursor == "Timestamp":
        record["Timestamp"] = int(row["Timestamp"])
    return record
