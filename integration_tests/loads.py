"""Runs `source-exact-online load` as a person does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from integration_tests.connector import Config, command, environment
from integration_tests.outputs import OUTPUTS

TIMEOUT = 900
"""Seconds after which a load counts as hanging: all streams, on a machine that has much else to do."""


@dataclass(frozen=True, slots=True)
class LoadRun:
    """What one load did."""

    exit_code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"exit code {self.exit_code}\n{self.stdout}\n{self.stderr}"


@dataclass(frozen=True, slots=True)
class Loader:
    """A configuration file and a destination."""

    config_file: Path
    to: str | None = None
    variables: Mapping[str, str] | None = None

    @classmethod
    def of(cls, folder: Path, config: Config, to: str | None = None, **variables: str) -> Loader:
        """Write a configuration file into a folder."""
        file = folder / "config.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        return cls(file, to, variables)

    @property
    def config(self) -> Config:
        """The configuration as it stands in the file now."""
        found: Config = json.loads(self.config_file.read_text(encoding="utf-8"))
        return found

    def run(self, *options: str, succeeds: bool = True) -> LoadRun:
        """Load; `succeeds` says whether the exit code has to be 0 or 1."""
        process = self.start(*options)
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        OUTPUTS.keep(stdout, stderr)
        run = LoadRun(process.returncode, stdout, stderr)
        assert run.exit_code == (0 if succeeds else 1), run
        return run

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start a load and leave it running."""
        to = ["--to", self.to] if self.to else []
        return subprocess.Popen(
            [*command(), "load", "--config", str(self.config_file), *to, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=self.config_file.parent,
            env=environment(self.variables),
        )
