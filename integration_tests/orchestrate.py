"""examples/dagster against the sandbox: four run workers on one login, one of them killed, and the tables it fills.

    python -m integration_tests.orchestrate --dagster .venv-orchestrate/bin [--divisions 40] [--latency-ms 1000]

The same backfill runs twice, each time into a database of its own: with four run workers, one of which is killed with
kill -9, and with one. PostgreSQL is the server that POSTGRES names, or one that is started for this. Exit code 0 when
every column of every row is as in the sandbox's books, and no call was refused.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from integration_tests.connector import ROOT, environment
from integration_tests.postgres import NoPostgresError, database, server
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import primary_key

EXAMPLE = ROOT / "examples" / "dagster"
STREAMS = (
    "accounts",
    "contacts",
    "sales_invoices",
    "sales_invoice_lines",
    "gl_accounts",
    "journals",
    "transaction_lines",
)
TOKEN_LIFE = "20"
"""Seconds; so short that the login rotates many times in a run."""


def main() -> int:
    """Run it and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dagster", type=lambda text: Path(text).absolute(), required=True, help="folder with Dagster's commands"
    )
    parser.add_argument("--divisions", type=int, default=40)
    parser.add_argument("--size", default="tiny", help="of the books of a division")
    parser.add_argument("--latency-ms", default="1000", help="time that the sandbox takes for an answer")
    args = parser.parse_args()
    try:
        with server() as server_url:
            many = one_backfill(args, server_url, workers=4)
            one = one_backfill(args, server_url, workers=1)
    except NoPostgresError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Speed-up over one worker: {one['seconds'] / many['seconds']:.1f} ({one['seconds']} s, {many['seconds']} s)")
    problems = [*many["problems"], *one["problems"]]
    if not many["killed"] or many["killed"][0] not in many["retried"]:
        problems.append(f"the worker that was killed was not started again: {many}")
    for problem in problems:
        print(f"WRONG: {problem}")
    return 1 if problems else 0


def one_backfill(args: argparse.Namespace, server_url: str, workers: int) -> dict[str, Any]:
    """Load everything once, with a number of run workers; with many, one is killed."""
    with TemporaryDirectory(prefix="orchestrate-") as name, database(server_url) as url:
        folder = Path(name)
        sandbox = Sandbox.start(
            folder, "--divisions", str(args.divisions), "--size", args.size, "--latency-ms", args.latency_ms,
            "--token-life", TOKEN_LIFE,
        )  # fmt: skip
        try:
            sandbox.clear()
            config = sandbox.config(credentials={"token_store": url})
            (folder / "config.json").write_text(json.dumps(config))
            settings = (EXAMPLE / "dagster.yaml").read_text()
            (folder / "dagster.yaml").write_text(settings.replace("runs: 4", f"runs: {workers}"))
            with psycopg.connect(url) as warehouse:
                warehouse.execute((EXAMPLE / "tables.sql").read_text())
            told = backfill(args, folder, url, kill=workers > 1)
            told["problems"] = [*tables(sandbox, url), *calls(sandbox), *outcome(told)]
        finally:
            sandbox.stop()
    print(f"{workers} worker(s): {json.dumps({k: v for k, v in told.items() if k != 'problems'})}", flush=True)
    return told


def backfill(args: argparse.Namespace, folder: Path, url: str, *, kill: bool) -> dict[str, Any]:
    """Run Dagster's daemon, and a backfill in it."""
    variables = environment({
        "DAGSTER_HOME": str(folder),
        "DAGSTER_POSTGRES_URL": url,
        "WAREHOUSE_URL": url,
        "EXACT_ONLINE_CONFIG": str(folder / "config.json"),
        "SOURCE_EXACT_ONLINE": str(Path(sys.executable).with_name("source-exact-online")),
        "PYTHONPATH": str(EXAMPLE),
    })  # fmt: skip
    variables["PYTHONPATH"] = str(EXAMPLE)
    migrate = [args.dagster / "dagster", "instance", "migrate"]  # makes Dagster's own tables
    subprocess.run(migrate, env=variables, check=True, capture_output=True)
    with (folder / "daemon.log").open("w") as log:
        daemon = subprocess.Popen(
            [args.dagster / "dagster-daemon", "run", "-m", "definitions"],
            cwd=EXAMPLE, env=variables, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            script = [args.dagster / "python", ROOT / "integration_tests" / "dagster_backfill.py"]
            options = ["--backfill", "everything", *(["--kill"] if kill else [])]
            done = subprocess.run(
                [*script, *options], cwd=EXAMPLE, env=variables, capture_output=True, text=True, check=False
            )
        finally:
            os.killpg(daemon.pid, 15)
            daemon.wait(60)
    if done.returncode:
        raise RuntimeError(f"{done.stdout}\n{done.stderr}\n{(folder / 'daemon.log').read_text()[-5000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def outcome(told: dict[str, Any]) -> list[str]:
    """What is wrong with the backfill itself."""
    return [] if told["backfill"] == "COMPLETED_SUCCESS" else [f"the backfill ended as {told['backfill']}: {told}"]


def tables(sandbox: Sandbox, url: str) -> list[str]:
    """What is wrong with the tables; they hold what the sandbox's books hold, column by column."""
    problems, values = [], 0
    with psycopg.connect(url) as warehouse:
        for stream in STREAMS:
            found = {
                primary_key(stream, data): data
                for (data,) in warehouse.execute("SELECT data FROM exact_records WHERE stream = %s", (stream,))
            }
            wanted = sandbox.expected(stream)
            values += sum(map(len, found.values()))
            if found != wanted:
                differing = [key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)]
                problems.append(f"{stream}: {len(differing)} of {len(wanted)} rows differ, e.g. {differing[0]}")
    print(f"{len(STREAMS)} streams, {values:,} values compared, {len(problems)} streams differ")
    return problems


def calls(sandbox: Sandbox) -> list[str]:
    """What was refused."""
    tokens = Counter(call.status for call in sandbox.token_calls())
    data = Counter(call.status for call in sandbox.calls())
    print(f"token calls by status: {dict(tokens)}; data calls by status: {dict(data)}")
    return [f"refused calls: tokens {tokens}, data {data}"] if set(tokens) != {200} or set(data) != {200} else []


if __name__ == "__main__":
    sys.exit(main())
