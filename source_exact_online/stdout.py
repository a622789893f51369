"""The way to stdout: whole lines only, whoever writes and however the process ends.

Records and states come from the main thread, log lines and changed configurations from any. The CDK's print buffer
puts a lock round them, but a signal in the middle of a blocked write leaves half a line behind and repeats what was
in the buffer. Here a signal waits until the line is out.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from types import FrameType

import orjson
from airbyte_cdk.models import Status
from airbyte_cdk.utils import PrintBuffer

RECORD = '{"type":"RECORD"'


class MessageBuffer(PrintBuffer):
    """The CDK's print buffer, made safe against signals. Use as a context: it takes the place of stdout."""

    def __init__(self) -> None:
        super().__init__()
        self._writing = 0
        self._ending: int | None = None

    def __enter__(self) -> MessageBuffer:
        self.old_stdout, self.old_stderr = sys.stdout, sys.stderr
        sys.stdout = self  # stderr stays what it is
        return self

    def __exit__(self, *exception: object) -> None:
        """Write out the rest; from here on signals change nothing, as all that is left is to end."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_IGN)
        self._ending = None
        self.flush()
        sys.stdout, sys.stderr = self.old_stdout, self.old_stderr

    def write(self, message: str) -> None:
        """Take a text; from time to time everything taken goes out."""
        with self.lock, _Counted(self):
            super().write(message)
        self._end_if_asked()

    def flush(self) -> None:
        """Write out everything taken."""
        with self.lock, _Counted(self):
            text, self.buffer = self.buffer.getvalue(), StringIO()
            if text and sys.__stdout__ is not None:
                sys.__stdout__.write(text)
                sys.__stdout__.flush()
        self._end_if_asked()

    def take_over(self) -> None:
        """Let log lines come through here, and let SIGTERM and SIGINT end the process between two lines."""
        logging.raiseExceptions = False  # a closed pipe ends the run at the next message, not with a traceback a line
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(self)
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._on_signal)

    def print_all(self, lines: Iterator[str]) -> int:
        """Print the messages of a run; returns the exit code: 1 after a failed check.

        Everything but records goes out at once, so that no checkpoint that was earned waits for the next page.
        """
        code = 0
        for line in lines:
            self.write(line + "\n")
            if line.startswith(RECORD):
                continue
            self.flush()
            if line.startswith('{"type":"CONNECTION_STATUS"'):
                code = 0 if orjson.loads(line)["connectionStatus"]["status"] == Status.SUCCEEDED.value else 1
        return code

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        """End at once, or behind the line under way. A second signal does not wait: the reader may be stuck."""
        asked_before, self._ending = self._ending is not None, 128 + signum
        if asked_before or not self._writing:
            self._ending = None
            raise SystemExit(128 + signum)

    def _end_if_asked(self) -> None:
        if self._ending is not None and not self._writing and threading.current_thread() is threading.main_thread():
            ending, self._ending = self._ending, None  # once: what is still written on the way out is written in peace
            raise SystemExit(ending)


class _Counted:
    """Marks that the main thread, the only one that signals reach, is writing."""

    def __init__(self, buffer: MessageBuffer) -> None:
        self._buffer = buffer
        self._step = 1 if threading.current_thread() is threading.main_thread() else 0

    def __enter__(self) -> None:
        self._buffer._writing += self._step

    def __exit__(self, *exception: object) -> None:
        self._buffer._writing -= self._step
