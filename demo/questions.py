"""The finance questions: one SQL file each, whose first line is the question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "questions"


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the SQL that answers it."""

    text: str
    sql: str
    file: Path


def questions() -> Iterator[Question]:
    """All questions in the order of their files' names."""
    for file in sorted(FOLDER.glob("*.sql")):
        first, _, sql = file.read_text(encoding="utf-8").partition("\n")
        yield Question(first.removeprefix("-- "), sql, file)
