"""Runs the connector's console script the way a platform does, and holds each line that it writes to the protocol."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from integration_tests.outputs import OUTPUTS
from integration_tests.protocol import Message, latest_config, members, parse_output

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 120
"""Seconds after which a run of the connector counts as hanging."""

Record = dict[str, Any]
Config = dict[str, Any]
Catalog = dict[str, Any]
State = list[dict[str, Any]]


@cache
def command() -> tuple[str, ...]:
    """The console script beside the interpreter of the tests; its entry point where it is not installed."""
    script = Path(sys.executable).with_name("source-exact-online")
    if script.exists():
        return (str(script),)
    return (sys.executable, "-c", "from source_exact_online.run import run; run()")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of a run on a platform: the working copy is importable, and no token file of the user's in sight."""
    paths = [str(ROOT), str(ROOT / "sandbox"), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "WORKER_JOB_ID": "1", **(extra or {})}
    if not extra or "EXACT_ONLINE_TOKEN_FILE" not in extra:
        found.pop("EXACT_ONLINE_TOKEN_FILE", None)
    return found


@dataclass(slots=True)
class Run:
    """What one command of the connector did.

    Attributes:
        exit_code: of the process; negative if a signal ended it.
        stdout: everything on stdout.
        stderr: everything on stderr.
        messages: stdout as messages.
        seconds: how long it took.
    """

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    messages: list[Message] = field(default_factory=list)
    _records: dict[str, list[Record]] | None = None

    @property
    def by_stream(self) -> dict[str, list[Record]]:
        """Records by stream, in the order in which they were emitted."""
        if self._records is None:
            self._records = {}
            for record in members(self.messages, "RECORD"):
                self._records.setdefault(record["stream"], []).append(record["data"])
        return self._records

    def records(self, stream: str) -> list[Record]:
        """Records of one stream, tombstones aside."""
        return [record for record in self.by_stream.get(stream, []) if "_ab_cdc_deleted_at" not in record]

    def tombstones(self, stream: str) -> list[Record]:
        """Records of one stream that say that a row was deleted."""
        return [record for record in self.by_stream.get(stream, []) if "_ab_cdc_deleted_at" in record]

    @property
    def counts(self) -> Counter[str]:
        """Number of records by stream; streams without records are left out."""
        return Counter({stream: len(records) for stream, records in self.by_stream.items()})

    @property
    def state(self) -> State:
        """What a platform keeps of the state: the last message of each stream."""
        return last_states(self.messages)

    @property
    def errors(self) -> list[str]:
        """Messages of the TRACE errors, in their order."""
        return [trace["error"]["message"] for trace in self._traces("ERROR")]

    @property
    def failure_types(self) -> list[str]:
        """Failure types of the TRACE errors, in their order."""
        return [trace["error"]["failure_type"] for trace in self._traces("ERROR")]

    @property
    def statuses(self) -> dict[str, str]:
        """Last status of each stream."""
        found = {}
        for trace in self._traces("STREAM_STATUS"):
            status = trace["stream_status"]
            found[status["stream_descriptor"]["name"]] = status["status"]
        return found

    @property
    def connection(self) -> dict[str, Any]:
        """The one CONNECTION_STATUS of `check`."""
        (status,) = members(self.messages, "CONNECTION_STATUS")
        return status

    @property
    def controls(self) -> list[Config]:
        """Configurations that were handed to the platform."""
        return [control["connectorConfig"]["config"] for control in members(self.messages, "CONTROL")]

    def logs(self, *levels: str) -> list[str]:
        """Log lines, of all levels or of some."""
        return [log["message"] for log in members(self.messages, "LOG") if not levels or log["level"] in levels]

    @property
    def warnings(self) -> list[str]:
        """Log lines of level WARN."""
        return self.logs("WARN")

    def explain(self) -> str:
        """The end of the output without records and states, for the message of a failed assertion."""
        lines = [
            line for line in self.stdout.split("\n") if '"type":"RECORD"' not in line and '"type":"STATE"' not in line
        ]
        tail = "\n".join(line[:2000] for line in lines[-40:])
        return f"exit code {self.exit_code} after {self.seconds:.1f} s\n{tail}\n{self.stderr[-3000:]}"

    def _traces(self, trace_type: str) -> list[dict[str, Any]]:
        return [trace for trace in members(self.messages, "TRACE") if trace["type"] == trace_type]


def last_states(messages: Iterable[Message]) -> State:
    """The last STATE message of each stream, in the form in which a platform passes them back."""
    found: dict[str, dict[str, Any]] = {}
    for state in members(list(messages), "STATE"):
        kept = {name: value for name, value in state.items() if name in ("type", "stream")}
        found[state["stream"]["stream_descriptor"]["name"]] = kept
    return list(found.values())


def whole_lines(stdout: str) -> str:
    """The lines that a process which was killed had written completely."""
    return stdout[: stdout.rfind("\n") + 1]


