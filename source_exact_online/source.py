"""The connector as Airbyte sees it: spec, check, discover, read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
    Status,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import closed, current_user
from source_exact_online.api.errors import LoginUnusableError
from source_exact_online.api.rate_limits import Quotas
from source_exact_online.auth.authenticator import ExactAuthenticator
from source_exact_online.catalog.offer import offered
from source_exact_online.catalog.stream import ExactStream
from source_exact_online.clock import Clock, SystemClock
from source_exact_online.config import Config, config_error, include_binary, parse_config, stream_groups
from source_exact_online.read.records import RecordBatch
from source_exact_online.state.stream_state import known_divisions, load_states
from source_exact_online.sync.divisions import choose_divisions, label
from source_exact_online.sync.messages import Messages
from source_exact_online.sync.planner import Planner, chosen_streams
from source_exact_online.sync.progress import Progress
from source_exact_online.sync.scheduler import Scheduler

logger = logging.getLogger("airbyte.exact_online")

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
            return AbstractSource.read_config(config_path)

    @classmethod
    def read_catalog(cls, catalog_path: str) -> ConfiguredAirbyteCatalog:
        """Read a configured catalogue.

        Raises:
            AirbyteTracedException: the file holds none.
        """
        with _naming_the_file(catalog_path, "a configured catalogue"):
            return super().read_catalog(catalog_path)

    @classmethod
    def read_state(cls, state_path: str) -> list[AirbyteStateMessage]:
        """Read the state of an earlier run.

        Raises:
            AirbyteTracedException: the file holds none.
        """
        with _naming_the_file(state_path, "a state"):
            return super().read_state(state_path)

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """Return the streams to offer; needs neither token nor network."""
        binary = include_binary(config)
        return [ExactStream(definition, binary=binary) for definition in offered(stream_groups(config))]

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, Any]:
        """Ask the API for a token, the divisions, and each of them for a sign of life.

        Returns:
            Whether all is well, and otherwise what is missing, in words for a person.
        """
        parsed = parse_config(config, self._clock.now())
        client = self._client(replace(parsed, maintenance_wait=timedelta()), config)  # a person waits for the result
        divisions = choose_divisions(client, parsed)
        self._remember_user(client)
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
    ) -> Iterator[AirbyteMessage | RecordBatch]:
        """Read the configured streams, the records of a page as ready lines.

        Raises:
            AirbyteTracedException: nothing can be read; while iterating, some streams ended incomplete.
        """
        now = self._clock.now()
        parsed = parse_config(config, now)
        streams = chosen_streams(catalog)
        states = load_states(state, [stream.stream.name for stream in streams], now)
        client = self._client(parsed, config)
        self._quotas = client.quotas
        divisions = choose_divisions(client, parsed, known_divisions(states.values()))
        self._remember_user(client)
        for warning in divisions.warnings:
            logger.warning(warning)
        if not divisions.chosen:
            raise config_error(divisions.why_none)
        logger.info("Reading %d streams of %s.", len(streams), ", ".join(map(label, divisions.chosen)))
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
        return scheduler.run()

    def calls_left(self) -> tuple[int, int] | None:
        """Return the calls that are left in this minute and on this day where the fewest are; None = not known yet."""
        return self._quotas.fewest_left() if self._quotas is not None else None

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

    def _remember_user(self, client: ExactClient) -> None:
        """Let the token file name the user whose login it holds: once a login, by a call that is not counted."""
        if self._authenticator is None or not self._authenticator.wants_user:
            return
        try:
            user = current_user(client)
        except LoginUnusableError:
            raise
        except AirbyteTracedException:
            return  # the name only serves the words of an error that may never come
        if user.user_id and user.full_name:
            self._authenticator.remember_user(user.user_id, user.full_name)


@contextlib.contextmanager
def _naming_the_file(path: str, content: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise config_error(f"The file {path} does not hold {content}: {reason}") from None
