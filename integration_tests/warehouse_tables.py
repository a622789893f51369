"""The tables that `load` fills, read back, and what they have to hold."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import duckdb
from dlt.common.normalizers.naming.snake_case import NamingConvention

from integration_tests.connector import Record, discovered_streams, stream_schema
from integration_tests.truth import parse_time

SCHEMA = "exact_online"
Rows = dict[tuple[Any, ...], dict[str, Any]]
"""Rows by primary key, with Exact's names of the columns."""

_snake_case = NamingConvention().normalize_identifier


class Tables(Protocol):
    """Tables of one destination."""

    def rows(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Columns and rows of a query."""

    def table(self, stream: str) -> str:
        """The stream's live rows, as they stand behind `from`."""


@dataclass(frozen=True, slots=True)
class DuckDBTables:
    """Tables in a DuckDB file."""

    file: Path

    def rows(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        with closing(duckdb.connect(str(self.file), read_only=True)) as connection:
            result = connection.execute(sql)
            return [column[0] for column in result.description or ()], result.fetchall()

    def table(self, stream: str) -> str:
        return f"{SCHEMA}.{stream}"


@dataclass(frozen=True, slots=True)
class PostgresTables:
    """Tables in a PostgreSQL database."""

    url: str

    def rows(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        import psycopg2

        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return [column[0] for column in cursor.description or ()], cursor.fetchall()

    def table(self, stream: str) -> str:
        return f"{SCHEMA}.{stream}"


@dataclass(frozen=True, slots=True)
class ParquetTables:
    """Tables of Parquet files: of each key's rows the last counts, unless it is a tombstone, as docs/load.md says."""

    folder: Path

    def rows(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        result = duckdb.connect().execute(sql)
        return [column[0] for column in result.description or ()], result.fetchall()

    def table(self, stream: str) -> str:
        schema = stream_schema(stream)["properties"]
        files = f"read_parquet('{self.folder}/{SCHEMA}/{stream}/*.parquet', union_by_name=true)"
        key = ", ".join(map(_snake_case, primary_key(stream)))
        last = f"select * from {files} qualify row_number() over (partition by {key} order by _read_at desc) = 1"
        return f"({last})" + (" where _ab_cdc_deleted_at is null" if "_ab_cdc_deleted_at" in schema else "")


@cache
def _primary_keys() -> dict[str, list[str]]:
    return {
        name: [column for (column,) in stream["source_defined_primary_key"]]
        for name, stream in discovered_streams().items()
    }


def primary_key(stream: str) -> list[str]:
    """Columns of a stream's primary key."""
    return _primary_keys()[stream]


def held(tables: Tables, stream: str) -> Rows:
    """What a table holds: nulls left out, as in records; each key once, each column of the stream."""
    names = {_snake_case(name): name for name in stream_schema(stream)["properties"]}
    columns, rows = tables.rows(f"select * from {tables.table(stream)}")
    assert set(columns) == {*names, "_read_at"}, f"{stream} has other columns: {set(columns) ^ {*names, '_read_at'}}"
    found: Rows = {}
    for row in rows:
        values = {
            names[column]: value
            for column, value in zip(columns, row, strict=True)
            if column in names and value is not None
        }
        key = tuple(values[name] for name in primary_key(stream))
        assert key not in found, f"{stream} has {key} twice"
        found[key] = values
    return found


def as_typed(stream: str, record: Record) -> dict[str, Any]:
    """A record with the values that a table has to hold."""
    properties = stream_schema(stream)["properties"]
    return {name: _typed(properties[name], value) for name, value in record.items() if value is not None}


def _typed(schema: Mapping[str, Any], value: Any) -> Any:
    if schema.get("format") == "date-time":
        return parse_time(value)
    if "number" in schema["type"]:
        return Decimal(str(value)).quantize(Decimal("1e-10"))
    return value


def differences(
    tables: Tables, stream: str, expected: Mapping[Any, Record], ignored: Collection[str] = ()
) -> Iterator[str]:
    """What a table holds other than it should, in words; some columns may be ignored."""
    right = {key: as_typed(stream, record) for key, record in expected.items()}
    found = held(tables, stream)
    for key in right.keys() - found.keys():
        yield f"{stream} {key} is missing"
    for key in found.keys() - right.keys():
        yield f"{stream} {key} is there and should not be"
    for key in right.keys() & found.keys():
        for name in (right[key].keys() | found[key].keys()).difference(ignored):
            if not _same(found[key].get(name), right[key].get(name)):
                yield f"{stream} {key}.{name} is {found[key].get(name)!r} and should be {right[key].get(name)!r}"


def _same(left: Any, right: Any) -> bool:
    """Whether two values are equal, and of one type: a time with a zone is none without."""
    if isinstance(right, dict | list):
        return bool((json.loads(left) if isinstance(left, str) else left) == right)
    if (
        isinstance(left, datetime)
        and isinstance(right, datetime)
        and (left.tzinfo is None) is not (right.tzinfo is None)
    ):
        return False
    return type(left) is type(right) and bool(left == right)
