"""The dbt project's models in a database: building them, and what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2
import yaml

PROJECT = Path(__file__).parent.parent / "dbt"
TABLES, MODELS = "exact_online", "exact_models"
"""Schemas of the loaded tables and of the models."""
DELETED_AT = "_ab_cdc_deleted_at"


def streams() -> list[str]:
    """Return the names of all streams that the models read."""
    text = (PROJECT / "models" / "staging" / "sources.yml").read_text(encoding="utf-8")
    return [table["name"] for table in yaml.safe_load(text)["sources"][0]["tables"]]


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A DuckDB file or a PostgreSQL database."""

    place: Path | str
    """Path of the file, or address of the database."""

    @property
    def name(self) -> str:
        """Name for people."""
        return "DuckDB" if isinstance(self.place, Path) else "PostgreSQL"

    @property
    def address(self) -> str:
        """What `load --to` takes."""
        return str(self.place)

    @property
    def variables(self) -> dict[str, str]:
        """Environment in which dbt finds it."""
        if isinstance(self.place, Path):
            return {"EXACT_TARGET": "duckdb", "EXACT_DUCKDB": str(self.place)}
        found = urlsplit(self.place)
        return {
            "EXACT_TARGET": "postgres",
            "PGHOST": found.hostname or "localhost",
            "PGPORT": str(found.port or 5432),
            "PGUSER": found.username or "postgres",
            "PGPASSWORD": found.password or "",
            "PGDATABASE": found.path.lstrip("/"),
        }

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL and return the rows of its last statement."""
        if isinstance(self.place, Path):
            with duckdb.connect(str(self.place)) as connection:
                return connection.execute(sql).fetchall()
        connection = psycopg2.connect(self.place)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def drop_schemas(self) -> None:
        """Drop the loaded tables and the models."""
        schemas = (TABLES, f"{TABLES}_staging", MODELS)
        self.execute("".join(f"drop schema if exists {name} cascade;" for name in schemas))

    def digests(self) -> dict[str, str]:
        """Return a digest of the rows of each mart, in any order."""
        tables = self.execute(
            "select table_name from information_schema.tables "
            f"where table_schema = '{MODELS}' and table_name like 'exact\\_\\_%' escape '\\' order by table_name"
        )
        return {table: self._digest(table) for (table,) in tables}

    def failed_checks(self) -> set[str]:
        """Return the names of the checks that did not pass."""
        rows = self.execute(
            f"select distinct check_name from {MODELS}.exact__checks where outcome in ('failed', 'warning')"
        )
        return {name for (name,) in rows}

    def _digest(self, table: str) -> str:
        rows = self.execute(f"select * from {MODELS}.{table}")
        lines = sorted("\t".join(map(_text, row)) for row in rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(slots=True)
class Models:
    """dbt for one warehouse."""

    dbt: Path
    warehouse: Warehouse
    scratch: Path
    today: str
    settings: Mapping[str, object] = field(default_factory=dict)
    """Variables of the project that are not as it has them."""
    summary: str = ""
    errors: str = ""
    _results: list[dict[str, Any]] = field(default_factory=list)

    def build(self) -> bool:
        """Build seeds and models and test them; return whether all went well and nothing was warned of."""
        return self._run("build") and all(result["status"] in ("success", "pass") for result in self._results)

    def run(self) -> bool:
        """Build the models alone; the seeds are there."""
        return self._run("run")

    def test_units(self) -> bool:
        """Run the unit tests, on models that are made without rows; nothing need be loaded."""
        return self._run("build", "--empty", "--select", "resource_type:seed", "resource_type:model") and self._run(
            "test", "--select", "test_type:unit"
        )

    def _run(self, command: str, *options: str) -> bool:
        target = self.scratch / self.warehouse.name
        variables = json.dumps({"exact_today": self.today, **self.settings})
        process = subprocess.run(
            [
                self.dbt, "--no-use-colors", "--quiet", command, "--project-dir", PROJECT, "--profiles-dir", PROJECT,
                "--target-path", target, "--log-path", target, "--vars", variables, *options,
            ],
            env={**os.environ, **self.warehouse.variables, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        results = target / "run_results.json"
        if process.returncode not in (0, 1) or not results.exists():
            self.errors = process.stdout + process.stderr
            return False
        self._results = json.loads(results.read_text(encoding="utf-8"))["results"]
        counts: dict[str, int] = {}
        for result in self._results:
            counts[result["status"]] = counts.get(result["status"], 0) + 1
        self.summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        self.errors = "; ".join(
            f"{result['unique_id']}: {result['message']}"
            for result in self._results
            if result["status"] not in ("success", "pass")
        )
        return process.returncode == 0


def rename_as_pyairbyte(file: Path) -> None:
    """Rename columns as PyAirbyte does; add an old version of each row, and tombstones of rows long gone."""
    with duckdb.connect(str(file)) as connection:
        for stream in streams():
            found = connection.execute(
                "select column_name, data_type from information_schema.columns "
                f"where table_schema = '{TABLES}' and table_name = '{stream}' order by ordinal_position"
            ).fetchall()
            columns = [(name, kind) for name, kind in found if not name.startswith("_dlt") and name != "_read_at"]
            if columns:
                for statement in _renamings(stream, columns):
                    connection.execute(statement.format(table=f"{TABLES}.{stream}", new=f"{TABLES}.renamed"))


def _renamings(stream: str, columns: list[tuple[str, str]]) -> Iterator[str]:
    """Statements that make a table `{new}` of a `{table}` and put it in its place."""
    now, old, gone = [], [], []
    for name, kind in columns:
        utc = " at time zone 'UTC'" if "TIME ZONE" in kind else ""
        now.append(f'"{name}"{utc} as {_flat(name)}')
        other = " * 3" if kind.startswith("DECIMAL") else ""
        old.append(f"{_flat(name)}{other} as {_flat(name)}")
        gone.append(
            {"id": "'gone ' || id as id", DELETED_AT: f"timestamp '2026-06-01' as {DELETED_AT}"}.get(name, _flat(name))
        )
    extracted = "timestamp '2026-10-{day}' as _airbyte_extracted_at"
    yield f"create table {{new}} as select {', '.join(now)}, {extracted.replace('{day}', '03')} from {{table}}"
    yield f"insert into {{new}} select {', '.join(old)}, {extracted.replace('{day}', '02')} from {{new}}"
    if {"id", DELETED_AT} <= {name for name, _ in columns}:
        yield f"insert into {{new}} select {', '.join(gone)}, _airbyte_extracted_at from {{new}} limit 50"
    yield f"drop table {{table}}; alter table {{new}} rename to {stream}"


def _flat(name: str) -> str:
    return name if name.startswith("_") else f'"{name.replace("_", "")}"'


def _text(value: object) -> str:
    if isinstance(value, datetime):
        value = value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, Decimal):  # PostgreSQL knows 1.50, DuckDB 1.5
        return f"{value.normalize() + 0:f}"
    return "" if value is None else str(value)
