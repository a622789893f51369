"""What a person sees while a load runs: one line that moves in a terminal, plain lines elsewhere. On stderr."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from typing import TextIO

_INTERVAL = 0.2
"""Seconds between two changes of the line that moves."""

_TIME_WIDTH = len("  1:01 ")
"""Columns that the time takes in front of it."""


class Screen:
    """Tells how a load is getting on.

    Args:
        out: where to.
        monotonic: seconds.
    """

    def __init__(self, out: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._live = out.isatty()
        self._monotonic = monotonic
        self._began = self._shown_at = monotonic()
        self._note = ""
        self._is_written = False

    @property
    def seconds(self) -> float:
        """Seconds since the load began."""
        return self._monotonic() - self._began

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        print(text, file=self._out, flush=True)

    def note(self, text: str) -> None:
        """Show what goes on just now: until something else does in a terminal, as a line elsewhere."""
        if self._live:
            self._show(text)
        else:
            self.say(text)

    def progress(self, parts: Callable[[], Sequence[str]]) -> None:
        """Show how far the load is, in a terminal and not too often.

        Args:
            parts: tells it; the last ones are left out where the terminal is too narrow.
        """
        if self._live and self._monotonic() - self._shown_at >= _INTERVAL:
            shown = list(parts())
            while len(shown) > 1 and len(", ".join(shown)) > self._room:
                shown.pop()
            self._show(", ".join(shown))

    def clear(self) -> None:
        """Remove the line that moves."""
        if self._is_written:
            self._out.write("\r\x1b[K")
            self._is_written = False

    @property
    def _room(self) -> int:
        return max(0, shutil.get_terminal_size().columns - 1 - _TIME_WIDTH)

    def _show(self, text: str) -> None:
        minutes, seconds = divmod(int(self.seconds), 60)
        self._out.write(f"\r{minutes:>3}:{seconds:02} {text[: self._room]}\x1b[K")
        self._out.flush()
        self._is_written = True
        self._shown_at = self._monotonic()


class ScreenLog(logging.Handler):
    """Shows the connector's log lines: warnings stay, the rest tells what goes on.

    Args:
        screen: where.
        clean: takes secrets out of a text.
    """

    def __init__(self, screen: Screen, clean: Callable[[str], str]) -> None:
        super().__init__(logging.INFO)
        self._screen = screen
        self._clean = clean

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line. Tables, which have several, are for a platform's log."""
        text = self._clean(record.getMessage())
        if record.levelno >= logging.WARNING:
            self._screen.say(f"{record.levelname.capitalize()}: {text}")
        elif "\n" not in text:
            self._screen.note(text)
