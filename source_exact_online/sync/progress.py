"""What a person sees of a run in the log: a line a minute, each wait for a quota, and at the end what it cost."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from source_exact_online.api.errors import RequestContext
from source_exact_online.api.rate_limits import Quotas
from source_exact_online.api.request import RetryAfter
from source_exact_online.api.usage import Usage
from source_exact_online.clock import HEARTBEAT_SECONDS, Clock
from source_exact_online.words import about_minutes, counted

logger = logging.getLogger("airbyte.exact_online")

SHOWN = 4
"""Partitions that a line names; with more it would be hard to read."""

TELLING_SHARE = 0.1
"""Share of the partitions that must have ended before their pace says anything of the rest."""

PLANS = {"hourly": 24, "every 6 hours": 4, "daily": 1}
"""Usual frequencies of a connection, in runs a day."""


class Progress:
    """Tells how a run is getting on."""

    def __init__(self, clock: Clock, usage: Usage, quotas: Quotas) -> None:
        self._clock = clock
        self._usage = usage
        self._quotas = quotas
        self._rows: Counter[RequestContext] = Counter()
        self._recent: dict[RequestContext, None] = {}
        self._waits_told: dict[object, float] = {}
        self._began = self._last_line = clock.monotonic()
        self._expected_end: float | None = None

    @property
    def silence_left(self) -> float:
        """Seconds until the next line is due; whoever waits longer has to `tick` in between."""
        return max(0.0, self._last_line + HEARTBEAT_SECONDS - self._clock.monotonic())

    def page(self, context: RequestContext, rows: int) -> None:
        """Note a page that was read."""
        self._rows[context] += rows
        self._recent.pop(context, None)
        self._recent[context] = None

    def ended(self, partitions: int, open_partitions: int) -> None:
        """Note that a partition has ended.

        Args:
            partitions: of the run.
            open_partitions: those that have not ended.
        """
        done = partitions - open_partitions
        if done >= max(1.0, TELLING_SHARE * partitions):
            now = self._clock.monotonic()
            self._expected_end = now + (now - self._began) * open_partitions / done

    def seconds_left(self) -> float | None:
        """Return how long the rest takes if its partitions are like those that have ended.

        Nobody knows their rows. None while too few have ended to tell, and once that time has passed: those that are
        left are larger then.
        """
        left = self._expected_end - self._clock.monotonic() if self._expected_end is not None else 0.0
        return left if left > 0 else None

    def wait(self, context: RequestContext, later: RetryAfter) -> None:
        """Tell of a wait that can be noticed.

        Of a division's spent quota and of a site that is down once, however many partitions wait for it.
        """
        if later.seconds < 1:
            return
        if later.site is not None:
            self._tell_once("site", later.site.probe_at.timestamp(), "Waiting for %s.", later.reason)
        elif later.quota is None:
            logger.info("%s: waiting %.0f s for %s.", context.stream, later.seconds, later.reason)
        else:
            resumes = datetime.fromtimestamp(later.quota.reset_ms / 1000, tz=timezone.utc)
            line = "Waiting %.0f s for %s; resumes at %s UTC."
            self._tell_once(
                context.division, later.quota.reset_ms, line, later.seconds, later.reason, f"{resumes:%H:%M:%S}"
            )

    def _tell_once(self, what: object, until: float, line: str, *values: object) -> None:
        if self._waits_told.get(what) != until:
            self._waits_told[what] = until
            logger.info(line, *values)

    def tick(self, open_partitions: int, waiting: int, until_next: float | None) -> None:
        """Log a line, so that nobody takes the connector for dead; due when no silence is left.

        Args:
            open_partitions: those that have not ended.
            waiting: those of them that wait.
            until_next: seconds until the first of them goes on, if all wait; None otherwise.
        """
        self._last_line = self._clock.monotonic()
        rows, to_go = counted(self._rows.total(), "row"), counted(open_partitions, "partition")
        line = f"{rows} read, {to_go} to go, {waiting} of them waiting"
        if until_next is not None:
            line += f" until {self._clock.now() + timedelta(seconds=until_next):%H:%M:%S} UTC"
        left = self.seconds_left()
        line += "." if left is None else f", about {about_minutes(left)} at the pace so far."
        recent = list(self._recent)[-SHOWN:]
        if recent:
            read = ", ".join(
                f"{one.stream} of division {one.division} ({counted(self._rows[one], 'row')})" for one in recent
            )
            line += f" Latest: {read}."
        for division in dict.fromkeys(one.division for one in recent):
            if division is not None:
                minute, day = self._quotas.of(division).left()
                line += f" Calls left in division {division}: {minute} this minute, {day:,} today."
        logger.info(line)
        self._recent.clear()

    def close(self, partitions: Iterable[RequestContext]) -> None:
        """Log what the run cost, and what such runs cost at least at the usual frequencies."""
        logger.info("Cost of this run:\n%s", "\n".join(self._usage.table()))
        by_division = Counter(partition.division for partition in partitions)
        if not by_division:
            return
        division, calls = by_division.most_common(1)[0]
        budget = self._quotas.of(division)
        if budget.day.limit:
            costs = (
                f"{plan} = {counted(daily, 'call')} a day and division, {_percent(daily, budget.day.limit)}"
                for plan, daily in ((plan, calls * runs) for plan, runs in PLANS.items())
            )
            logger.info("What these streams cost at least: %s.", "; ".join(costs))


def _percent(calls: int, limit: int) -> str:
    share = 100 * calls / limit
    return f"{share:.0f} % of the quota" if share >= 1 else "less than 1 % of the quota"
