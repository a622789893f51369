"""What an incremental load fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
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
    """Rows of one stream that a run fetched, by what had happened to them."""

    stream: str
    new: int
    changed: int
    deleted: int
    unchanged: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.new + self.changed + self.deleted + self.unchanged

    @classmethod
    def of(cls, stream: str, rows: Sequence[Row], known: Container[Key], moment: datetime) -> Fetched:
        """Sort the fetched rows (key, division, Modified, deletion) by what happened to them after a moment."""
        kinds = Counter(
            "deleted" if deleted_at
            else "new" if (key, division) not in known
            else "changed" if modified >= moment
            else "unchanged"
            for key, division, modified, deleted_at in rows
        )  # fmt: skip
        return cls(stream, kinds["new"], kinds["changed"], kinds["deleted"], kinds["unchanged"])
