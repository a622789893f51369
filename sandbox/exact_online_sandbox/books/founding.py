"""The first rows of a division, gathered before any document refers to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from exact_online_sandbox.books.company import Company
from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.outbox import Row, Sink
from exact_online_sandbox.books.tables import CountryTables
from exact_online_sandbox.books.timeline import Timeline, tick


@dataclass(frozen=True, slots=True)
class Founding:
    """Collects the master data of one company."""

    company: Company
    dice: Dice
    timeline: Timeline
    gathered: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def tables(self) -> CountryTables:
        """The words and codes of the company's country."""
        return self.company.tables

    @property
    def founded(self) -> datetime:
        """When the division was set up, shortly before the books start."""
        return tick(self.timeline.start - timedelta(days=7, seconds=17, milliseconds=357))

    def add(self, entity: str, row: Row) -> None:
        """Keep a row."""
        self.gathered.setdefault(entity, []).append(row)

    def rows(self, entity: str) -> list[dict[str, Any]]:
        """The rows kept of an entity."""
        return self.gathered.get(entity, [])

    def account(self, role: str) -> dict[str, Any]:
        """The row of the G/L account with this role in the chart."""
        code = next(line.code for line in self.tables.chart if line.role == role)
        return next(row for row in self.rows("financial/GLAccounts") if row["Code"] == code)

    def setup_stamp(self) -> Row:
        """Created when the division was set up, unchanged since."""
        return self.company.stamp(self.dice, self.founded)

    def changed_stamps(self, count: int, share: float) -> Iterator[Row]:
        """So many stamps of rows made at the set-up, of which this share changed later."""
        moments = self.timeline.instants(self.dice, max(1, round(count * share)))
        changed = set(self.dice.sample(range(count), len(moments)))
        self.dice.shuffle(moments)
        for index in range(count):
            modified = moments.pop() if index in changed else None
            yield self.company.stamp(self.dice, self.founded, modified)

    def notable_stamps(self, count: int) -> Iterator[Row]:
        """So many stamps of rows made at the set-up; as far as they go, each notable instant is the change of one."""
        moments: list[datetime | None] = list(self.timeline.notable[:count])
        moments += [None] * (count - len(moments))
        self.dice.shuffle(moments)
        for modified in moments:
            yield self.company.stamp(self.dice, self.founded, modified)

    def hand_over(self, sink: Sink) -> None:
        """Send every row on its way, at its last change (rows without one: at the set-up)."""
        for entity, rows in self.gathered.items():
            for row in rows:
                sink.put(entity, row, row.get("Modified", self.founded))
