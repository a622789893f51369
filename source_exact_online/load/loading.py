"""One load: read with the connector, write with dlt, package by package."""

from __future__ import annotations

import errno
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import dlt
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.exceptions import DltException, MissingDependencyException
from dlt.common.schema import Schema
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from source_exact_online.api.rate_limits import CallsUsed
from source_exact_online.catalog.offer import named
from source_exact_online.config import full_columns, include_binary, stream_groups
from source_exact_online.load.config_file import LoadConfig
from source_exact_online.load.destination import DATASET, Target, target
from source_exact_online.load.errors import LoadError
from source_exact_online.load.reading import Limits, Part, Reading
from source_exact_online.load.resources import (
    SOURCE,
    forgetting,
    package,
    replaces_by_division,
    states_in,
    streams_with_another_key,
)
from source_exact_online.load.scratch import scratch_folder
from source_exact_online.load.screen import Screen, ScreenLog
from source_exact_online.load.summary import Tally
from source_exact_online.source import SourceExactOnline
from source_exact_online.words import about_minutes, counted

_FULL = (errno.ENOSPC, errno.EDQUOT)

PIPELINE = "exact_online"
"""Name of dlt's pipeline, under which the destination keeps the state."""


def load(config: Path, to: str | None, streams: str, screen: Screen, *, full: bool) -> tuple[Tally, Target]:
    """Load streams into a destination.

    Rows are loaded together with the state that they prove, and the destination holds the only copy of the state. So
    a run that dies at any moment is taken up by the next one, on any machine.

    Args:
        config: configuration file.
        to: see `target`.
        streams: see `selected`.
        screen: shows how it is getting on.
        full: read everything anew.

    Returns:
        What was loaded, and where to.

    Raises:
        LoadError: it cannot begin, or the destination fails.
    """
    _show_log(screen)
    try:
        login = LoadConfig.read(config)
        chosen = named(streams, stream_groups(login.raw), full_columns(login.raw))
    except (AirbyteTracedException, ValueError) as error:
        raise LoadError(str(error)) from None
    if not chosen:
        raise LoadError(
            "None of these streams is in a group that the configuration's stream_groups name: say --streams all."
        )
    goal = target(to, config)
    source = SourceExactOnline(on_control=login.keep)
    tally = Tally([one.name for one in chosen])
    try:
        with goal.lock() as check_lock, scratch_folder() as scratch:
            pipeline = _pipeline(goal, scratch)
            login.announce()
            recreated = streams_with_another_key(_schema(pipeline), chosen)
            if full and goal.replaces_at_once:
                recreated |= _dropped_by_hand(pipeline, goal, [one.name for one in chosen])
            reading = Reading(
                source,
                login.raw,
                chosen,
                states_in(pipeline.state),
                scratch,
                binary=include_binary(login.raw),
                full=full,
                anew=recreated,
                by_division=replaces_by_division(pipeline),
            )
            reading.on_rows = lambda: screen.progress(lambda: _progress(reading, source))
            with closing(reading.packages(Limits())) as packages:
                for parts in packages:
                    if parts:
                        screen.note(f"Loading {counted(sum(_rows(part) for part in parts), 'row')} ...")
                        check_lock()
                        _load(pipeline, goal, parts, recreated, source.calls_used(), binary=include_binary(login.raw))
                        _count(tally, parts)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        folder = tempfile.gettempdir()
        raise LoadError(
            f"Rows cannot be kept in {folder} until they are loaded: {error.strerror or error}. TMPDIR names another "
            "folder. What was loaded stays; the next load goes on from there."
        ) from error
    finally:
        source.shutdown()
    tally.failures, tally.error = reading.failures, reading.error
    return tally, goal


def _pipeline(goal: Target, scratch: Path) -> dlt.Pipeline:
    """Return a pipeline that knows what the destination holds, and leaves nothing on this machine."""
    with _problems_of(goal):
        pipeline = dlt.pipeline(
            PIPELINE, destination=goal.destination, dataset_name=DATASET, pipelines_dir=str(scratch / "dlt")
        )
        pipeline.sync_destination()
    return pipeline


def _schema(pipeline: dlt.Pipeline) -> Schema | None:
    """Return the schema of the tables; None before the first load."""
    return pipeline.schemas.get(SOURCE)


