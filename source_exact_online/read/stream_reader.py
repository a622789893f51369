"""One stream's part in a listing: which rows and columns it takes, and how far it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from source_exact_online.api.odata import Row, RowPlan
from source_exact_online.catalog.definitions import Rows, StreamDefinition
from source_exact_online.catalog.schemas import properties
from source_exact_online.state import transitions
from source_exact_online.state.position import Pass, Position
from source_exact_online.state.stream_state import StreamState

logger = logging.getLogger("airbyte.exact_online")


class Consumer(Protocol):
    """What a listing asks of a stream that it feeds, be it with its own rows or with word of deleted ones."""

    @property
    def definition(self) -> StreamDefinition:
        """The stream whose rows are listed."""

    @property
    def name(self) -> str:
        """Name of the stream that is fed."""

    @property
    def key(self) -> str:
        """Name of the partition in that stream's state."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Properties to ask for."""

    @property
    def indispensable(self) -> tuple[str, ...]:
        """Those of them that cannot be left out, even if Exact refuses them."""

    @property
    def brings_rows(self) -> bool:
        """Whether reading the listing to its end means that the stream can be read in the division."""

    @property
    def full(self) -> bool:
        """Whether the listing is read in full, whatever the position."""

    @property
    def position(self) -> Position:
        """How far the stream is."""

    @property
    def under_way(self) -> Pass | None:
        """Pass over this listing that the last sync did not finish."""

    @property
    def version(self) -> int | None:
        """Row version after which rows are wanted; None if there is none to go on from."""

    def leave_out(self, refused: frozenset[str]) -> None:
        """Make records without columns that Exact refused."""

    def takes(self, row: Row) -> bool:
        """Whether a row of the listing concerns the stream."""

    def record(self, row: Row, division: int, now_ms: float) -> Row:
        """Record of a row read in a division, at a moment of Exact's clock (epoch milliseconds)."""

    def after(self, reached: Pass) -> Position:
        """Position of the stream once a pass has come as far as this."""


@dataclass(slots=True)
class StreamReader:
    """A stream's part in the listing of its own rows.

    Attributes:
        definition: the stream.
        columns: properties its records have.
        full: whether it is read in full, whatever its position.
        state: state of the stream, changed by the scheduler alone.
        key: name of the partition in that state.
        stands_in: whether the definition is that of a stand-in.
    """

    definition: StreamDefinition
    columns: tuple[str, ...]
    full: bool
    state: StreamState
    key: str
    stands_in: bool = False
    brings_rows: ClassVar[bool] = True
    _plan: RowPlan = field(init=False)
    _refused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.columns = tuple(name for name in self.columns if name not in self.definition.lacks)
        self._compile()

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self.definition.name

    @property
    def indispensable(self) -> tuple[str, ...]:
        """Keys and cursors."""
        return self.definition.always_read

    @property
    def position(self) -> Position:
        """How far the stream is."""
        return self.state.positions.get(self.key, Position())

    @property
    def under_way(self) -> Pass | None:
        """Pass of the same sync mode that the last sync did not finish, or finished in a sync that did not."""
        under_way = self.position.under_way
        return under_way if under_way is not None and under_way.full is self.full else None

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

    def record(self, row: Row, division: int, now_ms: float) -> Row:
        """Record of a row read in a division, at a moment of Exact's clock (epoch milliseconds)."""
        source, key_from = self.definition.division_from, self.definition.key_from
        key = {self.definition.key[0]: row[key_from]} if key_from else {}
        return {"Division": row[source] if source else division, **key, **self._plan.record(row, now_ms)}

    def after(self, reached: Pass) -> Position:
        """Position once a pass has come as far as this: in mid-pass, or past it.

        A stream hears of deletions from the begin of its first pass on.
        """
        reached = replace(reached, full=self.full)
        position = self.position.without_cursors() if self.full else self.position
        position = replace(position, stands_in=self.stands_in)
        if self.hears_of_deletions and position.deletions_read is None:
            position = replace(position, deletions_read=reached.began)
        if reached.next_url is not None:
            return replace(position, under_way=reached)
        return transitions.finished(position, reached)

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
