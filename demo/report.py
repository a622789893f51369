"""What the demo prints about a load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from demo.questions import questions
from demo.sandbox import Summary
from demo.terminal import DIM, YELLOW, Terminal
from demo.warehouse import Administration, Fetched, Warehouse


def loaded(
    terminal: Terminal, administrations: Sequence[Administration], rows: Mapping[str, Mapping[int, int]]
) -> None:
    """Rows by stream and administration."""
    codes = [administration.code for administration in administrations]
    names = [f"{one.name} ({one.country}, {one.currency})" for one in administrations]
    table = [[stream, *(counts.get(code, 0) for code in codes)] for stream, counts in rows.items()]
    total = ["all streams", *(sum(counts.get(code, 0) for counts in rows.values()) for code in codes)]
    terminal.table(["stream", *names], table, total=total)


def answers(terminal: Terminal, warehouse: Warehouse) -> None:
    """The finance questions and what the tables answer."""
    for question in questions():
        terminal.heading(question.text, question.file.name)
        terminal.table(*warehouse.answer(question.sql))


def activity(terminal: Terminal, changes: Mapping[Administration, Summary]) -> None:
    """What happened in the sandbox, by administration."""
    for administration, summary in changes.items():
        counts: Counter[str] = Counter()
        for actions in summary.values():
            counts.update(actions)
        told = ", ".join(f"{counts[action]} rows {action}" for action in ("inserted", "updated", "deleted"))
        terminal.line(f"{administration.name}: {told}")


def changed(terminal: Terminal, fetched: Sequence[Fetched]) -> None:
    """What an incremental load fetched, by stream."""
    table = [
        [one.stream, one.new or None, one.changed or None, one.deleted or None, one.unchanged or None]
        for one in fetched
        if one.rows
    ]
    terminal.table(["stream", "new", "changed", "deleted", "unchanged"], table)
    quiet = sum(1 for one in fetched if not one.rows)
    terminal.line(f"Nothing had happened in the other {quiet} streams, and nothing was fetched of them.", DIM)


def calls(
    terminal: Terminal,
    administrations: Sequence[Administration],
    by_run: Sequence[Counter[int]],
    limits: tuple[int, int],
) -> None:
    """Calls of each load against the quota."""
    minute, day = limits
    table = [
        [one.name, *(run[one.code] for run in by_run), f"{sum(run[one.code] for run in by_run)} of {day:,}"]
        for one in administrations
    ]
    terminal.table(["administration", "first load", "second load", "of the day's quota"], table)
    free = sum(run[0] for run in by_run)
    terminal.line(f"{free} more calls told which administrations there are. A minute allows {minute} calls.", DIM)


def farewell(terminal: Terminal, file: str, sql: str, python: str) -> None:
    """Where to go on."""
    terminal.line(f"{python} -c \\", YELLOW)
    terminal.line(f"  \"import duckdb; print(duckdb.connect('{file}').sql('{sql}'))\"", YELLOW)
