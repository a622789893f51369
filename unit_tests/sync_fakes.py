"""A run over partitions that play their steps: what the scheduler makes of them is real."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.errors import ErrorKind, RequestContext, error_of, resolution_for, resolution_of
from source_exact_online.api.rate_limits import QuotaExceeded, Quotas, ServerClock
from source_exact_online.api.request import RetryAfter
from source_exact_online.api.site_health import SiteDown
from source_exact_online.api.usage import Usage
from source_exact_online.read.partition import PageResult
from source_exact_online.read.records import RecordBatch
from source_exact_online.state.position import Position
from source_exact_online.state.stream_state import StreamState
from source_exact_online.sync.messages import Messages
from source_exact_online.sync.progress import Progress
from source_exact_online.sync.scheduler import PartitionTask, Scheduler
from unit_tests.exact_fakes import FakeClock, Run

ITEMS = RequestContext("items", "Logistics items", 1)
FORBIDDEN = error_of(resolution_for(403, {}, b"Forbidden", ITEMS))
EXPIRED = error_of(resolution_for(403, {"Reason": "LicenseExpired"}, b"", ITEMS))
FAULT = error_of(resolution_for(500, {}, b"", ITEMS))
DAY_SPENT = error_of(resolution_of(ErrorKind.DAY_QUOTA_SPENT, "calls used today", ITEMS))
REDIRECTED = error_of(resolution_for(302, {"Location": "https://proxy.example/"}, b"", ITEMS))
TOKEN_DEAD = error_of(resolution_for(401, {}, b"", ITEMS))

Outcome = PageResult | RetryAfter
Act = Outcome | Exception | Callable[[], Outcome]


@dataclass
class FakePartition:
    """Plays steps; each one that is a page leads to the next position."""

    name: str
    acts: Sequence[Act]
    division: int = 1
    brings_rows: bool = True
    log: list[tuple[str, int]] = field(default_factory=list)
    _taken: int = 0
    _pages: int = 0
    _busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def streams(self) -> list[str]:
        return self.name.split("+")

    @property
    def readable(self) -> list[str]:
        return self.streams if self.brings_rows else []

    @property
    def context(self) -> RequestContext:
        return RequestContext(self.name, None, self.division)

    def step(self) -> Outcome:
        assert self._busy.acquire(blocking=False), "two steps of one partition at a time"
        try:
            act = self.acts[self._taken]
            self._taken += 1
            self.log.append((self.name, self.division))
            if isinstance(act, Exception):
                raise act
            outcome = act() if callable(act) else act
            if isinstance(outcome, RetryAfter):
                return outcome
            self._pages += 1
            position = Position(row_version=self._pages)
            return replace(outcome, positions=[(name, str(self.division), position) for name in self.streams])
        finally:
            self._busy.release()


def rows(stream: str, *keys: str, finished: bool = False) -> PageResult:
    batches = [RecordBatch.of(name, [{"ID": key} for key in keys], 1) for name in stream.split("+")]
    return PageResult(batches, finished=finished)


def pages(stream: str, count: int, division: int = 1, **settings: Any) -> FakePartition:
    """A partition of some pages with a record each."""
    acts = [rows(stream, f"{division}-{n}", finished=n == count) for n in range(1, count + 1)]
    return FakePartition(stream, acts, division, **settings)


def later(seconds: float, quota: QuotaExceeded | None = None, site: SiteDown | None = None) -> RetryAfter:
    return RetryAfter(seconds, "a test" if site is None else site.reason, quota, site)


@dataclass
class Sync:
    """A run over fake partitions."""

    scheduler: Scheduler
    run: Run = field(default_factory=Run)

    def messages(self) -> Iterator[AirbyteMessage]:
        for message in self.scheduler.run():
            yield from message.messages() if isinstance(message, RecordBatch) else [message]

    def read(self) -> Run:
        """Run to the end. That streams are incomplete is in `scheduler.failures` as well."""
        try:
            for message in self.messages():
                self.run.messages.append(AirbyteMessageSerializer.dump(message))
        except AirbyteTracedException:
            if not self.scheduler.failures:
                raise
        return self.run


def sync(
    clock: FakeClock,
    *partitions: FakePartition | PartitionTask,
    workers: int = 1,
    states: Sequence[StreamState] = (),
    **plan: Any,
) -> Sync:
    tasks = [one if isinstance(one, PartitionTask) else PartitionTask(one) for one in partitions]
    known = {stream: StreamState(stream) for task in tasks for stream in task.partition.streams}
    known.update((state.stream, state) for state in states)
    progress = Progress(clock, Usage(), Quotas(ServerClock(clock)))
    return Sync(Scheduler(clock, tasks, known, Messages(clock), progress, workers=workers, **plan))


def after(clock: FakeClock, seconds: float, act: Act) -> PageResult:
    clock.advance(seconds)
    assert isinstance(act, PageResult)
    return act
