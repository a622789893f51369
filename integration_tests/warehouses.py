"""Every stream through PyAirbyte into DuckDB, and into PostgreSQL where one is named: each value against the books.

    python -m integration_tests.warehouses --rounds 2 --seed 1 --postgres postgresql://user:password@localhost/database

Between the rounds rows of every stream are added, changed and deleted, with texts that loaders like to take for
something else and with as many nulls as there can be; the row versions of one division pass 2^53, and one division is
moved. No row is created again with the key of a deleted one: PyAirbyte merges a run's records in no order, so that
either the tombstone or the row may win if both come in one run. Runs the console script beside this interpreter.
Exit code 0 when all tables are right after every round.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy

from integration_tests.full_books import DELETED_AT, Comparison, FullBooks, total
from tools.reference import REPOSITORY

SCHEMA = "exact_online_warehouses"
"""Schema of this check alone: it is dropped at the start."""
GUIDE = REPOSITORY / "docs" / "runners.md"


def recommended_lines(name: str) -> str:
    """The lines that the documentation recommends, as they stand there, under a name."""
    found = re.search(
        rf"<!-- run by make warehouses: {name} -->\n```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL
    )
    if found is None:
        raise ValueError(f"{GUIDE} has no lines called {name}")
    return found[1]


def caches(folder: Path, postgres: str | None) -> Iterator[Any]:
    """The warehouses of PyAirbyte to load."""
    from airbyte.caches import DuckDBCache, PostgresCache

    yield DuckDBCache(db_path=folder / "warehouse.duckdb", schema_name=SCHEMA)
    if postgres:
        # What an earlier check left is about other books. PyAirbyte makes the schema when the cache is made.
        with sqlalchemy.create_engine(postgres).begin() as connection:
            connection.exec_driver_sql(f"drop schema if exists {SCHEMA} cascade")
        url = urlsplit(postgres)
        yield PostgresCache(
            host=url.hostname or "localhost",
            port=url.port or 5432,
            username=unquote(url.username or ""),
            password=unquote(url.password or ""),
            database=url.path.lstrip("/"),
            schema_name=SCHEMA,
        )


def compare(cache: Any, books: FullBooks) -> Comparison:
    """Hold all tables of a warehouse against the books."""
    engine = cache.get_sql_engine()
    return total(books.compare(stream, _live_rows(engine, stream["name"]), str.lower) for stream in books.streams)


def _live_rows(engine: sqlalchemy.Engine, table: str) -> Iterator[Mapping[str, Any]]:
    with engine.connect() as connection:
        for row in connection.exec_driver_sql(f'select * from {SCHEMA}."{table}"').mappings():
            if row.get(DELETED_AT) is None:
                yield row


def play(rounds: int, seed: int, postgres: str | None) -> int:
    """Load and change, again and again; returns the number of differences."""
    # PyAirbyte asks for its settings while it is imported.
    folder = Path(tempfile.mkdtemp(prefix="warehouses-"))
    os.environ |= {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "NO_LIVE_PROGRESS": "1"}
    for name in ("AIRBYTE_PROJECT_DIR", "AIRBYTE_CACHE_ROOT", "AIRBYTE_TEMP_DIR", "AIRBYTE_LOGGING_ROOT"):
        os.environ.setdefault(name, str(folder))
    import airbyte

    # The lines that the documentation tells a user to run are run as they stand there.
    exec(recommended_lines("numbers"), {})
    if postgres:
        exec(recommended_lines("postgres"), {})
    else:
        print('PostgreSQL is left out: WAREHOUSES_ARGS="--postgres postgresql://user:password@localhost/database".')
    books = FullBooks(seed)
    with books.server:
        return sum(load(airbyte, cache, books, rounds) for cache in caches(folder, postgres))


def load(airbyte: Any, cache: Any, books: FullBooks, rounds: int) -> int:
    """Change the books and load them into one warehouse, again and again; returns the number of differences."""
    kind, differences = type(cache).__name__, 0
    source = airbyte.get_source(
        "source-exact-online",
        local_executable=Path(sys.executable).with_name("source-exact-online"),
        config=books.config(),
        streams=[stream["name"] for stream in books.streams],
        config_change_callback=lambda config: source.set_config(config),
    )
    for number in range(1, rounds + 1):
        changes = books.change()
        source.read(cache=cache)
        found = compare(cache, books)
        differences += len(found.differences)
        print(f"{kind}, round {number}: {changes} changes; {len(books.streams)} streams, {found}", flush=True)
        for difference in found.differences[:10]:
            print(f"  {difference}")
        if number == 1:
            books.grow_versions()
            books.move()
    print(f"{kind}: tokens refreshed {books.refreshes} times", flush=True)
    return differences


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", help=f"address of a database; its schema {SCHEMA} is dropped")
    options = parser.parse_args()
    sys.exit(1 if play(options.rounds, options.seed, options.postgres) else 0)
