"""One stream's part in a listing: which rows and columns it takes, and how far it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from source_exact_online.api.odata import Row, RowPlan
from source_exact_online.streams.catalog import Rows, StreamDefinition
from source_exact_online.streams.schemas import properties
from source_exact_online.streams.state import Position, StreamState

logger = logging.getLogger("airbyte.exact_online")


@dataclass(slots=True)
class Consumer:
    """One stream's part in a listing.

    Attributes:
        definition: the stream.
        columns: properties its records have.
        full: whether it is read in full, whatever its position.
        state: state of the stream, changed by the scheduler alone.
        key: name of the partition in that state.
    """

    definition: StreamDefinition
    columns: tuple[str, ...]
    full: bool
    state: StreamState
    key: str
    _plan: RowPlan = field(init=False)
    _refused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._compile()

    @property
    def position(self) -> Position:
        """How far the stream is."""
        return self.state.positions.get(self.key, Position())

    @property
    def hears_of_deletions(self) -> bool:
        """Whether deleted rows of the stream are logged, and wanted."""
        return self.definition.entity_type is not None and not self.full

    @property
    def version(self) -> int | None:
        """Row version after which it wants rows; None if it has none to go on from."""
        return None if self.full else self.position.version

    def leave_out(self, refused: frozenset[str]) -> None:
        """Make records without columns that Exact refused."""
        if refused != self._refused:
            self._refused = refused
            self._compile()

    def takes(self, row: Row) -> bool:
        """Whether a row of the listing is one of this stream's."""
        if self.definition.rows is Rows.ALL:
            return True
        return bool(row.get("LineNumber")) is (self.definition.rows is Rows.LINES)

    def record(self, row: Row, division: int) -> Row:
        """Record of a row read in a division."""
        source = self.definition.division_from
        return {"Division": row[source] if source else division, **self._plan.record(row)}

    def _compile(self) -> None:
        names = [name for name in self.columns if name not in self._refused and name != "Division"]
        self._plan = RowPlan.compile(properties(self.definition.name), names)


class RefusedColumns:
    """Columns that Exact refused in this sync, by endpoint; shared by all partitions."""

    def __init__(self) -> None:
        self._by_path: dict[str, frozenset[str]] = {}

    def of(self, path: str) -> frozenset[str]:
        """Columns not to ask for."""
        return self._by_path.get(path, frozenset())

    def add(self, path: str, columns: Sequence[str], detail: str) -> None:
        """Remember refused columns; warns the first time."""
        fresh = set(columns) - self.of(path)
        if fresh:
            self._by_path[path] = self.of(path) | fresh
            names = ", ".join(sorted(fresh))
            logger.warning("Exact Online refuses %s of %s; reading on without (%s).", names, path, detail)
