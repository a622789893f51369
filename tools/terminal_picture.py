"""Draw what a program printed on a terminal as an SVG: `python -m tools.terminal_picture printed.txt picture.svg`.

Each run of characters stands at its own column and is stretched to its width, so that tables stay straight in whatever
monospaced font the viewer has. Lines and bars are drawn as rectangles, as fonts do not agree on how wide those are.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

CELL_WIDTH, LINE_HEIGHT, FONT_SIZE = 8.4, 18, 14
"""Size of a character and of the font, in pixels."""
MARGIN, TITLE_HEIGHT = 18, 34
FONTS = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'

BACKGROUND, FRAME, FOREGROUND, FAINT = "#10161d", "#2b3542", "#d5dde6", "#7d8b9a"
COLOURS = {31: "#ff7b72", 32: "#5fd38d", 33: "#e9b949", 36: "#6cc7f0"}
"""Colour by number of the SGR sequence (ECMA-48) that asks for it."""

_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")
_BLOCKS = {block: (8 - at) / 8 for at, block in enumerate("█▉▊▋▌▍▎▏")}
_PIECES = re.compile(rf"─+|[{''.join(_BLOCKS)}]+|[^─{''.join(_BLOCKS)}]+")


@dataclass(frozen=True, slots=True)
class Style:
    """How a run of characters looks."""

    colour: str = FOREGROUND
    bold: bool = False

    def after(self, codes: str) -> Style:
        """Return the style that an SGR sequence leads to; codes it does not know are left out."""
        style = self
        for code in (int(part or 0) for part in codes.split(";")):
            if code == 0:
                style = Style()
            elif code == 1:
                style = Style(style.colour, True)
            elif code == 2:
                style = Style(FAINT, style.bold)
            elif code in COLOURS:
                style = Style(COLOURS[code], style.bold)
        return style


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one style, beginning at a column."""

    column: int
    text: str
    style: Style


def runs(line: str) -> list[Run]:
    """Return the runs of a printed line; blanks between them are left out."""
    found: list[Run] = []
    column, at, style = 0, 0, Style()
    for sequence in (*_SEQUENCE.finditer(line), None):
        text = line[at : sequence.start() if sequence else None]
        found += [Run(column + word.start(), word.group(), style) for word in re.finditer(r"\S+(?: \S+)*", text)]
        column += len(text)
        if sequence is not None:
            at = sequence.end()
            style = style.after(sequence.group(1)) if sequence.group(2) == "m" else style
    return found


def without(printed: str, headings: Sequence[str]) -> str:
    """Return what was printed, without the paragraphs (up to a blank line) that begin with one of the headings."""
    paragraphs = printed.strip("\n").split("\n\n")
    kept = [text for text in paragraphs if not _SEQUENCE.sub("", text).lstrip().startswith(tuple(headings))]
    return "\n\n".join(kept) + "\n"


def picture(printed: str, title: str) -> str:
    """Return the SVG of what was printed."""
    lines = [runs(line) for line in printed.strip("\n").splitlines()]
    columns = max((run.column + len(run.text) for line in lines for run in line), default=1)
    width = round(2 * MARGIN + columns * CELL_WIDTH)
    height = TITLE_HEIGHT + 2 * MARGIN + len(lines) * LINE_HEIGHT
    body = "\n".join(shape for row, line in enumerate(lines) for run in line for shape in _shapes(row, run))
    dots = "".join(
        f'<circle cx="{20 + 18 * at}" cy="{TITLE_HEIGHT / 2}" r="5.5" fill="{colour}"/>'
        for at, colour in enumerate((COLOURS[31], COLOURS[33], COLOURS[32]))
    )
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">
<title>{escape(title)}</title>
<style>text {{ font: {FONT_SIZE}px {FONTS}; white-space: pre }}</style>
<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="9" fill="{BACKGROUND}" stroke="{FRAME}"/>
<path d="M1 {TITLE_HEIGHT}H{width - 1}" stroke="{FRAME}"/>
{dots}
<text x="{width / 2}" y="{TITLE_HEIGHT / 2 + 5}" fill="{FAINT}" text-anchor="middle">{escape(title)}</text>
{body}
</svg>
"""


def _shapes(row: int, run: Run) -> Iterator[str]:
    top = TITLE_HEIGHT + MARGIN + row * LINE_HEIGHT
    fill = f'fill="{run.style.colour}"'
    for piece in _PIECES.finditer(run.text):
        text, x = piece.group(), MARGIN + (run.column + piece.start()) * CELL_WIDTH
        if text[0] == "─":
            width = len(text) * CELL_WIDTH
            yield f'<rect x="{x:.1f}" y="{top + LINE_HEIGHT / 2:.1f}" width="{width:.1f}" height="1" {fill}/>'
        elif text[0] in _BLOCKS:
            width = sum(_BLOCKS[block] for block in text) * CELL_WIDTH
            yield f'<rect x="{x:.1f}" y="{top + 4}" width="{width:.1f}" height="{LINE_HEIGHT - 8}" {fill}/>'
        elif text.strip():
            weight = ' font-weight="bold"' if run.style.bold else ""
            length = f'textLength="{len(text) * CELL_WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
            yield (
                f'<text x="{x:.1f}" y="{top + 14}" {fill}{weight} {length} xml:space="preserve">{escape(text)}</text>'
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read what was printed from a file and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("printed", type=Path, help="what the program printed, colours included")
    parser.add_argument("picture", type=Path, help="SVG file to write")
    parser.add_argument("--title", default="make demo", help="text in the title bar")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="HEADING",
        help="leave out the paragraph that begins like this",
    )
    options = parser.parse_args(arguments)
    printed = without(options.printed.read_text(encoding="utf-8"), options.without)
    options.picture.write_text(picture(printed, options.title), encoding="utf-8")


if __name__ == "__main__":
    main()
