"""Reads some streams of some divisions with source-exact-online and keeps them in PostgreSQL (tables.sql).

Rows and the state that covers them are committed together, so a process may be killed at any moment: the next run of
the same divisions goes on from the last commit.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import psycopg

COMMAND = os.environ.get("SOURCE_EXACT_ONLINE", "source-exact-online")
CONFIG = os.environ["EXACT_ONLINE_CONFIG"]
"""Path of the configuration that `source-exact-online login` wrote, with credentials.token_store."""
WAREHOUSE_URL = os.environ["WAREHOUSE_URL"]

Json: TypeAlias = Any
Key = tuple[str, int, str]
Rows = dict[Key, str | None]
"""By stream, division and key: what to keep, None for a row that was deleted."""


def sync(streams: Sequence[str], divisions: Sequence[int]) -> Counter[str]:
    """Bring the tables up to date; return the number of records by stream.

    Raises:
        RuntimeError: the connector ended incomplete; what it had read is kept, and the next run goes on there.
    """
    catalog = json.loads(_output("catalog", "--streams", ",".join(streams)))
    keys = {each["stream"]["name"]: [path[0] for path in each["primary_key"]] for each in catalog["streams"]}
    counts: Counter[str] = Counter()
    rows: Rows = {}
    with psycopg.connect(WAREHOUSE_URL, autocommit=True) as warehouse:
        state = _load_state(warehouse, streams, divisions)
        for message in _read(catalog, {"divisions": list(divisions)}, state):
            if message["type"] == "RECORD":
                stream, data = message["record"]["stream"], message["record"]["data"]
                key = json.dumps([data[name] for name in keys[stream]])
                rows[stream, data["Division"], key] = None if "_ab_cdc_deleted_at" in data else json.dumps(data)
                counts[stream] += 1
            elif message["type"] == "STATE":
                _commit(warehouse, rows, message["state"]["stream"])
                rows.clear()
    return counts


def readable_divisions() -> list[int]:
    """Return the divisions that the login may read."""
    messages = _read(json.loads(_output("catalog", "--streams", "divisions")), {"divisions": []}, [])
    return sorted({message["record"]["data"]["Division"] for message in messages if message["type"] == "RECORD"})


def _read(catalog: Json, changes: Json, state: Json) -> Iterator[Json]:
    """Yield the connector's messages.

    Those of type CONTROL hold secrets and are dropped: they are for platforms that keep the tokens.
    """
    config = {**json.loads(Path(CONFIG).read_text()), **changes}
    with TemporaryDirectory() as folder:
        arguments = [COMMAND, "read"]
        for name, content in (("config", config), ("catalog", catalog), ("state", state)):
            path = Path(folder, f"{name}.json")
            path.touch(mode=0o600)
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", str(path)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, encoding="utf-8") as process:
            assert process.stdout is not None
            errors = []
            for line in process.stdout:
                message = json.loads(line)
                if message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                    errors.append(message["trace"]["error"]["message"])
                elif message["type"] == "LOG":
                    print(message["log"]["level"], message["log"]["message"], flush=True)
                elif message["type"] in ("RECORD", "STATE"):
                    yield message
    if process.returncode:
        raise RuntimeError(errors[-1] if errors else f"source-exact-online ended with code {process.returncode}")


def _output(*arguments: str) -> str:
    return subprocess.run([COMMAND, *arguments], check=True, capture_output=True, encoding="utf-8").stdout


def _commit(warehouse: psycopg.Connection, rows: Rows, message: Json) -> None:
    """Write rows and the position of each division up to which they are complete."""
    stream, state = message["stream_descriptor"]["name"], message["stream_state"]
    positions = ((stream, int(code), _only(state, code)) for code in state["divisions"])
    with warehouse.transaction(), warehouse.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO exact_records VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (stream, division, key) DO UPDATE SET data = EXCLUDED.data",
            [(*key, data) for key, data in rows.items() if data is not None],
        )
        cursor.executemany(
            "DELETE FROM exact_records WHERE stream = %s AND division = %s AND key = %s",
            [key for key, data in rows.items() if data is None],
        )
        cursor.executemany(
            "INSERT INTO exact_states VALUES (%s, %s, %s) "
            "ON CONFLICT (stream, division) DO UPDATE SET state = EXCLUDED.state",
            list(positions),
        )


def _only(state: Json, code: str) -> str:
    """Return the state of one division: a later run may read it with others than today."""
    return json.dumps({**state, "divisions": {code: state["divisions"][code]}})


def _load_state(warehouse: psycopg.Connection, streams: Iterable[str], divisions: Iterable[int]) -> list[Json]:
    found = warehouse.execute(
        "SELECT stream, state FROM exact_states WHERE stream = ANY(%s) AND division = ANY(%s)",
        (list(streams), list(divisions)),
    )
    states: dict[str, Json] = {}
    for stream, state in found:
        states.setdefault(stream, {**state, "divisions": {}})["divisions"].update(state["divisions"])
    return [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": state}}
        for stream, state in states.items()
    ]
