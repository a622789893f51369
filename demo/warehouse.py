"""The DuckDB file: loading it, and what was loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import duckdb

from demo.fetched import Fetched, Keys, Row
from demo.load import SCHEMA, STREAMS


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
            process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )
        try:
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)  # the connector, which PyAirbyte started, must not outlive us either
            process.wait()
            raise
        if code:
            last = self.log.read_text(encoding="utf-8").strip().splitlines()[-12:]
            raise LoadError("\n".join(["PyAirbyte could not load the streams:", *last]))

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection that only reads. PyAirbyte can write again once it is closed."""
        connection = duckdb.connect(str(self.file), read_only=True)
        try:
            yield connection
        finally:
            connection.close()

    def administrations(self) -> list[Administration]:
        """Return the divisions, by number."""
        sql = "select Division, Description, trim(Country), trim(Currency) from exact.divisions order by Division"
        with self.open() as connection:
            return [Administration(*row) for row in connection.sql(sql).fetchall()]

    def rows_by_division(self) -> dict[str, dict[int, int]]:
        """Return the number of rows by stream and division."""
        with self.open() as connection:
            return {
                stream: dict(connection.sql(f"select Division, count(*) from {SCHEMA}.{stream} group by 1").fetchall())
                for stream in STREAMS
            }

    def keys(self) -> Keys:
        """Primary keys of all rows, by stream."""
        with self.open() as connection:
            return {stream: {(row[0], row[1]) for row in _rows(connection, stream)} for stream in STREAMS}

    def fetched_since(self, begun: datetime, moment: datetime, known: Keys) -> list[Fetched]:
        """Return what was fetched after a load had begun, by stream; streams with nothing included.

        Args:
            begun: aware, by this machine's clock.
            moment: aware, by the sandbox's clock: rows of the same key are changed where their Modified is later.
            known: keys of the rows that were there before.
        """
        # PyAirbyte's tables keep UTC without saying so.
        fetched, changed = (one.astimezone(timezone.utc).replace(tzinfo=None) for one in (begun, moment))
        with self.open() as connection:
            return [
                Fetched.of(stream, _rows(connection, stream, fetched_after=fetched), known[stream], changed)
                for stream in STREAMS
            ]

    def balances(self) -> bool:
        """Whether debits equal credits in the general ledger of every division, to the cent."""
        sql = f"""
            select bool_and(abs(total) < 0.005) from (
                select sum(AmountDC) as total from {SCHEMA}.transaction_lines
                where _ab_cdc_deleted_at is null group by Division
            )
        """
        return self.answer(sql)[1] == [(True,)]

    def answer(self, sql: str) -> tuple[list[str], Sequence[Row]]:
        """Columns and rows of a query."""
        with self.open() as connection:
            result = connection.sql(sql)
            return result.columns, result.fetchall()


def _rows(connection: duckdb.DuckDBPyConnection, stream: str, *, fetched_after: datetime | None = None) -> list[Row]:
    """Key, division, Modified and _ab_cdc_deleted_at of the rows of a stream, perhaps only of those fetched lately."""
    table = connection.table(f"{SCHEMA}.{stream}")
    key = "ID" if "id" in table.columns else "Division"
    deleted_at = "_ab_cdc_deleted_at" if "_ab_cdc_deleted_at" in table.columns else "null"
    if fetched_after is not None:
        table = table.filter(f"_airbyte_extracted_at >= timestamp '{fetched_after}'")
    return table.project(f"{key}, Division, Modified, {deleted_at}").fetchall()
