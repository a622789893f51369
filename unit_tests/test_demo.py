"""The parts of the demo that need no sandbox."""

from __future__ import annotations

import io
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from demo import report
from demo.fetched import Fetched
from demo.questions import Question, questions
from demo.terminal import WIDTH, Terminal
from demo.warehouse import SCHEMA, STREAMS

QUESTIONS = [pytest.param(question, id=question.file.stem) for question in questions()]
NOON = datetime(2025, 3, 31, 12)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_numbers_go_right_and_text_stays_left(out: io.StringIO) -> None:
    Terminal(out).table(["stream", "rows", "sum"], [["accounts", 7, Decimal("-1.5")], ["items", 1234, None]])
    assert out.getvalue().splitlines() == [
        "  stream     rows    sum",
        "  ────────  ─────  ─────",
        "  accounts      7  -1.50",
        "  items     1,234",
    ]


def test_a_blank_column_has_no_rule(out: io.StringIO) -> None:
    Terminal(out).table(["a", " ", "b"], [["x", "EUR", "y"]])
    assert out.getvalue().splitlines()[1] == "  ─       ─"


def test_a_remark_ends_at_the_right_margin(out: io.StringIO) -> None:
    Terminal(out).heading("First load", "12 rows")
    line = out.getvalue().splitlines()[-1]
    assert len(line) == WIDTH
    assert line.endswith("12 rows")


def test_what_is_not_a_terminal_gets_no_colours(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLICOLOR_FORCE", raising=False)
    Terminal(out).done("loaded")
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    Terminal(out).done("loaded")
    plain, coloured = out.getvalue().splitlines()
    assert plain == "  ✓ loaded"
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain != coloured


def test_fetched_rows_are_told_apart_by_what_happened_to_them() -> None:
    before, after = NOON.replace(hour=9), NOON.replace(hour=15)
    rows = [("a", 1, after), ("b", 1, after), ("b", 2, after), ("d", 1, before)]
    known = {("b", 1), ("c", 1), ("d", 1), ("e", 1)}
    now = {("a", 1), ("b", 1), ("b", 2), ("d", 1), ("e", 1)}
    fetched = Fetched.of("accounts", rows, known, now, NOON)
    assert fetched == Fetched("accounts", new=2, changed=1, deleted=1, unchanged=1)
    assert fetched.rows == 5


def test_what_came_again_unchanged_is_one_line(out: io.StringIO) -> None:
    report.changed(
        Terminal(out), [Fetched("items", 1, 0, 2, 4), Fetched("journals", 0, 0, 0, 10), Fetched("units", 0, 0, 0, 0)]
    )
    shown = out.getvalue()
    assert "items" in shown
    assert "journals" not in shown
    assert "Nothing had happened in 2 other streams; 14 rows came again unchanged." in shown


def test_the_picture_of_it_fits_a_screen() -> None:
    root = ElementTree.parse(Path(__file__).parent.parent / "docs" / "demo.svg").getroot()
    assert int(root.attrib["height"]) <= 700
    assert int(root.attrib["width"]) <= 800


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_read_tables_that_the_demo_loads(question: Question) -> None:
    tables = set(re.findall(rf"\b{SCHEMA}\.(\w+)", question.sql))
    assert tables
    assert tables - set(STREAMS) == set()
