"""The connector as Airbyte sees it: spec, check, discover, read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
    FailureType,
    Status,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api import exact_time
from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import AccessibleDivisions, Division, inaccessible, readable_divisions
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.errors import ApiError
from source_exact_online.api.request import fetch
from source_exact_online.auth.authenticator import ExactAuthenticator
from source_exact_online.catalog.definitions import catalog
from source_exact_online.catalog.stream import ExactStream
from source_exact_online.clock import Clock, SystemClock
from source_exact_online.config import Config, config_error, include_binary, parse_config, stream_groups
from source_exact_online.read.query import Settings
from source_exact_online.state.stream_state import known_divisions, load_states
from source_exact_online.sync.messages import Output
from source_exact_online.sync.planner import Planner, chosen_streams
from source_exact_online.sync.progress import Progress
from source_exact_online.sync.scheduler import Sync

logger = logging.getLogger("airbyte.exact_online")

PROBED_DIVISIONS = 10
"""Divisions that `check` asks one by one; with more, the list of divisions has to do."""


@dataclass(frozen=True, slots=True)
class Divisions:
    """Divisions of a run: those to read, and those asked for that the login cannot read."""

    readable: AccessibleDivisions
    chosen: list[Division]
    missing: list[int]


class SourceExactOnline(AbstractSource):
    """Exact Online as an Airbyte source."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._authenticator: ExactAuthenticator | None = None

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
        groups, binary = stream_groups(config), include_binary(config)
        return [
            ExactStream(definition, binary=binary)
            for definition in catalog().values()
            if groups is None or definition.group in groups
        ]

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, Any]:
        """Ask the API for a token, the divisions, and each of them for a sign of life.

        Returns:
            Whether all is well, and otherwise what is missing, in words for a person.
        """
        settings = parse_config(config, self._clock.now())
        client = self._client(settings, config)
        divisions = self._divisions(client, settings)
        self._remember_user(client)
        problems = [_not_readable(code, divisions.readable) for code in divisions.missing]
        probed = (inaccessible(client, division.code) for division in divisions.chosen[:PROBED_DIVISIONS])
        problems.extend(problem for problem in probed if problem is not None)
        if divisions.readable.warning:
            logger.warning(divisions.readable.warning)
        if not divisions.chosen and not problems:
            problems.append(_nothing_to_read(divisions))
        if problems:
            return False, " ".join(problems)
        logger.info("Divisions to read: %s.", ", ".join(_label(division) for division in divisions.chosen))
        return True, None

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Result of `check_connection` as Airbyte's message."""
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
        """Read the configured streams.

        Raises:
            AirbyteTracedException: nothing could be read, or some streams ended incomplete.
        """
        now = self._clock.now()
        settings = parse_config(config, now)
        chosen = chosen_streams(catalog)
        states = load_states(state, [stream.stream.name for stream in chosen], now)
        client = self._client(settings, config)
        divisions = self._divisions(client, settings, known_divisions(states.values()))
        self._remember_user(client)
        if divisions.readable.warning:
            logger.warning(divisions.readable.warning)
        for code in divisions.missing:
            logger.warning(_not_readable(code, divisions.readable))
        if not divisions.chosen:
            raise config_error(_nothing_to_read(divisions))
        logger.info("Reading %d streams of %s.", len(chosen), ", ".join(_label(one) for one in divisions.chosen))
        wanted = frozenset(division.code for division in divisions.chosen)
        planner = Planner(
            client,
            _settings(settings),
            states,
            anchor=divisions.readable.anchor,
            read_deletions=settings.read_deletions,
            is_wanted=lambda code: code in wanted if settings.divisions else code not in settings.exclude_divisions,
        )
        jobs = planner.jobs(chosen, divisions.chosen)
        progress = Progress(self._clock, client.usage, client.quotas)
        sync = Sync(self._clock, jobs, states, Output(self._clock), progress, workers=settings.num_workers)
        yield from sync.messages()
        if sync.failures:
            raise _incomplete(sync.failures)

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
        self._authenticator = ExactAuthenticator(settings, raw, clock=self._clock)
        return ExactClient(
            settings.base_url,
            self._authenticator,
            self._clock,
            daily_calls_reserve=settings.daily_calls_reserve,
            connections=settings.num_workers,
            longest_quota_wait=settings.quota_wait.total_seconds(),
        )

    def _remember_user(self, client: ExactClient) -> None:
        """Let the token file name the user whose login it holds: once a login, by a call that no quota counts."""
        if self._authenticator is None or not self._authenticator.wants_user:
            return
        me = endpoints().me
        try:
            page = fetch(client, client.url(me.path, None, {"$select": "UserID,FullName"}), me.subject(None))
        except ApiError:
            return  # the name only serves the words of an error that may never come
        user = page.rows[0] if page.rows else {}
        if user.get("UserID") and user.get("FullName"):
            self._authenticator.remember_user(str(user["UserID"]), str(user["FullName"]))

    @staticmethod
    def _divisions(client: ExactClient, settings: Config, known: tuple[int, ...] = ()) -> Divisions:
        asked = tuple(code for code in settings.divisions if code not in settings.exclude_divisions)
        readable = readable_divisions(client, asked, known)
        if not asked:
            found = [one for code, one in sorted(readable.divisions.items()) if code not in settings.exclude_divisions]
            return Divisions(readable, found, [])
        asked_for = {code: readable.divisions.get(code) for code in asked}
        if not readable.complete:
            asked_for = {code: division or Division(code) for code, division in asked_for.items()}
        return Divisions(
            readable,
            [division for division in asked_for.values() if division is not None],
            [code for code, division in asked_for.items() if division is None],
        )


@contextlib.contextmanager
def _naming_the_file(path: str, content: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise config_error(f"The file {path} does not hold {content}: {reason}") from None


def _settings(settings: Config) -> Settings:
    start = settings.start_date
    return Settings(
        lookback_ms=int(settings.lookback.total_seconds() * 1000),
        start=None if start is None else exact_time.first_at_or_after(start),
    )


def _label(division: Division) -> str:
    return f"{division.code} ({division.name})" if division.name else str(division.code)


def _not_readable(code: int, readable: AccessibleDivisions) -> str:
    others = ", ".join(_label(division) for _, division in sorted(readable.divisions.items())[:20])
    return (
        f"Division {code} is not among the administrations this login may read ({others}): correct divisions in the "
        "configuration, or log in again and tick it on Exact's consent screen."
    )


def _nothing_to_read(divisions: Divisions) -> str:
    if divisions.missing:
        return _not_readable(divisions.missing[0], divisions.readable)
    return "exclude_divisions leaves no administration to read."


def _incomplete(failures: Mapping[str, Sequence[AirbyteTracedException]]) -> AirbyteTracedException:
    """The run's one closing error: which streams are incomplete and why the first is."""
    types = {failure.failure_type for reasons in failures.values() for failure in reasons}
    kind = next(
        (kind for kind in (FailureType.config_error, FailureType.system_error) if kind in types),
        FailureType.transient_error,
    )
    first = next(failure for reasons in failures.values() for failure in reasons if failure.failure_type is kind)
    message = f"{len(failures)} streams are incomplete ({', '.join(failures)}). {first.message}"
    return AirbyteTracedException(message=message, internal_message=first.internal_message, failure_type=kind)
