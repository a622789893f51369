"""The same changes through PyAirbyte into DuckDB, and into PostgreSQL where one is named: tables against the books.

    python -m integration_tests.warehouses --rounds 6 --seed 1 --postgres postgresql://user:password@localhost/database

No row is created again with the key of a deleted one here: PyAirbyte merges a run's records in no order, so that either
the tombstone or the row may win if both come in one run. Runs the console script beside this interpreter.
Exit code 0 when all tables are right after every round.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy

from exact_online_sandbox.server import Server
from integration_tests.business import KINDS, STREAMS, Business
from integration_tests.destination import DELETED_AT, Key
from integration_tests.direct import DirectSandbox

DIVISIONS = (123, 456)
SCHEMA = "exact_online_warehouses"
"""Schema of this check alone: it is dropped at the start."""


def change(business: Business, chance: random.Random) -> None:
    """Make one change at random."""
    kind, division, pick = chance.choice(KINDS), chance.choice(DIVISIONS), chance.randrange(20)
    what = chance.choice(("insert", "insert", "update", "update", "silent", "delete", "batch", "rename"))
    if what == "insert":
        business.insert(kind, division, None)
    elif what in ("update", "silent"):
        business.update(kind, division, pick, silent=what == "silent")
    elif what == "delete":
        business.delete(kind, division, pick)
    elif what == "batch":
        business.batch(kind, division, pick)
    else:
        business.rename(division)


def caches(folder: Path, postgres: str | None) -> Iterator[Any]:
    """The warehouses of PyAirbyte to load."""
    from airbyte.caches import DuckDBCache, PostgresCache

    yield DuckDBCache(db_path=folder / "warehouse.duckdb", schema_name=SCHEMA)
    if postgres:
        # On its way to PostgreSQL, PyAirbyte lets pandas guess which columns hold dates, by their names: it takes the
        # row versions in a column "Timestamp" for milliseconds, and the insert fails.
        import pandas
        from airbyte.shared import sql_processor

        sql_processor.pd.read_json = functools.partial(pandas.read_json, convert_dates=False)
        # What an earlier check left is about other books. PyAirbyte makes the schema when the cache is made.
        with sqlalchemy.create_engine(postgres).begin() as connection:
            connection.exec_driver_sql(f"drop schema if exists {SCHEMA} cascade")
        url = urlsplit(postgres)
        yield PostgresCache(
            host=url.hostname or "localhost",
            port=url.port or 5432,
            username=url.username or "",
            password=url.password or "",
            database=url.path.lstrip("/"),
            schema_name=SCHEMA,
        )


def problems(cache: Any, business: Business) -> Iterator[str]:
    """What a warehouse holds other than the books."""
    for stream, (text,) in STREAMS.items():
        found: dict[Key, list[str]] = {}
        for key, held in _rows(cache, stream, text):
            found.setdefault(key, []).append(held)
        for division in DIVISIONS:
            for key, record in business.expected(stream, division).items():
                held_rows = found.pop(key, [])
                if len(held_rows) != 1 or not (
                    held_rows[0] == record[text] or business.may_be(stream, key, {**record, text: held_rows[0]}, record)
                ):
                    yield f"{stream} {key} is {held_rows} and should be {record[text]!r}"
        for key, held_rows in found.items():
            if not business.may_remain(stream, key):
                yield f"{stream} {key} is gone and should not be {held_rows}"


def _rows(cache: Any, stream: str, text: str) -> Iterator[tuple[Key, str]]:
    """Key and content of the live rows of a table."""
    engine = cache.get_sql_engine()
    names = {column["name"].lower() for column in sqlalchemy.inspect(engine).get_columns(stream, schema=SCHEMA)}
    key = ["division"] if stream == "divisions" else ["id", "division"]
    where = f" where {DELETED_AT} is null" if DELETED_AT in names else ""
    with engine.connect() as connection:
        query = f"select {', '.join([text.lower(), *key])} from {SCHEMA}.{stream}{where}"
        for held, *own, division in connection.exec_driver_sql(query):
            yield (*own, int(division)), held


def play(rounds: int, seed: int, changes: int, postgres: str | None) -> int:
    """Change and load, again and again; returns the number of differences."""
    # PyAirbyte asks for its settings while it is imported.
    folder = Path(tempfile.mkdtemp(prefix="warehouses-"))
    os.environ |= {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "NO_LIVE_PROGRESS": "1"}
    for name in ("AIRBYTE_PROJECT_DIR", "AIRBYTE_CACHE_ROOT", "AIRBYTE_TEMP_DIR", "AIRBYTE_LOGGING_ROOT"):
        os.environ.setdefault(name, str(folder))
    import airbyte

    chance = random.Random(seed)
    sandbox = DirectSandbox(DIVISIONS, datetime.now(timezone.utc))
    sandbox.box.clock.resume()
    business = Business(sandbox)
    differences = 0
    with Server(sandbox.box) as server:
        source = airbyte.get_source(
            "source-exact-online",
            local_executable=Path(sys.executable).with_name("source-exact-online"),
            config=sandbox.config(base_url=server.base_url, lookback_window_minutes=30),
            streams=list(STREAMS),
        )
        warehouses = list(caches(folder, postgres))
        for number in range(1, rounds + 1):
            for _ in range(changes):
                change(business, chance)
            for cache in warehouses:
                source.read(cache=cache)
                found = list(problems(cache, business))
                differences += len(found)
                print(f"round {number} {type(cache).__name__}: {len(found)} differences", *found[:10], sep="\n  ")
            if number == rounds // 2:
                business.move(DIVISIONS[0])
    return differences


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--changes", type=int, default=25, help="changes a round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", help=f"address of a database; its schema {SCHEMA} is dropped")
    options = parser.parse_args()
    sys.exit(1 if play(options.rounds, options.seed, options.changes, options.postgres) else 0)
