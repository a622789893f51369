"""What a person sees of a run in the log: a line a minute, and at the end what it cost."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from source_exact_online.api.clock import Clock
from source_exact_online.api.errors import Subject
from source_exact_online.api.quota import Quotas
from source_exact_online.api.usage import Usage
from source_exact_online.api.wait import HEARTBEAT_SECONDS

logger = logging.getLogger("airbyte.exact_online")


class Progress:
    """Tells how a run is getting on."""

    def __init__(self, clock: Clock, usage: Usage, quotas: Quotas) -> None:
        self._clock = clock
        self._usage = usage
        self._quotas = quotas
        self._rows: Counter[Subject] = Counter()
        self._latest: Subject | None = None
        self._last_line = clock.monotonic()

    def page(self, subject: Subject, rows: int) -> None:
        """Note a page that was read."""
        self._rows[subject] += rows
        self._latest = subject

    def tick(self, open_partitions: int, waiting: int) -> None:
        """Log a line if the last one is most of a minute old, so that nobody takes the connector for dead."""
        now = self._clock.monotonic()
        if now - self._last_line < HEARTBEAT_SECONDS:
            return
        self._last_line = now
        line = f"{self._rows.total():,} rows read, {open_partitions} partitions to go, {waiting} of them waiting."
        if self._latest is not None:
            division, rows = self._latest.division, self._rows[self._latest]
            line += f" Last: {self._latest.stream} of division {division} ({rows:,} rows)."
            budget = self._quotas.of(division)
            if budget is not None:
                line += f" Calls left there: {budget.minute.remaining} this minute, {budget.day.remaining:,} today."
        logger.info(line)

    def close(self, partitions: Iterable[Subject]) -> None:
        """Log what the run cost, and what such a run costs at least if it is made every hour."""
        logger.info("Cost of this run:\n%s", "\n".join(self._usage.table()))
        by_division = Counter(partition.division for partition in partitions)
        if not by_division:
            return
        division, calls = by_division.most_common(1)[0]
        budget = self._quotas.of(division)
        if budget is not None and budget.day.limit:
            logger.info(
                "These streams every hour: at least %d calls a day and division, %.0f %% of the quota.",
                calls * 24,
                100 * calls * 24 / budget.day.limit,
            )
