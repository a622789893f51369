"""What a process costs: CPU time, memory and time on the wall, as the kernel counted them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

ROOT = Path(__file__).resolve().parent.parent


class ProcessError(Exception):
    """A program that was to be measured has failed; the text has the end of what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a program cost, start-up included.

    Attributes:
        cpu: seconds of CPU, user and system.
        seconds: on the wall.
        rss: most memory held at a time, in MB (10^6 bytes).
    """

    cpu: float
    seconds: float
    rss: float


def run(command: Sequence[str], stdout: IO[bytes] | int = subprocess.DEVNULL) -> Cost:
    """Run a program to its end and return what it cost.

    Args:
        command: program and arguments.
        stdout: where its output goes.

    Raises:
        ProcessError: it has failed.
    """
    variables: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=variables, cwd=ROOT) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if process.returncode:
        raise ProcessError(f"{' '.join(command)} ended with {process.returncode}: {said[-2000:].decode()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss * unit / 1e6)


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the medians of some runs of one program."""
    return Cost(
        median(cost.cpu for cost in costs),
        median(cost.seconds for cost in costs),
        median(cost.rss for cost in costs),
    )
