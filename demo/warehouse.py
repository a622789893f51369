"""The DuckDB file: loading it with `source-exact-online load`, and what was loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from demo.fetched import Fetched, Keys, Row
from source_exact_online.catalog.definitions import catalog

SCHEMA = "exact_online"
"""Schema of the tables that `load` makes."""

STREAMS = tuple(name for name, stream in catalog().items() if stream.core)


class LoadError(Exception):
    """The load failed."""


@dataclass(frozen=True, slots=True)
class Administration:
    """A division as it was loaded."""

    code: int
    name: str
    country: str
    currency: str


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A DuckDB file that is loaded."""

    file: Path
    config: Path
    log: Path

    def load(self) -> None:
        """Run `source-exact-online load` in a process of its own; what it says goes to the log.

        Raises:
            LoadError: it failed; the message tells why.
        """
        command = [Path(sys.executable).with_name("source-exact-online"), "load"]
        arguments = ["--config", self.config, "--to", self.file]
        with self.log.open("a", encoding="utf-8") as log:
            process = subprocess.Popen([*command, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if code:
            last = self.log.read_text(encoding="utf-8").strip().splitlines()[-12:]
            raise LoadError("\n".join(["the streams could not be loaded:", *last]))

    def report(self, to: Path) -> None:
        """Run `source-exact-online report`.

        Raises:
            LoadError: it failed; the message tells why.
        """
        command = [Path(sys.executable).with_name("source-exact-online"), "report", "--from", self.file, "--to", to]
        process = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if process.returncode:
            raise LoadError(f"the report could not be written: {process.stderr.strip()}")

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection that only reads. The next load can write once it is closed."""
        connection = duckdb.connect(str(self.file), read_only=True)
        try:
            yield connection
        finally:
            connection.close()

    def administrations(self) -> list[Administration]:
        """Return the divisions, by number."""
        sql = f"select division, description, trim(country), trim(currency) from {SCHEMA}.divisions order by division"
        with self.open() as connection:
            return [Administration(*row) for row in connection.sql(sql).fetchall()]

    def rows_by_division(self) -> dict[str, dict[int, int]]:
        """Return the number of rows by stream and division."""
        with self.open() as connection:
            return {
                stream: dict(connection.sql(f"select division, count(*) from {SCHEMA}.{stream} group by 1").fetchall())
                for stream in STREAMS
            }

    def keys(self) -> Keys:
        """Primary keys of all rows, by stream."""
        with self.open() as connection:
            return {stream: {(row[0], row[1]) for row in _rows(connection, stream)} for stream in STREAMS}

    def fetched_since(self, begun: datetime, moment: datetime, before: Keys) -> list[Fetched]:
        """Return what was fetched after a load had begun, by stream; streams with nothing included.

        Args:
            begun: aware, by this machine's clock.
            moment: aware, by the sandbox's clock: rows of the same key are changed where their Modified is later.
            before: keys of the rows that were there before.
        """
        after = self.keys()
        with self.open() as connection:
            return [
                Fetched.of(stream, _rows(connection, stream, begun), before[stream], after[stream], moment)
                for stream in STREAMS
            ]

    def balances(self) -> bool:
        """Whether debits equal credits in the general ledger of every division, to the cent."""
        sql = f"""
            select bool_and(round(total, 2) = 0) from (
                select sum(amount_dc) as total from {SCHEMA}.transaction_lines group by division
            )
        """
        return self.answer(sql)[1] == [(True,)]

    def answer(self, sql: str) -> tuple[list[str], Sequence[Row]]:
        """Columns and rows of a query."""
        with self.open() as connection:
            result = connection.sql(sql)
            return result.columns, result.fetchall()


def _rows(connection: duckdb.DuckDBPyConnection, stream: str, read_after: datetime | None = None) -> list[Row]:
    """Key, division and Modified of the rows of a stream, perhaps only of those that were read lately."""
    key = "division" if stream == "divisions" else "id"
    sql = f"select {key}, division, modified from {SCHEMA}.{stream}"
    if read_after is None:
        return connection.execute(sql).fetchall()
    return connection.execute(f"{sql} where _read_at >= ?", [read_after]).fetchall()
