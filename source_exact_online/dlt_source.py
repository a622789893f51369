"""Exact Online as a dlt source, for people who have a dlt pipeline of their own; needs the extra `[load]`.

    import dlt
    from source_exact_online.dlt_source import exact_online

    pipeline = dlt.pipeline("books", destination="bigquery", dataset_name="exact_online")
    source = exact_online("config.json", streams=["accounts", "transaction_lines"])
    pipeline.run(source)
    assert not source.failures, source.failures

`source-exact-online load` does the same in several packages, so that a long first load survives its death. A run of
this source is one package: all of it, or nothing.

What a pipeline of one's own has to see to itself, so that no rows are lost:

* Runs into one dataset must not overlap, on whatever machines.
* A run that died leaves its package in the pipeline's working directory, and the next run there loads it. If another
  machine goes on instead, abort the package before (`pipeline.abort_packages()`), or use a fresh ``pipelines_dir``.
* After the database was restored from a backup, delete the pipeline's working directory: it holds a newer state.
* dlt empties tables before it replaces them, unless the destination has ``replace_strategy="insert-from-staging"``.
  Without it, a run with `full` that died has to be made again with `full`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, MutableMapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dlt
from dlt.extract import DltResource, DltSource

from source_exact_online.catalog.definitions import StreamDefinition
from source_exact_online.catalog.offer import named
from source_exact_online.config import full_columns, include_binary, stream_groups
from source_exact_online.load.config_file import LoadConfig
from source_exact_online.load.errors import LoadError
from source_exact_online.load.reading import Part, Reading
from source_exact_online.load.resources import (
    SOURCE,
    current_states,
    replaces_by_division,
    resource,
    streams_with_another_key,
)
from source_exact_online.load.scratch import scratch_folder
from source_exact_online.source import SourceExactOnline

logger = logging.getLogger("airbyte.exact_online")


class ExactOnlineSource(DltSource):  # type: ignore[misc]
    """The source, and how its last run went.

    Attributes:
        failures: why streams are incomplete after a run, by stream. What was read of them is loaded, and the next run
            goes on from there.
    """

    failures: dict[str, str]


def exact_online(
    config: str | os.PathLike[str] | MutableMapping[str, Any],
    streams: str | Iterable[str] = "core",
    *,
    full: bool = False,
) -> ExactOnlineSource:
    """Return the source: a resource for each stream.

    Rows are merged by primary key, tombstones remove them; streams that are read whole each time replace their tables
    once they are complete. The state is dlt's, in the destination.

    Args:
        config: path of the configuration file, beside which a token file is kept unless it names one, or the
            configuration itself, which has to name ``credentials.token_file`` then.
        streams: "core", "all", or names.
        full: read everything anew, and replace the tables once each is complete.

    Raises:
        AirbyteTracedException: the configuration cannot be used.
        ValueError: a name is none of a stream.
    """
    login = LoadConfig.of(config) if isinstance(config, MutableMapping) else LoadConfig.read(Path(config))
    login.announce()
    names = streams if isinstance(streams, str) else ",".join(streams)
    chosen = named(names, stream_groups(login.raw), full_columns(login.raw))
    run = _Run(login, chosen, full=full)

    @dlt.source(name=SOURCE, _impl_cls=ExactOnlineSource)  # type: ignore[untyped-decorator]
    def source() -> list[DltResource]:
        return [
            resource(one, lambda name=one.name: run.part(name), binary=include_binary(login.raw))  # type: ignore[misc]
            for one in chosen
        ]

    made: ExactOnlineSource = source()
    made.failures = run.failures
    return made


class _Run:
    """Reads all streams when dlt asks for the first, as the connector reads them side by side; rows wait on disk."""

    def __init__(self, login: LoadConfig, chosen: list[StreamDefinition], *, full: bool) -> None:
        self._login = login
        self._chosen = chosen
        self._full = full
        self._waiting: dict[str, Part] | None = None
        self._asked: set[str] = set()
        self._scratch = ExitStack()
        self.failures: dict[str, str] = {}

    def part(self, name: str) -> Part | None:
        """Return what there is of a stream. Asked for a second time, by another run of the pipeline, read again."""
        if self._waiting is None or name in self._asked:
            self._read()
        self._asked.add(name)
        return (self._waiting or {}).pop(name, None)

    def _read(self) -> None:
        moved = sorted(streams_with_another_key(dlt.current.source_schema(), self._chosen))
        if moved:
            raise LoadError(
                f"The tables {', '.join(moved)} have another primary key, as full_columns has changed: run once with "
                f'exact_online(..., streams={moved}, full=True) and pipeline.run(source, refresh="drop_resources").'
            )
        self._scratch.close()
        folder = self._scratch.enter_context(scratch_folder())
        self._asked = set()
        source = SourceExactOnline(on_control=self._login.keep)
        reading = Reading(
            source,
            self._login.raw,
            self._chosen,
            current_states(),
            folder,
            binary=include_binary(self._login.raw),
            full=self._full,
            by_division=replaces_by_division(dlt.current.pipeline()),
        )
        try:
            self._waiting = {part.stream.name: part for parts in reading.packages(None) for part in parts}
        finally:
            source.shutdown()
        self.failures.clear()
        self.failures.update(reading.failures)
        if reading.error is not None and not self._waiting:
            raise LoadError(reading.error)
        if reading.error is not None:
            logger.error("%s What was read is loaded; the next run goes on from there.", reading.error)
