"""The core through Meltano's wrapper of Airbyte sources into JSON lines and PostgreSQL: each value against the books.

    python -m integration_tests.meltano_runs --postgres postgresql://user:password@localhost/database

Makes a Meltano project as docs/runners.md says, with the very lines that stand there, and loads three times; before
each time rows are added, changed and deleted. All runs share the token file. Exit code 0 when nothing differs and no
token was refused.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy
import yaml

from integration_tests.connector import stream_schema
from integration_tests.every_stream import keys
from integration_tests.full_books import DELETED_AT, Comparison, FullBooks, total
from integration_tests.truth import CORE
from tools.reference import REPOSITORY
from tools.stream_tables import key_maps

GUIDE = REPOSITORY / "docs" / "runners.md"
WRAPPER = "git+https://github.com/MeltanoLabs/tap-airbyte-wrapper.git"
SCHEMA = "exact_online_meltano"
"""Schema of this check alone: it is dropped at the start."""
RUN_SECONDS = 1800
ATTEMPTS = 4
MIXED_LINES = "JSONDecodeError"
"""What a target says when tap-airbyte's threads have written two SCHEMA messages at once, which it does not prevent."""
STREAMS = (*CORE, "currencies", "journal_status_list", "reporting_balance")
"""The core, and some of the streams whose keys are codes or numbers: without its stream map, rows would be lost."""


class Project:
    """A Meltano project in a folder of its own."""

    def __init__(self, folder: Path, wrapper: str, postgres: str, config: Mapping[str, Any]) -> None:
        self._folder = folder
        self._wrapper = wrapper
        self._environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("EXACT_ONLINE_", "PYTHONPATH"))
            },
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_LOG_FORMAT": "plain",
            "PIP_FIND_LINKS": str(folder / "wheels"),
            "NO_COLOR": "1",
            # For the wrapper's "python: python3.10", wherever the Python that runs this came from.
            "PATH": os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.environ["PATH"]]),
        }
        self.output = folder / "output"
        self.output.mkdir()
        plugins = _documented_plugins()
        extractors = {plugin["name"]: plugin for plugin in plugins["extractors"]}
        tap = extractors["tap-airbyte"]
        tap["pip_url"] = tap["pip_url"].replace(WRAPPER, wrapper)
        maps = yaml.safe_load(key_maps().strip("`\n").removeprefix("yaml"))["stream_maps"]
        exact = extractors["tap-exact-online"]
        exact["select"] = [f"{name}.*" for name in STREAMS]
        exact["config"] |= {
            "airbyte_config": config,
            "stream_maps": {name: operators for name, operators in maps.items() if name in STREAMS},
        }
        loaders = {plugin["name"]: plugin for plugin in plugins["loaders"]}
        loaders["target-jsonl"]["config"]["destination_path"] = str(self.output)
        loaders["target-postgres"]["config"] |= {"sqlalchemy_url": postgres, "default_target_schema": SCHEMA}
        project = {"default_environment": "dev", "environments": [{"name": "dev"}], "plugins": plugins}
        (folder / "meltano.yml").write_text(yaml.safe_dump(project), encoding="utf-8")

    def install(self) -> None:
        """Install the plugins, the wrapper among them, and build the connector's wheel for the wrapper to find."""
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        self._run([*pip, "--wheel-dir", str(self._folder / "wheels"), str(REPOSITORY)], "the connector's wheel")
        self._meltano(
            ["install"],
            f"Meltano's plugins, with tap-airbyte from {self._wrapper}. It is not on PyPI: where that address cannot "
            "be reached, say TAP_AIRBYTE= and the folder of its sources or what else pip can install it from",
        )

    def load(self, target: str) -> None:
        """Run the pipeline into a target; again where lines of the wrapper have run into each other."""
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            printed = self._meltano(["run", "tap-exact-online", target], f"the run into {target}", may_fail=not last)
            if printed is None:
                return
            if MIXED_LINES not in printed:
                sys.exit(f"{printed[-4000:]}\nFailed: the run into {target}.")
            print(f"  {target}: run again, as lines of tap-airbyte have run into each other", flush=True)

    def _meltano(self, arguments: list[str], what: str, *, may_fail: bool = False) -> str | None:
        return self._run([str(Path(sys.executable).with_name("meltano")), *arguments], what, may_fail=may_fail)

    def _run(self, command: list[str], what: str, *, may_fail: bool = False) -> str | None:
        """Run a command; returns what it printed if it failed and may."""
        run = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        if run.returncode == 0:
            return None
        if not may_fail:
            (self._folder / "failed.log").write_text(run.stdout, encoding="utf-8")
            sys.exit(f"{run.stdout[-4000:]}\nFailed: {what}. All that it printed is in {self._folder}/failed.log.")
        return run.stdout

    def versions(self) -> str:
        """Versions of what has run."""
        found = [f"Meltano {version('meltano')}"]
        for plugin, package in (
            ("extractors/tap-airbyte", "tap-airbyte"),
            ("loaders/target-jsonl", "target-jsonl"),
            ("loaders/target-postgres", "meltanolabs-target-postgres"),
        ):
            code = f"from importlib.metadata import version; print(version({package!r}))"
            python = self._folder / ".meltano" / plugin / "venv" / "bin" / "python"
            found.append(f"{package} {subprocess.check_output([python, '-c', code], text=True).strip()}")
        return ", ".join(found)


