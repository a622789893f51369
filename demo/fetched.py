"""What an incremental load fetched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = tuple[Any, ...]
Key = tuple[Any, Any]
"""A row's own key and its division."""
Keys = dict[str, set[Key]]
"""Keys by stream."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Rows of one stream that a load fetched, by what had happened to them."""

    stream: str
    new: int
    changed: int
    deleted: int
    unchanged: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.new + self.changed + self.deleted + self.unchanged

    @property
    def differs(self) -> bool:
        """Whether the table is another one after them."""
        return self.rows > self.unchanged

    @classmethod
    def of(
        cls, stream: str, rows: Sequence[Row], before: Collection[Key], after: Collection[Key], moment: datetime
    ) -> Fetched:
        """Sort rows by what happened to them after a moment.

        Args:
            stream: name of the stream.
            rows: what was fetched: key, division, Modified.
            before: keys that the table had before the load.
            after: keys that it has now.
            moment: aware.
        """
        known = [row for row in rows if row[:2] in before]
        changed = sum(1 for row in known if row[2] >= moment)
        deleted = len(set(before) - set(after))
        return cls(stream, len(rows) - len(known), changed, deleted, len(known) - changed)
