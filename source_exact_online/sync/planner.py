"""From the configured catalogue to partitions: what to read, where from, and in which order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from airbyte_cdk.models import ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, FailureType, SyncMode
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import Division
from source_exact_online.api.odata import Row
from source_exact_online.catalog.definitions import StreamDefinition, catalog
from source_exact_online.catalog.schemas import DELETED_AT, column_order
from source_exact_online.read.deletions import DeletionLog, TombstoneReader, deletion_log
from source_exact_online.read.list_partition import ListingPartition
from source_exact_online.read.query import Settings
from source_exact_online.read.stream_reader import Consumer, RefusedColumns, StreamReader
from source_exact_online.state.position import Position
from source_exact_online.state.stream_state import StreamState
from source_exact_online.sync.scheduler import PartitionTask

logger = logging.getLogger("airbyte.exact_online")

LOGIN = "login"
"""Name of the one partition of a stream whose listing is the login's, in place of a division's number."""

_FROM_THE_BEGINNING = (
    "from its beginning. Its cursor Timestamp has lower values from now on, which a destination may take for older "
    "ones: refresh it in full once."
)


def chosen_streams(configured: ConfiguredAirbyteCatalog) -> list[ConfiguredAirbyteStream]:
    """Streams of a configured catalogue.

    Raises:
        AirbyteTracedException: one of them is not in the catalogue.
    """
    unknown = [stream.stream.name for stream in configured.streams if stream.stream.name not in catalog()]
    if unknown:
        raise AirbyteTracedException(
            message=f"This connector has no stream {', '.join(unknown)}: refresh the source schema of the connection.",
            failure_type=FailureType.config_error,
        )
    return list(configured.streams)


class Planner:
    """Builds the partitions of one sync."""

    def __init__(
        self,
        client: ExactClient,
        settings: Settings,
        states: Mapping[str, StreamState],
        *,
        url_division: int,
        read_deletions: bool,
        is_wanted: Callable[[object], bool],
    ) -> None:
        """Planner of a sync.

        Args:
            client: the API.
            settings: what partitions need of the configuration.
            states: state of each configured stream.
            url_division: division in the URL of listings that belong to the login.
            read_deletions: whether tombstones are wanted.
            is_wanted: whether a division is among those to read.
        """
        self._client = client
        self._settings = settings
        self._states = states
        self._url_division = url_division
        self._read_deletions = read_deletions
        self._is_wanted = is_wanted
        self._refused = RefusedColumns()

    def jobs(self, streams: Iterable[ConfiguredAirbyteStream], divisions: Sequence[Division]) -> list[PartitionTask]:
        """Partitions of the configured streams, those that a deletion log goes before included.

        Streams are spread over the divisions before they are repeated, so that the first calls already teach the
        quotas of all divisions.
        """
        listings: dict[tuple[str, bool], list[ConfiguredAirbyteStream]] = {}
        for stream in streams:
            definition = catalog()[stream.stream.name]
            listings.setdefault((definition.path, definition.per_login), []).append(stream)
        jobs: list[PartitionTask] = []
        logs = {division.code: self._log(listings.values(), division) for division in divisions}
        for (_, per_login), members in listings.items():
            if per_login:
                jobs += map(PartitionTask, self._listings(members, Division(self._url_division), LOGIN))
                continue
            for division in divisions:
                before = logs[division.code]
                names = {member.stream.name for member in members}
                if before is not None and names & set(before.partition.readable):
                    continue
                listed = [PartitionTask(listing) for listing in self._listings(members, division, str(division.code))]
                jobs += listed
                if before is not None and names & set(before.partition.streams):
                    before.after += listed
        return [*(before for before in logs.values() if before is not None), *jobs]

    def _listings(
        self, members: Sequence[ConfiguredAirbyteStream], division: Division, key: str
    ) -> list[ListingPartition]:
        """The listing that streams share in a division, or their stand-ins where those were read before."""
        consumers = [self._consumer(member, key) for member in members]
        if key != LOGIN:
            for consumer in consumers:
                self._follow_move(consumer.state, key, division)
            self._hear_of_deletions(consumers)
        if any(consumer.position.stands_in for consumer in consumers):
            return self._stand_ins(members, division.code, key)
        keeps = self._is_of_wanted_division(consumers[0].definition) if key == LOGIN else None
        stand_ins = partial(self._stand_ins, members, division.code, key) if consumers[0].definition.stand_in else None
        return [self._partition(division.code, consumers, keeps=keeps, stand_ins=stand_ins)]

    def _stand_ins(self, members: Iterable[ConfiguredAirbyteStream], division: int, key: str) -> list[ListingPartition]:
        """A listing for each of some streams that share one which Exact does not know."""
        return [self._partition(division, [self._consumer(member, key, stands_in=True)]) for member in members]

    def _partition(
        self,
        division: int,
        consumers: Sequence[Consumer],
        *,
        keeps: Callable[[Row], bool] | None = None,
        stand_ins: Callable[[], Sequence[ListingPartition]] | None = None,
    ) -> ListingPartition:
        return ListingPartition(
            self._client, self._settings, self._refused, division, consumers, keeps=keeps, stand_ins=stand_ins
        )

    def _hear_of_deletions(self, consumers: Iterable[StreamReader]) -> None:
        """From now on deletions count: what a first run delivers may be deleted before it leaves a state."""
        for consumer in consumers:
            if consumer.hears_of_deletions:
                self._hear(consumer.state, consumer.key, int(self._client.server_clock.now_ms()))

    @staticmethod
    def _hear(state: StreamState, key: str, begin: int | None) -> None:
        """Deletions count from the last reading on, if there was one that does not tell; else from a begin."""
        position = state.positions.get(key, Position())
        if position.deletions_read is None:
            under_way = None if position.under_way is None else position.under_way.began
            state.positions[key] = replace(position, deletions_read=position.seen or under_way or begin)

    def _is_of_wanted_division(self, definition: StreamDefinition) -> Callable[[Row], bool]:
        return lambda row: self._is_wanted(row.get(definition.division_from or "Division"))

    def _consumer(self, configured: ConfiguredAirbyteStream, key: str, *, stands_in: bool = False) -> StreamReader:
        definition = catalog()[configured.stream.name]
        return StreamReader(
            definition=(stands_in and definition.stand_in) or definition,
            columns=selected_columns(definition, configured),
            full=is_full(definition, configured),
            state=self._states[definition.name],
            key=key,
            stands_in=stands_in,
        )

    def _log(self, listings: Iterable[Sequence[ConfiguredAirbyteStream]], division: Division) -> PartitionTask | None:
        """The deletion log of a division, for the streams that have been read there before.

        It feeds the stream that shows it as well, unless that goes on in the midst of an earlier reading.
        """
        if not self._read_deletions:
            return None
        key = str(division.code)
        mourners: list[Consumer] = []
        readers: list[Consumer] = []
        for configured in (member for members in listings for member in members):
            definition = catalog()[configured.stream.name]
            state = self._states[definition.name]
            if definition is deletion_log():
                self._follow_move(state, key, division)
                reader = self._consumer(configured, key)
                readers += [reader] if reader.under_way is None else []
            elif definition.entity_type is not None and not is_full(definition, configured):
                self._follow_move(state, key, division)
                self._hear(state, key, None)
                if state.positions[key].deletions_read is not None:
                    mourners.append(TombstoneReader(definition, state, key, self._client))
        if not mourners:
            return None
        consumers = [*mourners, *readers]
        return PartitionTask(DeletionLog(self._client, self._settings, self._refused, division.code, consumers))

    def _follow_move(self, state: StreamState, key: str, division: Division) -> None:
        """Note the date at which the division came to its database, and give up row versions of an earlier one."""
        position = state.positions.get(key, Position())
        if not division.move_known:
            if position.unwatched is None:
                state.positions[key] = replace(position, unwatched=int(self._client.server_clock.now_ms()))
            return
        if position.has_moved(division.moved):
            logger.warning(
                "Division %s was moved to another database: reading %s again %s",
                division.code,
                state.stream,
                _FROM_THE_BEGINNING if catalog()[state.stream].cursor == "Timestamp" else "from its last Modified.",
            )
            state.positions[key] = position.after_move(division.moved)
        else:
            state.positions[key] = position.with_move(division.moved)


def is_full(definition: StreamDefinition, configured: ConfiguredAirbyteStream) -> bool:
    """Whether a stream is read in full: as configured, or because it has no cursor."""
    return configured.sync_mode is SyncMode.full_refresh or definition.cursor is None


def selected_columns(definition: StreamDefinition, configured: ConfiguredAirbyteStream) -> tuple[str, ...]:
    """Properties of a stream's records: the configured ones, keys and cursors. An empty selection means all."""
    wanted = set((configured.stream.json_schema or {}).get("properties", {}))
    columns = column_order(definition.name, wanted | set(definition.always_read)) if wanted else ()
    return tuple(name for name in columns or column_order(definition.name) if name != DELETED_AT)
