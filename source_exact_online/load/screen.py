"""What a person sees while a load runs: one line that moves in a terminal, plain lines elsewhere. On stderr."""

from __future__ import annotations

import logging
import re
import shutil
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from source_exact_online.words import printable

_INTERVAL = 0.2
"""Seconds between two changes of the line that moves."""

_PARTS = re.compile(r"(.+)[,;] ")
"""All parts of a text but the last."""


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
        """Print a line that stays; in a terminal in lines of whole words."""
        self.clear()
        if self._live:
            width = shutil.get_terminal_size().columns
            text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
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
            self._show(", ".join(parts()))

    def clear(self) -> None:
        """Remove the line that moves."""
        if self._is_written:
            self._out.write("\r\x1b[K")
            self._is_written = False

    def _show(self, text: str) -> None:
        """Show a text in the line that moves; of one that is too long, the parts that fit."""
        minutes, seconds = divmod(int(self.seconds), 60)
        time_ = f"{minutes:>3}:{seconds:02} "
        room = max(0, shutil.get_terminal_size().columns - 1 - len(time_))
        while len(text) > room and (shorter := _PARTS.match(text)):
            text = shorter[1]
        self._out.write(f"\r{time_}{text[:room]}\x1b[K")
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
        text = printable(self._clean(record.getMessage()))
        if record.levelno >= logging.WARNING:
            self._screen.say(f"{record.levelname.capitalize()}: {text}")
        elif "\n" not in text:
            self._screen.note(text)
