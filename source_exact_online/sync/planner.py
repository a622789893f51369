"""From the configured catalogue to partitions: what to read, where from, and in which order. Changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from airbyte_cdk.models import ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, FailureType, SyncMode
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import Division
from source_exact_online.api.page import Row
from source_exact_online.catalog.definitions import StreamDefinition, Transport, catalog
from source_exact_online.catalog.offer import definitions, meant
from source_exact_online.catalog.schemas import DELETED_AT, column_order
from source_exact_online.config import Config
from source_exact_online.read.deletions import DeletionLogPartition, TombstoneReader, deletion_log
from source_exact_online.read.list_partition import ListPartition
from source_exact_online.read.query import Refusals
from source_exact_online.read.records import RepairLog
from source_exact_online.read.stream_reader import Reader, StreamReader
from source_exact_online.state import transitions
from source_exact_online.state.position import Position
from source_exact_online.state.stream_state import LOGIN, StreamState
from source_exact_online.sync.scheduler import PartitionTask

logger = logging.getLogger("airbyte.exact_online")


@dataclass(slots=True)
class Plan:
    """What a run does.

    Attributes:
        tasks: partitions to read; those that others have to wait for are named there.
        positions: positions by stream and key that hold from the start, before anything is read.
        columns: columns that each stream reads.
    """

    tasks: list[PartitionTask] = field(default_factory=list)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)


def chosen_streams(configured: ConfiguredAirbyteCatalog) -> list[ConfiguredAirbyteStream]:
    """Return the streams of a configured catalogue; warn of cursors in it that the connector does not use.

    Raises:
        AirbyteTracedException: one of them is not in the catalogue.
    """
    unknown = [name + meant(name) for name in (one.stream.name for one in configured.streams) if name not in catalog()]
    if unknown:
        raise AirbyteTracedException(
            message=f"This connector has no stream {', '.join(unknown)}: refresh the source schema of the connection.",
            failure_type=FailureType.config_error,
        )
    for one in configured.streams:
        cursor = catalog()[one.stream.name].cursor
        if one.sync_mode is SyncMode.incremental and one.cursor_field and one.cursor_field != [cursor]:
            logger.warning(
                "cursor_field %s of stream %s has no effect: %s.",
                ".".join(one.cursor_field)[:80],
                one.stream.name,
                f"its cursor is always {cursor}" if cursor else "it has no cursor and is read whole",
            )
    return list(configured.streams)


class Planner:
    """Plans one run.

    Args:
        client: the API.
        config: of the user.
        states: state of each configured stream; only read here.
        url_division: division in the URL of listings that belong to the login.
        is_wanted: whether a division is among those to read.
    """

    def __init__(
        self,
        client: ExactClient,
        config: Config,
        states: Mapping[str, StreamState],
        *,
        url_division: int,
        is_wanted: Callable[[object], bool],
    ) -> None:
        self._client = client
        self._config = config
        self._definitions = definitions(config.full_columns)
        self._states = states
        self._url_division = url_division
        self._is_wanted = is_wanted
        self._refused = Refusals()
        self._repairs = RepairLog()
        start = config.start_date
        self._start = None if start is None else client.wall_clock.first_at_or_after(start)
        self._now = int(client.server_clock.now_ms())

    def plan(self, streams: Iterable[ConfiguredAirbyteStream], divisions: Sequence[Division]) -> Plan:
        """Plan the partitions of the configured streams, and of the deletion logs that go before them.

        Streams are spread over the divisions before they are repeated, so that the first calls already teach the
        quotas of all divisions.
        """
        plan = Plan()
        listings: dict[tuple[str, bool], list[ConfiguredAirbyteStream]] = {}
        for stream in streams:
            definition = self._definitions[stream.stream.name]
            listings.setdefault((definition.path, definition.per_login), []).append(stream)
            plan.columns[definition.name] = selected_columns(definition, stream)
            self._set_positions(definition, stream, divisions, plan)
            self._warn_of_new_columns(definition.name, plan)
        logs = {division.code: self._log(listings.values(), division.code) for division in divisions}
        plan.tasks += [log for log in logs.values() if log is not None]
        for (_, per_login), members in listings.items():
            if per_login:
                plan.tasks.append(PartitionTask(self._listing(members, self._url_division, LOGIN)))
                continue
            names = {member.stream.name for member in members}
            for division in divisions:
                log = logs[division.code]
                if log is not None and names & set(log.partition.readable):
                    continue
                task = PartitionTask(self._listing(members, division.code, str(division.code)))
                plan.tasks.append(task)
                if log is not None and names & set(log.partition.streams):
                    log.dependents.append(task)
        return plan

    # -- positions -------------------------------------------------------------------------------------------------

    def _set_positions(
        self,
        definition: StreamDefinition,
        configured: ConfiguredAirbyteStream,
        divisions: Sequence[Division],
        plan: Plan,
    ) -> None:
        """Move the positions of a stream for what is known before anything is read."""
        known = self._states[definition.name].positions
        keys = {LOGIN: None} if definition.per_login else {str(one.code): one for one in divisions}
        earlier_start = other_endpoint = False
        for key, division in keys.items():
            before = known.get(key, Position())
            position = transitions.columns_chosen(before, definition.full_columns)
            other_endpoint = other_endpoint or (before.was_read and not position.was_read)
            if division is None:
                position = transitions.begun_anew(position)  # the divisions to read may have changed
            else:
                stayed = position
                position = transitions.division_seen(position, division.move_date)
                if stayed.was_read and not position.was_read:
                    self._tell_move(definition, division)
            if definition.transport is not Transport.SNAPSHOT:
                started = transitions.start_date_set(position, self._start)
                earlier_start = earlier_start or (position.was_read and not started.was_read)
                position = started
            if self._config.read_deletions and definition.tracks_deletions:
                position = transitions.deletions_tracked(position, self._now)
            if position != before:
                plan.positions[definition.name, key] = position
        if other_endpoint and not is_full_refresh(definition, configured):
            logger.warning(
                "full_columns %s %s: reading it again from the start, with the primary key %s.",
                "now names" if definition.full_columns else "no longer names",
                definition.name,
                ", ".join(definition.primary_key),
            )
        if earlier_start and not is_full_refresh(definition, configured):
            logger.info("start_date is earlier than it was: reading %s again from there.", definition.name)

    @staticmethod
    def _tell_move(definition: StreamDefinition, division: Division) -> None:
        logger.warning(
            "Division %s was moved to another database: reading %s again from the start.%s",
            division.code,
            definition.name,
            " Its cursor Timestamp has lower values from now on, which a destination may take for older ones: refresh "
            "it in full once."
            if definition.cursor == "Timestamp"
            else "",
        )

    def _warn_of_new_columns(self, stream: str, plan: Plan) -> None:
        state = self._states[stream]
        known = state.columns
        added = [name for name in plan.columns[stream] if name not in known] if known is not None else []
        kept = (plan.positions.get((stream, key), position) for key, position in state.positions.items())
        if added and any(position.was_read for position in kept):
            logger.warning(
                "%s of %s is new: rows that were read before stay empty there until they change, or until the stream "
                "is refreshed.",
                ", ".join(added),
                stream,
            )

    # -- partitions ------------------------------------------------------------------------------------------------

    def _listing(self, members: Sequence[ConfiguredAirbyteStream], division: int, key: str) -> ListPartition:
        """Return the listing that streams share in a division, or for the login."""
        readers = [self._reader(member, key) for member in members]
        row_filter = self._row_filter(readers[0].definition) if key == LOGIN else None
        return ListPartition(
            self._client,
            self._config,
            self._refused,
            self._repairs,
            division,
            readers,
            row_filter=row_filter,
        )

    def _row_filter(self, definition: StreamDefinition) -> Callable[[Row], bool]:
        source = definition.division_from or "Division"
        return lambda row: self._is_wanted(getattr(row, source))

    def _reader(self, configured: ConfiguredAirbyteStream, key: str) -> StreamReader:
        definition = self._definitions[configured.stream.name]
        return StreamReader(
            definition=definition,
            columns=("Division", *selected_columns(definition, configured)),
            full_refresh=is_full_refresh(definition, configured),
            state=self._states[definition.name],
            key=key,
            clock=self._client.wall_clock,
        )

    def _log(self, listings: Iterable[Sequence[ConfiguredAirbyteStream]], division: int) -> PartitionTask | None:
        """Return the deletion log of a division, for the streams that have been read there before.

        It feeds the stream that shows it as well.
        """
        if not self._config.read_deletions:
            return None
        key = str(division)
        tombstones: list[Reader] = []
        rows: list[Reader] = []
        for configured in (member for members in listings for member in members):
            definition = self._definitions[configured.stream.name]
            if definition is deletion_log():
                rows.append(self._reader(configured, key))
            elif definition.tracks_deletions and not is_full_refresh(definition, configured):
                state = self._states[definition.name]
                known = state.positions.get(key, Position())
                if known.was_read or known.deletions is not None:
                    tombstones.append(TombstoneReader(definition, state, key, self._client))
        if not tombstones:
            return None
        return PartitionTask(
            DeletionLogPartition(
                self._client, self._config, self._refused, self._repairs, division, [*tombstones, *rows]
            )
        )


def is_full_refresh(definition: StreamDefinition, configured: ConfiguredAirbyteStream) -> bool:
    """Return whether a stream is read in full: as configured, or because it has no cursor."""
    return configured.sync_mode is SyncMode.full_refresh or definition.cursor is None


def selected_columns(definition: StreamDefinition, configured: ConfiguredAirbyteStream) -> tuple[str, ...]:
    """Return the properties of a stream's records: the configured ones, keys and cursors. No selection means all.

    `Division` is in every record and not among them.
    """
    wanted = set((configured.stream.json_schema or {}).get("properties", {}))
    columns = column_order(definition.schema, wanted | set(definition.always_read)) if wanted else ()
    return tuple(name for name in columns or column_order(definition.schema) if name not in (DELETED_AT, "Division"))
