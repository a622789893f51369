"""One run of the connector, cut into packages: rows, and the state that holds once they are loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    StreamDescriptor,
    SyncMode,
    TraceType,
    Type,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.catalog.definitions import StreamDefinition, Transport
from source_exact_online.catalog.schemas import schema
from source_exact_online.catalog.stream import ExactStream
from source_exact_online.load.arrow import TableFormat
from source_exact_online.load.spool import Spool
from source_exact_online.read.records import RecordBatch
from source_exact_online.state.stream_state import division_numbers

State = dict[str, Any]
"""State of one stream."""


class Source(Protocol):
    """What is asked of the connector."""

    def read_batches(
        self,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None,
        known: Iterable[int],
    ) -> Iterator[AirbyteMessage | RecordBatch]:
        """Read the configured streams."""

    def divisions_read(self, stream: str) -> frozenset[int]:
        """Return the divisions in which a stream was read to its end so far."""

    def divisions_skipped(self, stream: str) -> frozenset[int]:
        """Return the divisions in which a stream could not be read so far, though it may be complete."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a package holds of one stream.

    Attributes:
        stream: the stream.
        spool: its rows; None where only the state has moved.
        replaces: whether these are all rows that there are, so that they take the place of the table's.
        divisions: those whose rows they replace; rows of others stay. None = all rows of the table.
        state: what to go on from once the rows are in the table; None where that has not changed.
    """

    stream: StreamDefinition
    spool: Spool | None
    replaces: bool
    state: State | None
    divisions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """When a package is closed: it bounds what memory and disk hold, and what is lost when a run dies.

    Attributes:
        rows: about as many of all streams.
        seconds: since the last package.
    """

    rows: int = 100_000
    seconds: float = 300.0


@dataclass(slots=True)
class _Progress:
    """How one stream is getting on."""

    spool: Spool | None = None
    state: State | None = None
    complete: bool = False


class Reading:
    """One run over some streams.

    A stream is merged into its table, package by package, or replaces it: a snapshot, of which Exact does not tell what
    has changed, and any stream that is to be read in full. What replaces is held back until the stream is complete,
    and replaces the rows of the divisions that were read to their end: a complete stream may have skipped some, or not
    know of them.

    Attributes:
        on_rows: called after each page.
        rows: number of rows read so far, tombstones included.
        complete: number of streams that were read to their end.
        failures: why streams are incomplete, by stream.
        error: why the run has failed; None if it has not.

    Args:
        source: the connector.
        config: for it; its tokens change while it runs.
        streams: what to read.
        states: where to go on, by stream.
        folder: for rows that wait.
        binary: whether pictures and files are columns.
        full: read everything anew.
        anew: names of streams to read anew, whose tables are made anew: no row in them stays.
        by_division: whether rows of single divisions can be replaced; else a stream with a division that was not read
            replaces nothing.
        monotonic: seconds, for the limits.
    """

    def __init__(
        self,
        source: Source,
        config: MutableMapping[str, Any],
        streams: Sequence[StreamDefinition],
        states: Mapping[str, State],
        folder: Path,
        *,
        binary: bool = False,
        full: bool = False,
        anew: frozenset[str] = frozenset(),
        by_division: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._config = config
        self._streams = {one.name: one for one in streams}
        self._replacing = {one.name for one in streams if full or one.name in anew or is_snapshot(one)}
        self._states = {name: states[name] for name in self._streams if name in states and name not in self._replacing}
        self._anew = anew
        self._before = states
        self._formats = {
            name: TableFormat(name, schema(one.schema, binary=binary)["properties"], one.primary_key)
            for name, one in self._streams.items()
        }
        self._with_table = set(self._states)
        self._binary = binary
        self._by_division = by_division
        self._folder = folder
        self._monotonic = monotonic
        self._progress = {name: _Progress() for name in self._streams}
        self._files = 0
        self._unpacked = 0
        self.on_rows: Callable[[], None] = _nobody
        self.rows = self.complete = 0
        self.failures: dict[str, str] = {}
        self.error: str | None = None

    @property
    def streams(self) -> int:
        """Number of the streams."""
        return len(self._streams)

    def packages(self, limits: Limits | None) -> Generator[list[Part], None, None]:
        """Read everything; yield what there is to load from time to time, and at the end.

        The run goes on where it was once a package has been taken. Errors of the connector are kept in `error` and, by
        stream, in `failures`: what was read before them counts.

        Args:
            limits: of a package; None = everything is one.
        """
        closed_at = self._monotonic()
        try:
            for message in self._messages():
                if isinstance(message, RecordBatch):
                    self._take_rows(message)
                else:
                    self._take(message)
                is_due = limits is not None and (
                    self._unpacked >= limits.rows
                    or (self._unpacked and self._monotonic() - closed_at >= limits.seconds)
                )
                if is_due:
                    yield self._package()
                    closed_at = self._monotonic()
        except AirbyteTracedException as error:
            self.error = error.message or str(error)
        yield self._package()

    def _messages(self) -> Iterator[AirbyteMessage | RecordBatch]:
        return self._source.read_batches(self._config, self._catalog(), self._state_messages(), self._known())

    def _known(self) -> frozenset[int]:
        """Return the divisions that the table of any stream may have rows of."""
        return division_numbers(key for state in self._before.values() for key in state.get("divisions", {}))

    def _take_rows(self, batch: RecordBatch) -> None:
        progress = self._progress[batch.stream]
        if progress.spool is None:
            progress.spool = self._spool(batch.stream)
        progress.spool.add(batch.count, batch.lines)
        if batch.stream not in self._replacing:
            self._unpacked += batch.count
        self.rows += batch.count
        self.on_rows()

    def _take(self, message: AirbyteMessage) -> None:
        if message.type is Type.STATE and message.state is not None and message.state.stream is not None:
            part = message.state.stream
            self._progress[part.stream_descriptor.name].state = dict(vars(part.stream_state))
        elif message.type is Type.TRACE and message.trace is not None:
            trace = message.trace
            if trace.type is TraceType.STREAM_STATUS and trace.stream_status is not None:
                if trace.stream_status.status is AirbyteStreamStatus.COMPLETE:
                    self._progress[trace.stream_status.stream_descriptor.name].complete = True
                    self.complete += 1
            elif trace.error is not None and trace.error.stream_descriptor is not None:
                self.failures.setdefault(trace.error.stream_descriptor.name, trace.error.message)

    def _package(self) -> list[Part]:
        """Return what can be loaded now: rows and the state that they prove. It is forgotten here."""
        self._unpacked = 0
        return [part for name in self._streams if (part := self._part(name)) is not None]

    def _part(self, name: str) -> Part | None:
        progress, stream = self._progress[name], self._streams[name]
        replaces = name in self._replacing
        if replaces and not (progress.complete and self._may_replace(stream)):
            return None
        state = None if is_snapshot(stream) else progress.state
        if progress.spool is None and progress.complete and (replaces or name not in self._with_table):
            progress.spool = self._spool(name)  # no rows: the table is to be there nevertheless, or to become empty
        if progress.spool is None and state is None:
            return None
        if progress.spool is not None:
            progress.spool.close()
            self._with_table.add(name)
        self._progress[name] = _Progress()
        if not replaces or stream.per_login or not self._by_division:
            return Part(stream, progress.spool, replaces, state)
        divisions = self._source.divisions_read(name)
        if progress.spool is not None:
            progress.spool.keep(divisions)
        state = state and self._with_unread(name, state, divisions)
        return Part(stream, progress.spool, replaces, state, None if name in self._anew else divisions)

    def _may_replace(self, stream: StreamDefinition) -> bool:
        """Return whether no row of a division that was not read would be lost; note it where one would be."""
        if self._by_division or stream.per_login:
            return True
        wanted, excluded = (
            frozenset(map(int, self._config.get(name) or ())) for name in ("divisions", "exclude_divisions")
        )
        gone = self._known() - self._source.divisions_read(stream.name) - excluded
        unread = self._source.divisions_skipped(stream.name) | (gone & wanted if wanted else gone)
        if unread:
            self.failures[stream.name] = (
                f"Division {', '.join(map(str, sorted(unread)))} could not be read, and this destination can only "
                "replace a table whole: the old rows stay. Put it into exclude_divisions to give its rows up."
            )
        return not unread

    def _with_unread(self, name: str, state: State, read: frozenset[int]) -> State:
        """Return a new state in which divisions that were not read, and whose rows stay, are where they were."""
        before, now = self._before.get(name, {}), state.get("divisions", {})
        if name in self._anew or before.get("version") != state.get("version"):
            before = {}
        kept = {key: one for key, one in before.get("divisions", {}).items() if not division_numbers([key]) <= read}
        return {**state, "divisions": {**kept, **{key: now[key] for key in now if division_numbers([key]) <= read}}}

    def _spool(self, name: str) -> Spool:
        self._files += 1
        return Spool(self._formats[name], self._folder / f"{name}.{self._files}.arrows")

    def _catalog(self) -> ConfiguredAirbyteCatalog:
        return ConfiguredAirbyteCatalog(
            streams=[
                ConfiguredAirbyteStream(
                    stream=ExactStream(one, binary=self._binary).as_airbyte_stream(),
                    sync_mode=SyncMode.full_refresh if is_snapshot(one) else SyncMode.incremental,
                    destination_sync_mode=DestinationSyncMode.append_dedup,
                )
                for one in self._streams.values()
            ]
        )

    def _state_messages(self) -> list[AirbyteStateMessage]:
        return [
            AirbyteStateMessage(
                type=AirbyteStateType.STREAM,
                stream=AirbyteStreamState(
                    stream_descriptor=StreamDescriptor(name=name), stream_state=AirbyteStateBlob(state)
                ),
            )
            for name, state in self._states.items()
        ]


def _nobody() -> None:
    """Take no notice."""


def is_snapshot(stream: StreamDefinition) -> bool:
    """Return whether a stream is read whole each time, so that rows that are gone can be told by their absence."""
    return stream.transport is Transport.SNAPSHOT or stream.cursor is None
