"""Rows on their way to the store, in order of their last change.

Row versions ascend in the order rows are stored. Real ones follow the changes, so rows wait here until everything that
changed earlier is stored.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter
from typing import Protocol

Row = dict[str, object]

_AT = itemgetter(0)


class Sink(Protocol):
    """Where documents put their rows."""

    def put(self, entity: str, row: Row, at: datetime) -> None:
        """Take one row that last changed at this instant."""


class BulkStore(Protocol):
    """The part of the store that the generator needs."""

    def add_division(self, code: int, row: Row) -> None:
        """Add a division with its row of system/Divisions."""

    def insert_many(self, division: int, entity: str, rows: Iterable[Row]) -> int:
        """Load rows that bring their own Created and Modified; row versions ascend in the order given."""


class Outbox:
    """Collects the rows of one division in windows of time and stores them window by window."""

    def __init__(self, store: BulkStore, division: int, start: datetime, end: datetime, windows: int) -> None:
        width = (end - start) / windows
        self._store = store
        self._division = division
        self._bounds = [start + width * index for index in range(1, windows)]
        self._windows: list[dict[str, list[tuple[datetime, Row]]]] = [{} for _ in range(windows)]
        self._flushed = 0

    def put(self, entity: str, row: Row, at: datetime) -> None:
        """Take one row that last changed at this instant."""
        window = self._windows[max(bisect_left(self._bounds, at), self._flushed)]
        rows = window.get(entity)
        if rows is None:
            rows = window[entity] = []
        rows.append((at, row))

    def flush_before(self, instant: datetime) -> None:
        """Store the rows of all windows that end before this instant."""
        done = bisect_left(self._bounds, instant)
        while self._flushed < done:
            self._flush()

    def close(self) -> None:
        """Store everything that is left."""
        while self._flushed < len(self._windows):
            self._flush()

    def _flush(self) -> None:
        for entity, rows in self._windows[self._flushed].items():
            rows.sort(key=_AT)
            self._store.insert_many(self._division, entity, [row for _, row in rows])
        self._windows[self._flushed] = {}
        self._flushed += 1