def _documented_plugins() -> dict[str, list[dict[str, Any]]]:
    """The plugins as the documentation has them."""
    found = re.search(r"<!-- run by make meltano -->\n```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    if found is None:
        raise ValueError(f"{GUIDE} has no meltano.yml")
    plugins: dict[str, list[dict[str, Any]]] = yaml.safe_load(found[1])["plugins"]
    return plugins


def jsonl_rows(output: Path, stream: str) -> Iterable[Mapping[str, Any]]:
    """The last record of each key in a file that records are appended to, without those that were deleted."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    with (output / f"{stream}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            rows[tuple(record[column] for column in keys()[stream])] = record
    return [row for row in rows.values() if row.get(DELETED_AT) is None]


def postgres_rows(engine: sqlalchemy.Engine, stream: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a table that were not deleted."""
    columns = {column["name"] for column in sqlalchemy.inspect(engine).get_columns(stream, schema=SCHEMA)}
    missing = stream_schema(stream)["properties"].keys() - columns
    if missing:
        raise ValueError(f"{stream} has no columns {sorted(missing)}")
    with engine.connect() as connection:
        for row in connection.exec_driver_sql(f'select * from {SCHEMA}."{stream}"').mappings():
            if row.get(DELETED_AT) is None:
                yield row


def play(rounds: int, seed: int, wrapper: str, postgres: str) -> int:
    """Change and load, again and again; returns the number of differences and of refused token calls."""
    try:
        engine = sqlalchemy.create_engine(postgres)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"drop schema if exists {SCHEMA} cascade")
    except sqlalchemy.exc.OperationalError as error:
        sys.exit(f"No database answers at the address after --postgres: {error.orig}")
    folder = Path(tempfile.mkdtemp(prefix="meltano-"))
    token_file = folder / "tokens.json"
    books = FullBooks(seed, STREAMS)
    differences = 0

    def compared(held: Any) -> Comparison:
        return total(books.compare(stream, held(stream["name"]), str) for stream in books.streams)

    with books.server:
        project = Project(folder, wrapper, postgres, books.config(token_file=str(token_file)))
        project.install()
        print(project.versions())
        for number in range(1, rounds + 1):
            changes = books.change()
            print(f"round {number}: {changes} changes")
            for target in ("target-jsonl", "target-postgres"):
                project.load(target)
                if target == "target-jsonl":
                    found = compared(lambda stream: jsonl_rows(project.output, stream))
                else:
                    found = compared(lambda stream: postgres_rows(engine, stream))
                differences += len(found.differences)
                print(f"  {target}: {len(books.streams)} streams, {found}", flush=True)
                for difference in found.differences[:10]:
                    print(f"    {difference}")
            if number == 1:
                books.grow_versions()
        refused = [call["status"] for call in books.box.token_calls.describe() if call["status"] != 200]
        mode = oct(token_file.stat().st_mode & 0o777)
        print(f"tokens refreshed {books.refreshes} times, {len(refused)} refused; token file {mode}")
    return differences + len(refused)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tap-airbyte", default=WRAPPER, help="folder or pip specification of Meltano's wrapper")
    parser.add_argument("--postgres", help=f"address of a database; its schema {SCHEMA} is dropped")
    options = parser.parse_args()
    if options.postgres is None:
        sys.exit(
            "A PostgreSQL database to load into is missing (Debian: apt install postgresql). Say "
            'make meltano MELTANO_ARGS="--postgres postgresql://user:password@localhost/database".'
        )
    sys.exit(1 if play(options.rounds, options.seed, options.tap_airbyte, options.postgres) else 0)
