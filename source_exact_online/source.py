"""The connector as Airbyte sees it: spec, check, discover, read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    Status,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import CurrentUser, closed, current_user
from source_exact_online.api.errors import LoginUnusableError
from source_exact_online.api.rate_limits import CallsUsed, Quotas
from source_exact_online.auth.authenticator import ExactAuthenticator
from source_exact_online.catalog.configured import understood_catalog
from source_exact_online.catalog.definitions import StreamDefinition
from source_exact_online.catalog.offer import offered
from source_exact_online.catalog.stream import ExactStream
from source_exact_online.clock import Clock, SystemClock
from source_exact_online.config import Config, config_error, full_columns, include_binary, parse_config, stream_groups
from source_exact_online.input_files import EmptyFileError, read_json
from source_exact_online.read.records import RecordBatch
from source_exact_online.state.state_file import understood_state
from source_exact_online.state.stream_state import known_divisions, load_states
from source_exact_online.sync.divisions import choose_divisions, label
from source_exact_online.sync.messages import Messages
from source_exact_online.sync.planner import Planner, chosen_streams
from source_exact_online.sync.progress import Progress
from source_exact_online.sync.scheduler import Scheduler
from source_exact_online.words import counted

logger = logging.getLogger("airbyte.exact_online")

_INSTEAD = {
    "a configuration": " `source-exact-online login` writes one.",
    "a configured catalogue": " `source-exact-online catalog --streams core > catalog.json` prints one.",
    "a state": " Leave --state out to read everything.",
}
"""What to do where a file is empty."""

PROBED_DIVISIONS = 10
"""Divisions that `check` asks one by one; with more, the list of divisions has to do."""


class SourceExactOnline(AbstractSource):
    """Exact Online as an Airbyte source.

    Args:
        clock: time source; None = the real time.
        on_control: takes a configuration with new tokens; None = it goes to the platform, as a message on stdout.
    """

    def __init__(
        self, clock: Clock | None = None, on_control: Callable[[MutableMapping[str, Any]], None] | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_control = on_control
        self._authenticator: ExactAuthenticator | None = None
        self._quotas: Quotas | None = None
        self._scheduler: Scheduler | None = None

    @property
    def name(self) -> str:
        """Name in log lines."""
        return "source-exact-online"

    @staticmethod
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        """Read a configuration.

        Raises:
            AirbyteTracedException: the file holds none.
        """
        with _naming_the_file(config_path, "a configuration"):
            config = read_json(config_path)
            if not isinstance(config, MutableMapping):
                raise ValueError("it must be an object in curly brackets")
            return config

    @classmethod
    def read_catalog(cls, catalog_path: str) -> ConfiguredAirbyteCatalog:
        """Read a configured catalogue, or what can be understood as one.

        Raises:
            AirbyteTracedException: the file holds none.
        """
        with _naming_the_file(catalog_path, "a configured catalogue"):
            document, notes = understood_catalog(read_json(catalog_path, "CATALOG"))
            configured = ConfiguredAirbyteCatalogSerializer.load(document)
        for note in notes:
            logger.warning(note)
        return configured

    @classmethod
    def read_state(cls, state_path: str) -> list[AirbyteStateMessage]:
        """Read the state of an earlier run; no file is no state.

        Raises:
            AirbyteTracedException: the file holds none.
        """
        if not state_path:
            return []
        with _naming_the_file(state_path, "a state"):
            return [AirbyteStateMessageSerializer.load(one) for one in understood_state(read_json(state_path, "STATE"))]

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """Return the streams to offer; needs neither token nor network."""
        binary = include_binary(config)
        definitions = _offered(stream_groups(config), full_columns(config))
        return [ExactStream(definition, binary=binary) for definition in definitions]

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, Any]:
        """Ask the API for a token, the divisions, and each of them for a sign of life.

        Returns:
            Whether all is well, and otherwise what is missing, in words for a person.
        """
        parsed = parse_config(config, self._clock.now())
        _offered(parsed.stream_groups, parsed.full_columns)
        client = self._client(replace(parsed, maintenance_wait=timedelta()), config)  # a person waits for the result
        divisions = choose_divisions(client, parsed)
        if self._authenticator is not None and self._authenticator.wants_user:
            self._remember_user(divisions.accessible.user or _user(client))
        problems = [divisions.why_missing(code) for code in divisions.missing]
        probed = (closed(client, division.code) for division in divisions.chosen[:PROBED_DIVISIONS])
        problems.extend(problem for problem in probed if problem is not None)
        if divisions.accessible.warning:
            logger.warning(divisions.accessible.warning)
        if not divisions.chosen and not problems:
            problems.append(divisions.why_none)
        if problems:
            return False, " ".join(problems)
        logger.info("Divisions to read: %s.", ", ".join(map(label, divisions.chosen)))
        return True, None

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Return the result of `check_connection` as Airbyte's message."""
        succeeded, problem = self.check_connection(logger, config)
        if succeeded:
            return AirbyteConnectionStatus(status=Status.SUCCEEDED)
        return AirbyteConnectionStatus(status=Status.FAILED, message=str(problem))

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """Read the configured streams, a message object a record.

        Raises:
            AirbyteTracedException: nothing could be read, or some streams ended incomplete.
        """
        for message in self.read_batches(config, catalog, state):
            if isinstance(message, RecordBatch):
                yield from message.messages()
            else:
                yield message

    def read_batches(
        self,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
        known: Iterable[int] = (),
    ) -> Iterator[AirbyteMessage | RecordBatch]:
        """Read the configured streams, the records of a page as ready lines.

        Args:
            config: of the user.
            catalog: what to read.
            state: where to go on.
            known: divisions that were read before, beside those that the state tells of.

        Raises:
            AirbyteTracedException: nothing can be read; while iterating, some streams ended incomplete.
        """
        now = self._clock.now()
        parsed = parse_config(config, now)
        _offered(parsed.stream_groups, parsed.full_columns)
        streams = chosen_streams(catalog)
        states = load_states(state, [stream.stream.name for stream in streams], now)
        client = self._client(parsed, config)
        self._quotas = client.quotas
        divisions = choose_divisions(client, parsed, tuple(sorted({*known, *known_divisions(states.values())})))
        user = divisions.accessible.user or _user(client)
        self._remember_user(user)
        _set_clock(client, user)
        for warning in divisions.warnings:
            logger.warning(warning)
        if not divisions.chosen:
            raise config_error(divisions.why_none)
        logger.info("Reading %s of %s.", counted(len(streams), "stream"), ", ".join(map(label, divisions.chosen)))
        wanted = frozenset(division.code for division in divisions.chosen)
        planner = Planner(
            client,
            parsed,
            states,
            url_division=divisions.accessible.url_division,
            is_wanted=lambda code: code in wanted if parsed.divisions else code not in parsed.exclude_divisions,
        )
        plan = planner.plan(streams, divisions.chosen)
        scheduler = Scheduler(
            self._clock,
            plan.tasks,
            states,
            Messages(self._clock),
            Progress(self._clock, client.usage, client.quotas),
            workers=parsed.num_workers,
            positions=plan.positions,
            columns=plan.columns,
        )
        self._scheduler = scheduler
        return scheduler.run()

    def divisions_read(self, stream: str) -> frozenset[int]:
        """Return the divisions in which this run has read a stream to its end so far."""
        return self._scheduler.divisions_read(stream) if self._scheduler is not None else frozenset()

    def divisions_skipped(self, stream: str) -> frozenset[int]:
        """Return the divisions in which this run could not read a stream, though the stream may be complete."""
        return self._scheduler.divisions_skipped(stream) if self._scheduler is not None else frozenset()

    def calls_left(self) -> tuple[int, int] | None:
        """Return the calls that are left in this minute and on this day where the fewest are; None = not known yet."""
        return self._quotas.fewest_left() if self._quotas is not None else None

    def calls_used(self) -> dict[int, CallsUsed]:
        """Return how many of this day's calls are used, by division; empty before Exact has told of any."""
        return self._quotas.used() if self._quotas is not None else {}

    def shutdown(self) -> None:
        """Let a token refresh that is under way finish, so that its answer is not lost when the process ends.

        Whoever merely waits is woken: nothing is lost there.
        """
        if isinstance(self._clock, SystemClock):
            self._clock.interrupt()
        if self._authenticator is not None:
            self._authenticator.shutdown()

    def _client(self, settings: Config, config: Mapping[str, Any]) -> ExactClient:
        raw = cast(MutableMapping[str, Any], config)
        self._authenticator = ExactAuthenticator(settings, raw, clock=self._clock, on_control=self._on_control)
        return ExactClient(
            settings.base_url,
            self._authenticator,
            self._clock,
            daily_calls_reserve=settings.daily_calls_reserve,
            connections=settings.num_workers,
            longest_quota_wait=settings.quota_wait.total_seconds(),
            longest_outage=settings.maintenance_wait.total_seconds(),
        )

    def _remember_user(self, user: CurrentUser | None) -> None:
        """Let the token file name the user whose login it holds: once a login."""
        if user is None or self._authenticator is None or not self._authenticator.wants_user:
            return
        if user.user_id and user.full_name:
            self._authenticator.remember_user(user.user_id, user.full_name)


