"""dlt's view of what was read: a resource for each stream, with types, keys and the state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema import Schema
from dlt.extract import DltResource, DltSource

from source_exact_online.api.rate_limits import CallsUsed
from source_exact_online.catalog.column_types import ColumnType, column_type
from source_exact_online.catalog.definitions import StreamDefinition
from source_exact_online.catalog.schemas import DELETED_AT, schema
from source_exact_online.load.arrow import DECIMAL_PRECISION, DECIMAL_SCALE, READ_AT
from source_exact_online.load.reading import Part, State, is_snapshot

SOURCE = "exact_online"
"""Name of the dlt source, under which dlt keeps the state."""

CALLS = "_exact_calls"
"""Name of the table that says how many calls of Exact's quota are used."""

_STREAMS = "streams"
"""Key of the streams' states in the source's state."""

_DATA_TYPES: Mapping[ColumnType, Mapping[str, Any]] = {
    ColumnType.TEXT: {"data_type": "text"},
    ColumnType.INTEGER: {"data_type": "bigint"},
    ColumnType.BIG_INTEGER: {"data_type": "bigint"},
    ColumnType.NUMBER: {"data_type": "decimal", "precision": DECIMAL_PRECISION, "scale": DECIMAL_SCALE},
    ColumnType.BOOLEAN: {"data_type": "bool"},
    ColumnType.INSTANT: {"data_type": "timestamp", "timezone": True},
    ColumnType.DATE: {"data_type": "timestamp", "timezone": False},
    ColumnType.OBJECT: {"data_type": "json"},
}


def states_in(pipeline_state: Mapping[str, Any]) -> dict[str, State]:
    """Return the states by stream that the state of a dlt pipeline holds."""
    return dict(pipeline_state.get("sources", {}).get(SOURCE, {}).get(_STREAMS, {}))


def current_states() -> dict[str, State]:
    """Return the states by stream, from within a resource that dlt runs."""
    return dict(dlt.current.source_state().get(_STREAMS, {}))


def streams_with_another_key(schema: Schema | None, streams: Iterable[StreamDefinition]) -> frozenset[str]:
    """Return the names of streams whose tables have another primary key than the stream: `full_columns` changes some.

    Rows of the two keys cannot be told to be the same, and columns of the table's key take no null.

    Args:
        schema: of the tables, as dlt knows it; None if there are none.
        streams: to look at.
    """
    if schema is None:
        return frozenset()
    found = set()
    for stream in streams:
        columns = schema.tables.get(schema.naming.normalize_table_identifier(stream.name), {}).get("columns", {})
        stored = {name for name, column in columns.items() if column.get("primary_key")}
        if stored and stored != {schema.naming.normalize_identifier(name) for name in stream.primary_key}:
            found.add(stream.name)
    return frozenset(found)


def forgetting(streams: Collection[str]) -> DltSource:
    """Return a source that brings no rows, and drops the states of streams: they are read from the start then.

    Args:
        streams: their names.
    """

    def forget() -> Iterator[pa.Table]:
        states = dlt.current.source_state().get(_STREAMS, {})
        for name in streams:
            states.pop(name, None)
        yield from ()

    @dlt.source(name=SOURCE)  # type: ignore[untyped-decorator]
    def source() -> list[DltResource]:
        return [dlt.resource(forget, name="forgotten")]

    return source()


def replaces_by_division(pipeline: dlt.Pipeline) -> bool:
    """Return whether a pipeline's destination can replace the rows of single divisions; files can not."""
    return "delete-insert" in (pipeline.destination.capabilities().supported_merge_strategies or ())


def package(parts: Sequence[Part], calls: Mapping[int, CallsUsed] | None = None, *, binary: bool) -> DltSource:
    """Return the source of one load package.

    Args:
        parts: what it holds.
        calls: what is used of the day's calls, by division.
        binary: whether pictures and files are columns.
    """

    @dlt.source(name=SOURCE)  # type: ignore[untyped-decorator]
    def source() -> list[DltResource]:
        found = [resource(part.stream, partial(_same, part), binary=binary) for part in parts]
        return [*found, _calls(calls)] if calls else found

    return source()


def _calls(calls: Mapping[int, CallsUsed]) -> DltResource:
    """Return the resource of a table with a row a division and day, which the last package of the day has written."""
    rows = [{"division": division, **asdict(one)} for division, one in calls.items()]
    return dlt.resource(rows, name=CALLS, primary_key=["division", "resets_at"], write_disposition="merge")


def _same(part: Part) -> Part:
    return part


def resource(stream: StreamDefinition, part: Callable[[], Part | None], *, binary: bool) -> DltResource:
    """Return the resource of a stream.

    Args:
        stream: the stream.
        part: its rows and its state; asked for when dlt begins with the resource.
        binary: whether pictures and files are columns.
    """

    def rows() -> Iterator[pa.Table]:
        found = part()
        # What is set here outlives the run: where nothing replaces the table any more, that has to be said too, as dlt
        # empties the table of a resource that replaces and brings nothing.
        yield dlt.mark.with_hints([], dlt.mark.make_hints(**_hints_of(found)))
        if found is None:
            return
        if found.spool is not None:
            yield from found.spool.tables(distinct=found.replaces)
        if found.state is not None:
            # Kept only where a resource sets it. It is loaded in the same package as the rows.
            dlt.current.source_state().setdefault(_STREAMS, {})[stream.name] = found.state

    return dlt.resource(
        rows,
        name=stream.name,
        primary_key=list(stream.primary_key),
        columns=hints(schema(stream.schema, binary=binary)["properties"], merged=not is_snapshot(stream)),
        write_disposition="merge",
    )


def _hints_of(part: Part | None) -> dict[str, Any]:
    """Return hints that hold for what there is of a stream this time. To be called within a pipeline that runs."""
    found: dict[str, Any] = {"write_disposition": _write_disposition(part)}
    if found["write_disposition"] == "merge":
        found["additional_table_hints"] = {"x-merge-destination-scope": None}  # that of an earlier run
    if part is None:
        return found
    if part.spool is not None and dlt.current.pipeline().destination.destination_type == "dlt.destinations.postgres":
        # dlt's CSV files, its default for PostgreSQL, make null of an empty text; its Parquet files, which go by ADBC,
        # have to have rows.
        found["file_format"] = "parquet" if part.spool.rows else "csv"
    return found


def _write_disposition(part: Part | None) -> str | dict[str, str]:
    if part is None or not part.replaces:
        return "merge"
    if part.divisions is None:
        return "replace"
    divisions = ", ".join(map(str, sorted(part.divisions)))
    return {
        "disposition": "merge",
        "destination_scope": f"division IN ({divisions})" if divisions else "1 = 0",
    }


def hints(properties: Mapping[str, Mapping[str, Any]], *, merged: bool) -> dict[str, dict[str, Any]]:
    """Return dlt's hints for the columns of a stream.

    Args:
        properties: their JSON schemas by name.
        merged: whether rows are merged into the table. Of two versions of a row the one that was read last counts, and
            a tombstone removes the row.
    """
    found = {name: {"name": name, **_DATA_TYPES[column_type(name, value)]} for name, value in properties.items()}
    found[READ_AT] = {"name": READ_AT, **_DATA_TYPES[ColumnType.INSTANT]}
    if merged:
        found[READ_AT]["dedup_sort"] = "desc"
        if DELETED_AT in found:
            found[DELETED_AT]["hard_delete"] = True
    return found
