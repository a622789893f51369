"""One stream's part in a listing: which rows and columns it takes, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from source_exact_online.api.exact_time import WallClock
from source_exact_online.api.page import Row
from source_exact_online.catalog.definitions import Rows, StreamDefinition, Transport
from source_exact_online.read.records import Record
from source_exact_online.state import transitions
from source_exact_online.state.position import InProgressListing, Position
from source_exact_online.state.stream_state import StreamState


class Reader(Protocol):
    """What a listing asks of a stream that it feeds, with its own rows or with tombstones of deleted ones."""

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
    def required(self) -> tuple[str, ...]:
        """Those of them that cannot be left out, even if Exact refuses them."""

    @property
    def proof(self) -> tuple[str, ...]:
        """Properties without which a row is none of the listing."""

    @property
    def counts_as_readable(self) -> bool:
        """Whether reading the listing to its end means that the stream can be read in the division."""

    @property
    def full_refresh(self) -> bool:
        """Whether the listing is read in full, whatever the position."""

    @property
    def position(self) -> Position:
        """How far the stream was when the listing began."""

    @property
    def in_progress(self) -> InProgressListing | None:
        """Listing of the same sync mode that an earlier run did not finish."""

    @property
    def row_version(self) -> int | None:
        """Row version after which rows are wanted; None if there is none to go on from."""

    @property
    def owns_all(self) -> bool:
        """Whether every row of the listing concerns the stream."""

    def begin(self) -> None:
        """Take the position that the stream has now for the one to start from."""

    def owns(self, row: Row) -> bool:
        """Return whether a row of the listing concerns the stream."""

    def records(self, rows: Sequence[Row], division: int, now_ms: float) -> Sequence[Record]:
        """Return the records of some rows read in a division, at a moment of Exact's clock (epoch ms)."""

    def after(self, listing: InProgressListing, *, finished: bool, ascending: bool) -> Position:
        """Return the position of the stream once a listing has come as far as this.

        Args:
            listing: how far it is.
            finished: whether it has been read to its end.
            ascending: whether row versions have come in ascending order.
        """


@dataclass(slots=True)
class StreamReader:
    """A stream's part in the listing of its own rows.

    Attributes:
        definition: the stream.
        columns: properties its records have, `Division` included, in the order of the schema.
        full_refresh: whether it is read in full, whatever its position.
        state: state of the stream; only read here.
        key: name of the partition in that state.
        clock: of the site.
    """

    definition: StreamDefinition
    columns: tuple[str, ...]
    full_refresh: bool
    state: StreamState
    key: str
    clock: WallClock
    name: str = field(init=False)
    required: tuple[str, ...] = field(init=False)
    proof: tuple[str, ...] = field(init=False)
    owns_all: bool = field(init=False)
    position: Position = field(init=False)
    in_progress: InProgressListing | None = field(init=False)
    row_version: int | None = field(init=False)
    counts_as_readable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Take what follows from the attributes, and the position of now."""
        self.name = self.definition.name
        self.required = self.definition.always_read
        self.proof = self.definition.proof_key
        self.owns_all = self.definition.rows is Rows.ALL
        self.begin()

    def begin(self) -> None:
        """Take the position that the stream has now for the one to start from."""
        self.position = self.state.positions.get(self.key, Position())
        found = self.position.in_progress
        self.in_progress = found if found is not None and found.full_refresh is self.full_refresh else None
        self.row_version = self.position.row_version
        if self.full_refresh:
            self.row_version = None if self.in_progress is None else self.in_progress.highest_row_version

    def owns(self, row: Row) -> bool:
        """Return whether a row of the listing is one of this stream's."""
        return self.owns_all or bool(row.LineNumber) is (self.definition.rows is Rows.LINES)

    def records(self, rows: Sequence[Row], division: int, now_ms: float) -> Sequence[Record]:
        """Return the records of some rows: the rows themselves, with `Division` and without what nobody asked for."""
        source = self.definition.division_from
        for row in rows:
            row.Division = getattr(row, source) if source else division
        for name in self._extra(rows[0]) if rows else ():
            for row in rows:
                setattr(row, name, None)
        return rows

    def _extra(self, row: Row) -> list[str]:
        """Return the columns of a row that were asked for by others, or for a cursor."""
        return [name for name in row.__struct_fields__ if name not in self.columns and not name.endswith("_")]

    def after(self, listing: InProgressListing, *, finished: bool, ascending: bool) -> Position:
        """Return the position once a listing has come as far as this.

        A full refresh of a feed that goes on behind the rows of an earlier run began with that run.
        """
        listing = replace(listing, full_refresh=self.full_refresh)
        is_feed = self.definition.transport is Transport.FEED
        if is_feed and self.full_refresh and self.in_progress is not None:
            listing = replace(listing, started_at=self.in_progress.started_at)
        if finished:
            return transitions.listing_finished(self.position, listing, self.clock)
        if not is_feed:
            return transitions.list_checkpoint(self.position, listing)
        return transitions.feed_checkpoint(self.position, listing) if ascending else self.position
