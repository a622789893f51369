"""`load` through the console script: the tables equal the sandbox's own rows, whatever has happened in between."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration_tests.conftest import MANY_CALLS, StartSandbox
from integration_tests.entity_rows import ENTITIES, FAMILIES, LOGGED, NAMED_KEYS, change, key_of, rows_of
from integration_tests.loads import Loader
from integration_tests.sandbox_client import Sandbox
from integration_tests.test_every_stream import CATALOG
from integration_tests.test_every_stream import expected as rows_of_any
from integration_tests.truth import CORE
from integration_tests.warehouse_tables import (
    DuckDBTables,
    ParquetTables,
    PostgresTables,
    Tables,
    differences,
    primary_key,
)

POSTGRES = os.environ.get("LOAD_TEST_POSTGRES")
"""Address of a database in which the schema exact_online may be dropped; without it only DuckDB and files are tried."""

DESTINATIONS = ["duckdb", "parquet", pytest.param("postgres", marks=pytest.mark.skipif(not POSTGRES, reason="no LOAD_TEST_POSTGRES"))]


@pytest.fixture(scope="module", params=DESTINATIONS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Tables, dict[str, str]]:
    """What `--to` names, the tables there, and the environment that it needs."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        return str(folder / "exact.duckdb"), DuckDBTables(folder / "exact.duckdb"), {}
    if request.param == "parquet":
        settings = {"DESTINATION__FILESYSTEM__BUCKET_URL": folder.as_uri()}
        return "dlt:filesystem", ParquetTables(folder), settings
    assert POSTGRES
    return POSTGRES, empty_postgres(POSTGRES), {}


def empty_postgres(url: str) -> PostgresTables:
    import psycopg2

    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("drop schema if exists exact_online cascade; drop schema if exists exact_online_staging cascade")
    connection.close()
    return PostgresTables(url)


def problems(sandbox: Sandbox, tables: Tables) -> list[str]:
    """Differences between all tables of the core and the books."""
    return [one for stream in CORE for one in differences(tables, stream, sandbox.expected(stream))]


def work(sandbox: Sandbox, number: int) -> None:
    """Change, add and delete rows of every stream of the core; deletions only where Exact logs them."""
    busy, calm = sandbox.divisions if number % 2 else reversed(sandbox.divisions)
    for stream in ENTITIES:
        change(sandbox, stream, busy, rows_of(sandbox, stream, busy)[number])
    sandbox.insert(calm, "crm/Accounts", {"Code": f"{4711 + number:>18}", "Name": "Nieuw & Zoon €\n"})
    sandbox.insert(calm, "financial/Journals", {"Code": f"7{number}", "Description": ""})
    silent = rows_of(sandbox, "items", calm)[-number]
    sandbox.update(calm, "logistics/Items", silent["ID"], {"Description": "'\"\\,"}, touch_modified=False)
    for stream in (*LOGGED, *FAMILIES):
        sandbox.delete(calm, ENTITIES[stream], key_of(stream, rows_of(sandbox, stream, calm)[number + 1]))


def test_tables_equal_the_books_after_a_first_load_and_three_rounds_of_changes(
    shared_sandbox: Sandbox, place: tuple[str, Tables, dict[str, str]], tmp_path: Path
) -> None:
    to, tables, variables = place
    loader = Loader.of(tmp_path, shared_sandbox.config(), to, **variables)
    loader.run()
    assert problems(shared_sandbox, tables) == []
    for number in (1, 2, 3):
        work(shared_sandbox, number)
        loader.run()
        assert problems(shared_sandbox, tables) == [], f"round {number}"
