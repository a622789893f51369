"""Text for a terminal: headings, tables, and a line that moves while something takes its time."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TextIO

BOLD, DIM, GREEN, CYAN, YELLOW, RED = "1", "2", "32", "36", "33", "31"
WIDTH = 80
"""Columns that the report fits in."""

_MARGIN = "  "
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_BAR = re.compile("[█▉▊▋▌▍▎▏]+")

Cell = object
"""A value of a table: text stays left, numbers go right, None is left empty."""


class Terminal:
    """Writes the report. Colours only where they are shown (https://no-color.org, CLICOLOR_FORCE)."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        """Report on a text stream."""
        self._out = out
        self._live = out.isatty()
        forced = os.environ.get("CLICOLOR_FORCE", "0") != "0"
        self._coloured = forced or (self._live and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb")

    def style(self, text: str, *codes: str) -> str:
        """Return the text in a style, where styles are shown."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._coloured and text and codes else text

    def title(self, text: str, beside: str) -> None:
        """Print the first line of the report."""
        self._print(f"\n {self.style(text, BOLD)}  {self.style(beside, DIM)}")

    def heading(self, text: str, beside: str = "") -> None:
        """Print a heading, with a remark at the right margin."""
        gap = " " * max(2, WIDTH - len(text) - len(beside) - 1)
        self._print(f"\n {self.style(text, BOLD, CYAN)}{gap}{self.style(beside, DIM)}".rstrip())

    def line(self, text: str = "", *codes: str) -> None:
        """Print a line of text."""
        self._print((_MARGIN + self.style(text, *codes)).rstrip())

    def done(self, text: str) -> None:
        """Print a line that says that something is well."""
        self._print(f"{_MARGIN}{self.style('✓', BOLD, GREEN)} {text}")

    def failed(self, text: str) -> None:
        """Print a line that says that something is not well."""
        self._print(f"{_MARGIN}{self.style('✗', BOLD, RED)} {text}")

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, total: Sequence[Cell] | None = None
    ) -> None:
        """Print a table with its columns' names, and perhaps a last row of totals.

        A column whose name is blank has no rule under it.
        """
        written = [[_written(value) for value in row] for row in (*rows, *([total] if total else []))]
        right = [all(_is_number(row[at]) for row in rows) and bool(rows) for at in range(len(columns))]
        widths = [max([len(name), *(len(row[at]) for row in written)]) for at, name in enumerate(columns)]
        self._row(columns, widths, right, DIM)
        rules = ["─" * width if name.strip() else "" for name, width in zip(columns, widths, strict=True)]
        self._row(rules, widths, right, DIM)
        for row in written[: len(rows)]:
            self._row(row, widths, right)
        for row in written[len(rows) :]:
            self._row(rules, widths, right, DIM)
            self._row(row, widths, right, BOLD)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something is under way, and for how long; nothing where a line cannot be written over."""
        if not self._live:
            yield
            return
        over = threading.Event()
        painter = threading.Thread(target=self._spin, args=(text, over), daemon=True)
        painter.start()
        try:
            yield
        finally:
            over.set()
            painter.join()

    def _spin(self, text: str, over: threading.Event) -> None:
        begun, frame = time.monotonic(), 0
        while not over.wait(0.1):
            seconds = time.monotonic() - begun
            mark = self.style(_FRAMES[frame % len(_FRAMES)], CYAN)
            self._out.write(f"\r{_MARGIN}{mark} {text} {self.style(f'{seconds:.0f} s', DIM)}\x1b[K")
            self._out.flush()
            frame += 1
        self._out.write("\r\x1b[K")
        self._out.flush()

    def _row(self, cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], *codes: str) -> None:
        aligned = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        ]
        line = self.style("  ".join(aligned).rstrip(), *codes)
        self._print(_MARGIN + _BAR.sub(lambda bar: self.style(bar.group(), CYAN), line))

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def _is_number(value: Cell) -> bool:
    return value is None or isinstance(value, int | float | Decimal)


def _written(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float | Decimal):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