class Connector:
    """One connection: a configuration that is kept up to date, and the commands that use it.

    Like a platform it puts the configuration of a CONTROL message in place of its own before the next command.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def spec(self) -> Run:
        """Run `spec`."""
        return self._run(["spec"])

    def check(self, **options: Any) -> Run:
        """Run `check`."""
        return self._with_files("check", options)

    def discover(self, **options: Any) -> Run:
        """Run `discover`."""
        return self._with_files("discover", options)

    def read(
        self,
        catalog: Catalog | Sequence[str],
        state: State | None = None,
        *,
        succeeds: bool | None = True,
        **options: Any,
    ) -> Run:
        """Run `read`.

        Args:
            catalog: a configured catalogue, or names of streams to read incrementally.
            state: what an earlier run left.
            succeeds: whether the exit code has to be 0 (True) or not (False); None if either will do.
            options: further ones, see `_with_files`.
        """
        configured = catalog if isinstance(catalog, dict) else configured_catalog(catalog)
        run = self._with_files("read", options, configured, state)
        if succeeds is not None:
            assert (run.exit_code == 0) is succeeds, run.explain()
        return run

    def start_read(
        self,
        catalog: Catalog,
        state: State | None,
        folder: Path,
        *,
        stdout: IO[str] | int = subprocess.PIPE,
        debug: bool = False,
    ) -> subprocess.Popen[str]:
        """Start `read` and leave it running, its output in a pipe or a file. The files stay in `folder`."""
        arguments = self._files(folder, "read", catalog, state)
        return subprocess.Popen(
            [*command(), *arguments, *(["--debug"] if debug else [])],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment(),
        )

    def apply(self, messages: list[Message]) -> None:
        """Take over the configuration of the last CONTROL message."""
        self.config = latest_config(messages, self.config)

    def _with_files(
        self, verb: str, options: Mapping[str, Any], catalog: Catalog | None = None, state: State | None = None
    ) -> Run:
        """Run a command with its files.

        Options are `debug` (a flag for the connector) and `variables` (environment variables).
        """
        with TemporaryDirectory(prefix="connection-") as folder:
            arguments = self._files(Path(folder), verb, catalog, state)
            if options.get("debug"):
                arguments.append("--debug")
            return self._run(arguments, options.get("variables"))

    def _files(self, folder: Path, verb: str, catalog: Catalog | None, state: State | None) -> list[str]:
        arguments = [verb]
        for name, content in (("config", self.config), ("catalog", catalog), ("state", state)):
            if content is not None:
                path = folder / f"{name}.json"
                path.write_text(json.dumps(content), encoding="utf-8")
                arguments += [f"--{name}", str(path)]
        return arguments

    def _run(self, arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> Run:
        run = run_command(arguments, variables)
        self.apply(run.messages)
        return run


def run_command(arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> Run:
    """Run the console script once.

    Raises:
        ProtocolViolationError: A line on its stdout is not a message.
    """
    began = time.monotonic()
    process = subprocess.run(
        [*command(), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(variables),
        timeout=TIMEOUT,
        check=False,
    )
    seconds = time.monotonic() - began
    OUTPUTS.keep(process.stdout, process.stderr)
    return Run(process.returncode, process.stdout, process.stderr, seconds, parse_output(without_debug(process.stdout)))


def stdout_lines(stdout: str) -> list[str]:
    """Lines with their line feeds; U+2028 and its like inside a value end no line."""
    return re.findall(r"[^\n]*\n|[^\n]+\Z", stdout)


def without_debug(stdout: str) -> str:
    """Output without the lines that the CDK's own `--debug` adds, which are JSON but no messages."""
    return "".join(line for line in stdout_lines(stdout) if not line.startswith('{"type": "DEBUG"'))


@cache
def _discovered() -> dict[str, dict[str, Any]]:
    """Streams by name, as `discover` lists them; it needs neither token nor network."""
    config = {"site": "nl", "credentials": {"client_id": "x", "client_secret": "y", "refresh_token": "z"}}
    run = Connector({**config, "stream_groups": ["all", "undocumented"]}).discover()
    assert run.exit_code == 0, run.explain()
    (catalog,) = members(run.messages, "CATALOG")
    return {stream["name"]: stream for stream in catalog["streams"]}


def discovered_streams() -> dict[str, dict[str, Any]]:
    """A copy of the discovered catalogue's streams by name."""
    return deepcopy(_discovered())


def stream_schema(stream: str) -> dict[str, Any]:
    """JSON schema of a discovered stream."""
    found: dict[str, Any] = _discovered()[stream]["json_schema"]
    return found


def configured_catalog(
    streams: Iterable[str], sync_mode: str = "incremental", columns: Mapping[str, Iterable[str]] | None = None
) -> Catalog:
    """A configured catalogue.

    Args:
        streams: names of the streams.
        sync_mode: `incremental` or `full_refresh`.
        columns: for some streams the only properties to keep in the schema, as if all others had been unticked.
    """
    configured = []
    for name in streams:
        stream = deepcopy(_discovered()[name])
        if columns is not None and name in columns:
            kept = set(columns[name])
            properties = stream["json_schema"]["properties"]
            stream["json_schema"]["properties"] = {key: value for key, value in properties.items() if key in kept}
        configured.append(
            {
                "stream": stream,
                "sync_mode": sync_mode,
                "destination_sync_mode": "append_dedup" if sync_mode == "incremental" else "overwrite",
                "cursor_field": stream.get("default_cursor_field", []),
                "primary_key": stream["source_defined_primary_key"],
            }
        )
    return {"streams": configured}


def all_streams() -> list[str]:
    """Names of all streams, in the order of the catalogue."""
    return list(_discovered())
