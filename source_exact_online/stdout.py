"""The way to stdout: whole lines only, in UTF-8, whoever writes and however the process ends.

Records and states come from the main thread, log lines and changed configurations from any. A signal waits until the
line under way is out.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable
from types import FrameType, TracebackType

import orjson

_HELD_BACK = 1 << 16
"""Bytes of text after which it goes out even if nobody asks for it."""

_STATUS = '{"type":"CONNECTION_STATUS"'


class StdoutError(Exception):
    """Nothing can be written to stdout any more; the text says why."""


class MessageBuffer:
    """Takes the place of stdout while used as a context. Thread-safe, and safe against signals."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._buffer = bytearray()
        self._writing = 0
        self._is_deferred = False
        self.ending: int | None = None

    def __enter__(self) -> MessageBuffer:
        """Take the place of stdout."""
        self._stdout = sys.stdout
        sys.stdout = self  # stderr stays what it is
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write out the rest; from here on signals change nothing, as all that is left is to end."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_IGN)
        self._is_deferred = False
        try:
            self.flush()
        finally:
            sys.stdout = self._stdout

    def write(self, text: str) -> int:
        """Take a text; from time to time everything taken goes out.

        Raises:
            BrokenPipeError: nobody reads stdout any more.
            StdoutError: it cannot be written for another reason.
        """
        with self._lock:
            self._buffer += text.encode("utf-8", "replace")
            if len(self._buffer) >= _HELD_BACK:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Write out everything taken; raise what `write` raises."""
        with self._lock:
            data, self._buffer = self._buffer, bytearray()
            self._write(bytes(data))
        self._end_if_deferred()

    def write_lines(self, lines: bytes | bytearray) -> None:
        """Write out whole lines at once, behind everything taken before; raise what `write` raises."""
        with self._lock:
            self.flush()
            self._write(lines)
        self._end_if_deferred()

    def take_over(self) -> None:
        """Let log lines come through here, and let SIGTERM and SIGINT end the process between two lines.

        Raises:
            BrokenPipeError: nobody reads stdout any more.
            StdoutError: it cannot be written for another reason.
        """
        logging.raiseExceptions = False  # a closed pipe ends the run at the next message, not with a traceback a line
        self._write(b"")
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.acquire()
                handler.stream = self
                handler.release()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._on_signal)

    def print_all(self, messages: Iterable[str | bytes | bytearray]) -> int:
        """Print the messages of a run; return the exit code: 1 after a failed check.

        Args:
            messages: a text is one message, bytes are the lines of many. Each goes out at once, so that no checkpoint
                that was earned waits for the next page.
        """
        code = 0
        for message in messages:
            if isinstance(message, str):
                self.write(message + "\n")
                self.flush()
                if message.startswith(_STATUS):
                    code = 0 if orjson.loads(message)["connectionStatus"]["status"] == "SUCCEEDED" else 1
            else:
                self.write_lines(message)
            if self.ending is not None:  # some code that is not ours has swallowed the end
                raise SystemExit(self.ending)
        return code

    def _write(self, data: bytes | bytearray) -> None:
        step = 1 if threading.current_thread() is threading.main_thread() else 0  # the only one that signals reach
        self._writing += step
        try:
            if sys.__stdout__ is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            sys.__stdout__.buffer.write(data)  # type: ignore[arg-type]  # any buffer will do
            sys.__stdout__.buffer.flush()
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is closed"
            raise StdoutError(f"The output cannot be written to stdout: {reason}.") from error
        finally:
            self._writing -= step

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        """End at once, or behind the line under way. A second signal does not wait: the reader may be stuck.

        Where a finalizer runs, an exception is swallowed; `ending` stays, so that the run ends at its next message.
        """
        asked_before, self.ending = self.ending is not None, 128 + signum
        if asked_before or not self._writing:
            self._is_deferred = False
            raise SystemExit(self.ending)
        self._is_deferred = True

    def _end_if_deferred(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        if self._is_deferred and not self._writing and main:
            self._is_deferred = False  # once: what is still written on the way out is not interrupted
            raise SystemExit(self.ending)
