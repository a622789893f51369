"""The DuckDB file: loading it, and what was loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from demo.load import SCHEMA, STREAMS

Row = tuple[object, ...]


class LoadError(Exception):
    """PyAirbyte could not load."""


@dataclass(frozen=True, slots=True)
class Administration:
    """A division as it was loaded."""

    code: int
    name: str
    country: str
    currency: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Rows of one stream that a run fetched, by what had happened to them."""

    stream: str
    new: int
    changed: int
    deleted: int
    unchanged: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.new + self.changed + self.deleted + self.unchanged


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A DuckDB file that PyAirbyte loads."""

    file: Path
    config: Path
    scratch: Path
    """Folder for PyAirbyte's own files."""
    log: Path

    def load(self) -> None:
        """Run PyAirbyte in a process of its own; what it says goes to the log.

        Raises:
            LoadError: it failed; the message tells why.
        """
        folders = {
            "AIRBYTE_PROJECT_DIR": "",
            "AIRBYTE_CACHE_ROOT": "cache",
            "AIRBYTE_TEMP_DIR": "tmp",
            "AIRBYTE_LOGGING_ROOT": "logs",
        }
        for name in folders.values():
            (self.scratch / name).mkdir(parents=True, exist_ok=True)
        environment = os.environ | {variable: str(self.scratch / name) for variable, name in folders.items()}
        command = [sys.executable, "-m", "demo.load", str(self.config), str(self.file)]
        with self.log.open("a", encoding="utf-8") as log:
            ended = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        if ended.returncode:
            last = self.log.read_text(encoding="utf-8").strip().splitlines()[-12:]
            raise LoadError("\n".join(["PyAirbyte could not load the streams:", *last]))

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that only reads. PyAirbyte can write again once it is closed."""
        connection = duckdb.connect(str(self.file), read_only=True)
        try:
            yield connection
        finally:
            connection.close()

    def administrations(self) -> list[Administration]:
        """The divisions, by number."""
        sql = "select Division, Description, trim(Country), trim(Currency) from exact.divisions order by Division"
        with self.open() as connection:
            return [Administration(*row) for row in connection.sql(sql).fetchall()]

    def rows_by_division(self) -> dict[str, dict[int, int]]:
        """Number of rows by stream and division."""
        with self.open() as connection:
            return {
                stream: dict(connection.sql(f"select Division, count(*) from {SCHEMA}.{stream} group by 1").fetchall())
                for stream in STREAMS
            }

    def fetched_since(self, moment: datetime) -> list[Fetched]:
        """What was fetched after a moment (aware), by stream; streams with nothing included."""
        with self.open() as connection:
            return [self._fetched(connection, stream, moment) for stream in STREAMS]

    def answer(self, sql: str) -> tuple[list[str], Sequence[Row]]:
        """Columns and rows of a query."""
        with self.open() as connection:
            result = connection.sql(sql)
            return result.columns, result.fetchall()

    @staticmethod
    def _fetched(connection: duckdb.DuckDBPyConnection, stream: str, moment: datetime) -> Fetched:
        table = f"{SCHEMA}.{stream}"
        has_deletions = "_ab_cdc_deleted_at" in connection.sql(f"from {table} limit 0").columns
        deleted_at = "_ab_cdc_deleted_at" if has_deletions else "null"
        counts = connection.execute(
            f"""
            select
                count(*) filter (where {deleted_at} is null and Created >= $moment),
                count(*) filter (where {deleted_at} is null and Created < $moment and Modified >= $moment),
                count({deleted_at}),
                count(*) filter (where {deleted_at} is null and Modified < $moment)
            from {table}
            where _airbyte_extracted_at >= $moment
            """,
            {"moment": moment.replace(tzinfo=None)},  # PyAirbyte's tables keep UTC without saying so
        ).fetchone()
        return Fetched(stream, *(counts or (0, 0, 0, 0)))
