"""Runs the console script's code in children of one process that has imported it already.

A command takes a second and a half to start, nearly all of it to import. Tests that start hundreds of them, or kill
them at a moment that counts milliseconds, start them here; each is still a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration_tests.connector import ROOT, TIMEOUT, environment, whole_lines, without_debug
from integration_tests.outputs import OUTPUTS
from integration_tests.protocol import Message, parse_output


@dataclass(frozen=True, slots=True)
class Child:
    """A command that was started.

    Attributes:
        parent: who started it.
        pid: of its process.
        output: file that its stdout goes to.
        errors: file that its stderr goes to.
    """

    parent: Warm
    pid: int
    output: Path
    errors: Path

    def exit_code(self) -> int | None:
        """Its exit code, negative if a signal ended it; None while it runs."""
        code = self.parent.tell(poll=self.pid)
        return None if code is None else int(code)

    def wait(self, seconds: float = TIMEOUT) -> int:
        """Wait for its end; gives the exit code. One that does not end is killed."""
        deadline = time.monotonic() + seconds
        while (code := self.exit_code()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"the command did not end: {self.output.read_text()[-2000:]}")
            time.sleep(0.01)
        OUTPUTS.keep(self.output.read_text(encoding="utf-8"), self.errors.read_text(encoding="utf-8"))
        return code

    def kill(self) -> None:
        """End it at once. Its process id is not given to another process before `wait`."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def messages(self) -> list[Message]:
        """What it has said."""
        return parse_output(without_debug(whole_lines(self.output.read_text(encoding="utf-8"))))


class Warm:
    """The process that has imported everything. Thread-safe.

    Args:
        folder: for the outputs of its children.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._started = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "integration_tests.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=ROOT,
        )

    def start(self, *arguments: str) -> Child:
        """Start a command of the connector."""
        with self._lock:
            self._started += 1
            output = self._folder / f"stdout-{self._started}.jsonl"
        errors = output.with_suffix(".err")
        pid = self.tell(arguments=arguments, output=str(output), errors=str(errors))
        return Child(self, pid, output, errors)

    def tell(self, **order: Any) -> Any:
        """Give an order to the process; its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        """End the process; children have to be over."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@contextmanager
def warm_connector(folder: Path) -> Iterator[Warm]:
    """A process to start commands from."""
    warm = Warm(folder)
    try:
        yield warm
    finally:
        warm.stop()


def start(arguments: Sequence[str], output: str, errors: str, before: Callable[[], None] | None = None) -> int:
    """Run the console script in a child of this process, which must have no other threads.

    Args:
        arguments: of the command line.
        output: file that its stdout goes to.
        errors: file that its stderr goes to.
        before: called in the child before the script begins.

    Returns:
        The process id.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        if before is not None:
            before()
        for path, number in ((os.devnull, 0), (output, 1), (errors, 2)):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            os.dup2(os.open(path, flags, 0o600), number)
        sys.argv = ["source-exact-online", *arguments]
        from source_exact_online.run import run

        run()
    finally:
        os._exit(99)  # reached by an error only; the console script has ended the process by itself


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _serve() -> None:
    import source_exact_online.entrypoint
    import source_exact_online.run  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_poll(order["poll"]) if "poll" in order else start(**order)), flush=True)


if __name__ == "__main__":
    _serve()
