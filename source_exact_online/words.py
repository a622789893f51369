"""Parts of sentences for people."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the right form: "1 stream", "1,200 streams"."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def about_minutes(seconds: float) -> str:
    """Return a duration that is only known roughly: "3 min"."""
    return f"{max(1, round(seconds / 60)):,} min"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return what was probably meant by a name that is not known; known ones are in lower case, with underscores."""
    plain = re.sub(r"[\s-]", "_", name.lower())
    return next(iter(difflib.get_close_matches(plain, list(known), 1, 0.75)), None)


def printable(text: str) -> str:
    """Return a text without control characters, which could do anything to a terminal; lines and tabs stay."""
    return "".join(character for character in text if character in "\n\t" or unicodedata.category(character) != "Cc")