def _offered(groups: frozenset[str], full: frozenset[str]) -> list[StreamDefinition]:
    """Return the streams to offer.

    Raises:
        AirbyteTracedException: full_columns names one that does not exist.
    """
    try:
        return offered(groups, full)
    except ValueError as error:
        raise config_error(f"full_columns: {error}") from None


def _user(client: ExactClient) -> CurrentUser | None:
    """Return the user of the login, by a call that is not counted; None where Exact does not tell for now.

    Raises:
        LoginUnusableError: the login does not work at all.
    """
    try:
        return current_user(client)
    except LoginUnusableError:
        raise
    except AirbyteTracedException:
        return None


def _set_clock(client: ExactClient, user: CurrentUser | None) -> None:
    """Let a run read and write times by the site's own clock. Warn where that is not the one known of Exact."""
    if user is None:
        logger.warning("Exact Online did not tell its clock: that of %s is assumed.", client.wall_clock.zone)
    elif user.clock != client.wall_clock:
        logger.warning(
            "The clock of %s is not that of %s but of %s: Created, Modified and other times are converted from there.",
            client.base_url,
            client.wall_clock.zone,
            user.clock.zone,
        )
        client.wall_clock = user.clock


@contextlib.contextmanager
def _naming_the_file(path: str, content: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except EmptyFileError:
        raise config_error(f"The file {path} is empty: it should hold {content}.{_INSTEAD.get(content, '')}") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise config_error(f"The file {path} does not hold {content}: {reason}.") from None
