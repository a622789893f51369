"""The console script in a process of its own whose network and clock are in the hands of its parent.

It is forked off a process that has imported the connector, which takes milliseconds, and can be ended by real signals.
Its requests and its sleeps go through a pipe to the parent, which answers them: time passes when the parent says so.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import requests

from exact_online_sandbox.clock import Clock
from exact_online_sandbox.http import Answer, Request
from exact_online_sandbox.wallclock import instant_from_ms
from integration_tests.connector import without_debug
from integration_tests.direct import AnswerAdapter
from integration_tests.protocol import Message, parse_output
from integration_tests.warm import start
from source_exact_online import source
from source_exact_online.clock import SleepInterruptedError, SystemClock

HANGS = 120.0
"""Seconds without a word from a process after which it hangs."""

Event = Request | float
"""What a process asks for: the answer to a request, or so many seconds of sleep."""

BeforeEvent = Callable[[Event], signal.Signals | None]
"""Told of each event of a process before it takes effect; a signal ends the process at that moment."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended.

    Attributes:
        exit_code: negative if a signal ended it.
        messages: what it wrote, in whole lines.
        output: all of that as text, and what it wrote to stderr.
        events: requests and sleeps.
        signal: that it was sent.
        descriptors: most file descriptors that were seen open.
        memory_kb: most memory of its own that was seen, pages that it shares with its parent aside.
    """

    exit_code: int
    messages: list[Message]
    output: tuple[str, str]
    events: int
    signal: signal.Signals | None
    descriptors: int
    memory_kb: int


def run_forked(
    arguments: Sequence[str], folder: Path, clock: Clock, answer: Callable[[Request], Answer], before: BeforeEvent
) -> Ended:
    """Run a command of the connector to its end.

    Args:
        arguments: of the command line.
        folder: for its output.
        clock: its time, and the sandbox's. It moves when the process sleeps, or by `before` and `answer`.
        answer: gives the sandbox's answers.
        before: told of each event.

    Raises:
        TimeoutError: the process hangs.
    """
    output, errors = folder / "stdout.jsonl", folder / "stderr.txt"
    for path in (output, errors):
        path.unlink(missing_ok=True)
    ours, theirs = Pipe()

    def attach() -> None:
        ours.close()
        _attach(Wire(theirs, clock.now_ms()))

    pid = start(arguments, str(output), str(errors), attach)
    theirs.close()
    events, descriptors, memory_kb, sent = 0, 0, 0, None
    try:
        with suppress(EOFError, ConnectionError):  # the process has ended
            while True:
                if not ours.poll(HANGS):
                    raise TimeoutError(f"the connector hangs: {output.read_text()[-3000:]}")
                event = ours.recv()
                if events % 20 == 0:
                    descriptors = max(descriptors, len(os.listdir(f"/proc/{pid}/fd")))
                    memory_kb = max(memory_kb, _own_memory_kb(pid))
                events += 1
                asked = before(event)
                if asked is not None and sent is None:
                    sent = asked
                    os.kill(pid, sent)
                    if sent is signal.SIGKILL:
                        break
                if isinstance(event, Request):
                    said = answer(event)
                    clock.advance(said.wait)
                else:
                    said = None
                    clock.advance(max(event, 0.001))  # it counts milliseconds: less would not let time pass
                ours.send((clock.now_ms(), said))
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        ours.close()
        _, status = os.waitpid(pid, 0)
    text = output.read_text(encoding="utf-8")
    lines = text if sent is not signal.SIGKILL else text[: text.rfind("\n") + 1]
    return Ended(
        os.waitstatus_to_exitcode(status),
        parse_output(without_debug(lines)),
        (text, errors.read_text(encoding="utf-8")),
        events,
        sent,
        descriptors,
        memory_kb,
    )


def _own_memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n")
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty", "Private_Clean")))


class Wire:
    """The process's end of the pipe. Thread-safe.

    Args:
        connection: to the parent.
        now_ms: the time, milliseconds since 1970 UTC.
    """

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self.now_ms = now_ms
        self._connection = connection
        self._lock = threading.Lock()
        self._broken = False

    def ask(self, event: Event) -> Any:
        """Wait for the parent.

        Raises:
            requests.ConnectionError: a signal has interrupted an event before; nothing can be asked any more.
        """
        with self._lock:
            if self._broken:
                raise requests.ConnectionError("an event was interrupted")
            self._broken = True
            self._connection.send(event)
            self.now_ms, said = self._connection.recv()
            self._broken = False
            return said


def _attach(wire: Wire) -> None:
    """Put the wire in place of the network and the clock."""

    class WireClock(SystemClock):
        """The parent's time."""

        def now(self) -> datetime:
            return instant_from_ms(wire.now_ms)

        def monotonic(self) -> float:
            return wire.now_ms / 1000

        def sleep(self, seconds: float) -> None:
            if self._interrupted.is_set():
                raise SleepInterruptedError
            if seconds > 0:
                wire.ask(seconds)

    adapter = AnswerAdapter(wire.ask, wire.ask)
    requests.Session.get_adapter = lambda *_, **__: adapter  # type: ignore[assignment]
    source.SystemClock = WireClock  # type: ignore[misc]