def _dropped_by_hand(pipeline: dlt.Pipeline, goal: Target, streams: Sequence[str]) -> frozenset[str]:
    """Return the streams whose tables dlt has made, and which are not there any more."""
    schema = _schema(pipeline)
    if schema is None:
        return frozenset()
    tables = {schema.naming.normalize_table_identifier(name): name for name in streams}
    made = [name for name in schema.data_table_names(seen_data_only=True) if name in tables]
    with _problems_of(goal), pipeline.destination_client() as client:
        return frozenset(tables[name] for name, columns in client.get_storage_tables(made) if not columns)


def _load(
    pipeline: dlt.Pipeline,
    goal: Target,
    parts: Sequence[Part],
    recreated: frozenset[str],
    calls: Mapping[int, CallsUsed],
    *,
    binary: bool,
) -> None:
    """Load a package.

    Where a table is empty for a moment, the state of its stream is dropped before, in a package of its own: if the run
    dies then, the next one reads the stream from the start.

    Args:
        pipeline: what loads.
        goal: where to.
        parts: of the package.
        recreated: names of streams whose tables are dropped and made anew.
        calls: what is used of the day's calls, by division.
        binary: whether pictures and files are columns.
    """
    dropping = [part for part in parts if part.stream.name in recreated]
    others = [part for part in parts if part.stream.name not in recreated]
    emptied = [part for part in parts if part.replaces and (part in dropping or not goal.replaces_at_once)]
    with _problems_of(goal):
        forgotten = {part.stream.name for part in emptied} & states_in(pipeline.state).keys()
        if forgotten:
            pipeline.run(forgetting(forgotten))
        if dropping:
            if goal.replaces_at_once:
                _drop_staging_tables(pipeline, [part.stream.name for part in dropping])
            pipeline.run(package(dropping, binary=binary), refresh="drop_resources")
        if others:
            pipeline.run(package(others, calls, binary=binary))


def _drop_staging_tables(pipeline: dlt.Pipeline, names: Sequence[str]) -> None:
    """Drop the staging tables of streams. dlt does that after it has dropped the tables, and knows of both by these."""
    with pipeline.sql_client() as client, client.with_staging_dataset():
        if client.has_dataset():
            client.drop_tables(*[pipeline.default_schema.naming.normalize_table_identifier(name) for name in names])


def _count(tally: Tally, parts: Sequence[Part]) -> None:
    for part in parts:
        if part.spool is not None:
            tally.rows[part.stream.name] += part.spool.rows - part.spool.deleted
            tally.deleted[part.stream.name] += part.spool.deleted


def _rows(part: Part) -> int:
    return part.spool.rows if part.spool is not None else 0


def _progress(reading: Reading, source: SourceExactOnline) -> list[str]:
    parts = [counted(reading.rows, "row"), f"{reading.complete} of {counted(reading.streams, 'stream')}"]
    seconds, calls = source.seconds_left(), source.calls_left()
    if seconds is not None:
        parts.append(f"~{about_minutes(seconds)} left")
    if calls is not None:
        parts.append(f"{counted(calls[0], 'call')} left, {calls[1]:,} today")
    return parts


def _show_log(screen: Screen) -> None:
    """Let the connector's log lines go to the screen instead of stdout."""
    for logger in (logging.getLogger(), logging.getLogger("airbyte")):
        logger.handlers.clear()
    root = logging.getLogger()
    root.addHandler(ScreenLog(screen, filter_secrets))


@contextmanager
def _problems_of(goal: Target) -> Iterator[None]:
    """Turn what dlt and the database complain about into a sentence.

    Raises:
        LoadError: something went wrong.
    """
    try:
        yield
    except DltException as error:
        hint = " If its table was dropped by hand, --full makes it anew." if _misses_a_table(error) else ""
        raise LoadError(filter_secrets(f"{goal.place} cannot be loaded: {_reason(error)}") + hint) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error of dlt's, and what has caused it, the first cause last."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = getattr(found, "exception", None) or found.__cause__ or found.__context__


def _misses_a_table(error: BaseException) -> bool:
    return any(isinstance(one, DatabaseUndefinedRelation) for one in _causes(error))


def _reason(error: BaseException) -> str:
    """Return the cause of an error of dlt's, in the first line of its own words."""
    found = error
    for found in _causes(error):
        if isinstance(found, MissingDependencyException | ConfigFieldMissingException):
            break
    return " ".join(str(found).split())[:300]
