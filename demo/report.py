"""What the demo prints about a load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from demo.fetched import Fetched
from demo.questions import questions
from demo.sandbox import Summary
from demo.terminal import DIM, YELLOW, Terminal
from demo.warehouse import Administration, Warehouse
from source_exact_online.words import counted


def loaded(
    terminal: Terminal, administrations: Sequence[Administration], rows: Mapping[str, Mapping[int, int]]
) -> None:
    """Rows by stream and administration, in two columns of streams."""
    for one in administrations:
        terminal.line(f"{one.code}  {one.name}, {one.country}, {one.currency}")
    terminal.line()
    codes = [one.code for one in administrations]
    lines = [[stream, *(counts.get(code, 0) for code in codes)] for stream, counts in rows.items()]
    lines.append(["all streams", *(sum(counts.get(code, 0) for counts in rows.values()) for code in codes)])
    half = (len(lines) + 1) // 2
    nothing = [None] * len(lines[0])
    names = ["stream", *map(str, codes)]
    terminal.table(
        [*names, "", *names],
        [[*left, "", *right] for left, right in zip_longest(lines[:half], lines[half:], fillvalue=nothing)],
    )


def answers(terminal: Terminal, warehouse: Warehouse) -> None:
    """Print the finance questions and what the tables answer."""
    for question in questions():
        terminal.heading(question.text, question.file.name)
        terminal.table(*warehouse.answer(question.sql))


def activity(terminal: Terminal, changes: Mapping[Administration, Summary]) -> None:
    """Print what happened in the sandbox, by administration."""
    for administration, summary in changes.items():
        counts: Counter[str] = Counter()
        for actions in summary.values():
            counts.update(actions)
        told = ", ".join(f"{counts[action]} {action}" for action in ("inserted", "updated", "deleted"))
        terminal.line(f"{administration.code}  rows {told}")
    terminal.line("Some are of entities that this load leaves out: bank entries, receivables.", DIM)


def changed(terminal: Terminal, fetched: Sequence[Fetched]) -> None:
    """Print what an incremental load fetched, by stream."""
    kinds = [kind for kind in ("new", "changed", "deleted") if any(getattr(one, kind) for one in fetched)]
    table = [[one.stream, *(getattr(one, kind) or None for kind in kinds)] for one in fetched if one.differs]
    terminal.table(["stream", *kinds], table)
    again = counted(sum(one.unchanged for one in fetched), "row")
    others = counted(len(fetched) - len(table), "other stream")
    terminal.line(f"Nothing had happened in {others}; {again} came again unchanged.", DIM)


def calls(
    terminal: Terminal,
    administrations: Sequence[Administration],
    by_run: Sequence[Counter[int]],
    limits: tuple[int, int],
) -> None:
    """Print the calls of each load against the quota."""
    minute, day = limits
    table = [
        [str(one.code), *(run[one.code] for run in by_run), f"{sum(run[one.code] for run in by_run)} of {day:,}"]
        for one in administrations
    ]
    terminal.table(["division", "first load", "second load", "of the day's quota"], table)
    free = sum(run[0] for run in by_run)
    terminal.line(f"{free} more calls told which administrations there are. A minute allows {minute} calls.", DIM)


def farewell(terminal: Terminal, python: str, file: str, page: str) -> None:
    """Print where to go on."""
    terminal.line(f'{python} -c "import duckdb; \\', YELLOW)
    terminal.line(f"  duckdb.connect('{file}').sql(\\", YELLOW)
    terminal.line("  'select name, city from exact_online.accounts limit 9').show()\"", YELLOW)
    terminal.line(f"A page about all of it, for a browser: {page}")
    terminal.line("The questions above are demo/questions/*.sql. The load was", DIM)
    terminal.line("source-exact-online load --config demo/output/config.json", DIM)
