"""Record the core streams of an account: `python -m integration_tests.record --config config.json`.

Two pages of each listing are read with the connector itself, everything personal is replaced, and only then is anything
written: one cassette for each endpoint, in the form of vcrpy. Then the open questions that the answers settle are
printed. Without a configuration the sandbox is recorded, as a rehearsal.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from integration_tests.record.exchanges import Exchange, recording
from integration_tests.record.privacy import Leak, Privacy
from integration_tests.record.questions import QUESTIONS, Finding
from source_exact_online.catalog.configured import configured_catalog
from source_exact_online.catalog.definitions import UNDOCUMENTED
from source_exact_online.catalog.offer import offered
from source_exact_online.source import SourceExactOnline

START = "2000-01-01T00:00:00Z"
"""Start of the recording, early enough for all rows: with one, SyncTimestamp is asked for."""


def exchanges_of(config: dict[str, Any], token_file: Path) -> list[Exchange]:
    """Read the core streams and those that are not documented; return what was asked and answered.

    Args:
        config: a configuration of the connector.
        token_file: keeps the login, whose refresh token is spent by this, unless the configuration says what does.
    """
    credentials = config["credentials"]
    if not (credentials.get("token_file") or credentials.get("token_store")):
        credentials = {**credentials, "token_file": str(token_file)}
    config = {"start_date": START, **config, "credentials": credentials, "num_workers": 1, "quota_wait_minutes": 0}
    streams = [one for one in offered(frozenset({"all", UNDOCUMENTED})) if one.core or one.group == UNDOCUMENTED]
    catalog = ConfiguredAirbyteCatalogSerializer.load(configured_catalog(streams, "incremental"))
    source = SourceExactOnline()
    with recording() as kept, _quiet_stdout():
        try:
            for _ in source.read_batches(config, catalog):
                pass
        except AirbyteTracedException as error:
            print(f"The reading ended early: {error.message}", file=sys.stderr)
        finally:
            source.shutdown()
    return kept


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Keep the connector's messages, which bear rows and tokens, off the screen."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


def cassettes(exchanges: list[Exchange]) -> dict[str, str]:
    """Return the cassette of each endpoint by file name, as vcrpy writes them."""
    by_path: dict[str, list[dict[str, Any]]] = {}
    for one in exchanges:
        by_path.setdefault(one.path, []).append(
            {
                "request": {"method": "GET", "uri": one.url, "headers": {}, "body": None},
                "response": {
                    "status": {"code": one.status, "message": ""},
                    "headers": {name: [value] for name, value in one.headers.items()},
                    "body": {"string": one.body.decode()},
                },
            }
        )
    return {
        f"{path.replace('/', '.')}.yaml": yaml.safe_dump({"interactions": found, "version": 1}, allow_unicode=True)
        for path, found in by_path.items()
    }


def report(seen: Sequence[Finding | None]) -> Iterator[str]:
    """Yield what is to be said of each open question, in their order."""
    for question, found in zip(QUESTIONS, seen, strict=True):
        if found is None:
            yield f"  ?  {question.text} Nothing in this account shows it. Assumed: {question.assumed}."
        else:
            told, is_assumed = found
            mark = {True: "=", False: "!", None: "+"}[is_assumed]
            yield f"  {mark}  {question.text} {told}. Assumed: {question.assumed}."


def record(config: dict[str, Any], folder: Path, token_file: Path) -> int:
    """Record an account, write the cassettes and print the report; return the exit code."""
    raw = exchanges_of(config, token_file)
    privacy = Privacy()
    clean = [privacy.scrubbed(one) for one in raw]
    files = cassettes(clean)
    seen = [one.answer(clean) for one in QUESTIONS]
    try:
        privacy.check(files.values())
    except Leak as leak:
        print(f"Nothing was written: {leak}.")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(clean)} answers of {len(files)} endpoints are in {folder}/, without anything personal.")
    print("Open questions: = as assumed, ! other than assumed, + news, ? not answered.")
    print("\n".join(report(seen)))
    print("Please look through the files, and send them with this report if you like.")
    return 0


@contextlib.contextmanager
def _sandbox() -> Iterator[dict[str, Any]]:
    """Start a sandbox and yield a configuration for it."""
    with tempfile.TemporaryDirectory(prefix="record-") as folder:
        file = Path(folder) / "config.json"
        command = [sys.executable, "-m", "exact_online_sandbox", "--all-endpoints", "--connector-config", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                division = json.loads(process.stdout.readline())["divisions"][0]
                yield {**json.loads(file.read_text(encoding="utf-8")), "divisions": [division]}
            finally:
                process.terminate()


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m integration_tests.record", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--config", type=Path, metavar="PATH", help="of an account; without it, the sandbox is recorded"
    )
    parser.add_argument("--to", type=Path, default=Path("recordings"), metavar="FOLDER", help="default: recordings")
    parser.add_argument(
        "--division", type=int, metavar="N", help="the administration to record; default: the first configured"
    )
    options = parser.parse_args()
    if options.config is not None:
        config = json.loads(options.config.read_text(encoding="utf-8"))
        divisions = [options.division] if options.division else config.get("divisions", [])[:1]
        if not divisions:
            parser.error("say which administration to record: --division N, the number in the address of its pages")
        config["divisions"] = divisions
        return record(config, options.to, options.config.with_suffix(".tokens.json"))
    with _sandbox() as config, tempfile.TemporaryDirectory(prefix="record-") as folder:
        return record(config, options.to, Path(folder) / "tokens.json")


if __name__ == "__main__":
    sys.exit(main())
