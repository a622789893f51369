"""The scheduler: which partition runs when, and how a wait is told."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from source_exact_online.api.rate_limits import QuotaExceeded
from source_exact_online.api.site_health import SiteDown
from source_exact_online.read.partition import PageResult
from source_exact_online.sync.scheduler import PER_DIVISION, PartitionTask
from unit_tests.exact_fakes import START, FakeClock
from unit_tests.sync_fakes import (
    FAULT,
    FORBIDDEN,
    FakePartition,
    Outcome,
    after,
    later,
    pages,
    rows,
    sync,
)


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


class TestOrder:
    def test_at_most_four_pages_of_a_division_are_under_way(self, clock: FakeClock) -> None:
        running: Counter[int] = Counter()
        highest: Counter[int] = Counter()
        lock = threading.Lock()
        full = threading.Event()

        def page_of(division: int) -> Callable[[], Outcome]:
            def step() -> Outcome:
                with lock:
                    running[division] += 1
                    highest[division] = max(highest[division], running[division])
                    if sum(running.values()) == 2 * PER_DIVISION:
                        full.set()
                full.wait(5)
                with lock:
                    running[division] -= 1
                return rows("items", finished=True)

            return step

        partitions = [FakePartition("items", [page_of(division)], division) for division in (1, 2) for _ in range(10)]
        sync(clock, *partitions, workers=12).read()

        assert full.is_set(), "and as many as that are"
        assert highest == {1: PER_DIVISION, 2: PER_DIVISION}

    def test_one_worker_uses_no_threads(self, clock: FakeClock) -> None:
        threads: set[threading.Thread] = set()

        def step() -> Outcome:
            threads.add(threading.current_thread())
            return rows("items", finished=True)

        sync(clock, FakePartition("items", [step]), FakePartition("items", [step], 2)).read()

        assert threads == {threading.current_thread()}

    def test_only_the_calling_thread_emits(self, clock: FakeClock) -> None:
        before = threading.active_count()
        messages = sync(clock, *[pages("items", 3, division) for division in (1, 2, 3)], workers=4).messages()

        emitting = {threading.current_thread() for _ in messages}

        assert emitting == {threading.current_thread()}
        assert threading.active_count() <= before + 4

    def test_a_task_waits_for_the_one_it_depends_on(self, clock: FakeClock, workers: int) -> None:
        log: list[tuple[str, int]] = []
        listings = [PartitionTask(pages("items", 2, log=log)), PartitionTask(pages("accounts", 2, log=log))]
        before = PartitionTask(
            FakePartition("items+accounts", [later(5), PageResult(), PageResult(finished=True)], log=log), listings
        )

        run = sync(clock, before, *listings, workers=workers).read()

        assert [name for name, _ in log[:3]] == ["items+accounts"] * 3
        assert run.statuses == {"items": "COMPLETE", "accounts": "COMPLETE"}
        assert len(run.of_type("RECORD")) == 4

    @pytest.mark.parametrize("failure", [FAULT, FORBIDDEN, KeyError("x")])
    def test_it_does_so_however_that_one_ends(self, clock: FakeClock, failure: Exception) -> None:
        listing = PartitionTask(pages("items", 1))

        run = sync(
            clock, PartitionTask(FakePartition("items", [failure], brings_rows=False), [listing]), listing
        ).read()

        assert run.keys("items") == ["1-1"]

    def test_partitions_take_turns(self, clock: FakeClock) -> None:
        log: list[tuple[str, int]] = []
        sync(clock, pages("a", 3, log=log), pages("b", 3, log=log)).read()

        assert [name for name, _ in log] == ["a", "b", "a", "b", "a", "b"]


class TestWaiting:
    def test_a_partition_that_waits_does_not_hold_up_the_others(self, clock: FakeClock, workers: int) -> None:
        log: list[tuple[str, int]] = []
        waiting = FakePartition("items", [later(60), rows("items", "late", finished=True)], 1, log=log)

        run = sync(clock, waiting, pages("accounts", 5, 2, log=log), workers=workers).read()

        assert [name for name, _ in log].index("accounts") < 3
        assert log[-1] == ("items", 1)
        assert run.keys("items") == ["late"]
        assert sum(clock.slept) == pytest.approx(60)

    def test_it_goes_on_when_its_time_has_come_and_not_before(self, clock: FakeClock) -> None:
        moments: list[float] = []

        def note() -> PageResult:
            moments.append(clock.monotonic())
            return rows("items", finished=True)

        partitions = [FakePartition("items", [later(seconds), note], n) for n, seconds in enumerate((90, 30, 0.2))]
        sync(clock, *partitions).read()

        assert moments == [pytest.approx(0.2), pytest.approx(30), pytest.approx(90)]

    @pytest.mark.parametrize("seconds", [55, 600, 3600])
    def test_a_line_is_logged_at_least_once_a_minute(
        self, clock: FakeClock, workers: int, seconds: float, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "airbyte.exact_online")
        moments = [0.0]
        handler = logging.Handler()
        handler.emit = lambda record: moments.append(clock.monotonic())  # type: ignore[method-assign]
        logging.getLogger("airbyte.exact_online").addHandler(handler)
        try:
            sync(clock, FakePartition("items", [later(seconds), PageResult(finished=True)]), workers=workers).read()
        finally:
            logging.getLogger("airbyte.exact_online").removeHandler(handler)

        assert clock.monotonic() >= seconds
        gaps = [after - before for before, after in zip(moments, [*moments[1:], clock.monotonic()], strict=True)]
        assert max(gaps) <= 60

    def test_a_wait_for_a_quota_is_told_to_the_platform(self, clock: FakeClock) -> None:
        reset = round(START.timestamp() * 1000) + 60_000
        quota = QuotaExceeded(60.0, False, reset, 60)

        run = sync(clock, FakePartition("items", [later(60, quota), PageResult(finished=True)])).read()

        reasons = [one["trace"]["stream_status"].get("reasons") for one in run.of_type("TRACE")]
        assert [reason[0]["rate_limited"]["quota_reset"] for reason in reasons if reason] == [reset]

    def test_when_all_wait_a_line_says_until_when(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "airbyte.exact_online")
        waiting = [FakePartition("items", [later(90 * n), PageResult(finished=True)], n) for n in (1, 2)]

        sync(clock, *waiting).read()

        lines = [line for line in caplog.messages if "to go" in line]
        assert "2 partitions to go, 2 of them waiting until 09:01:30 UTC" in lines[0]
        assert "1 partition to go, 1 of them waiting until 09:03:00 UTC" in lines[1]

    def test_while_one_reads_no_line_says_until_when(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "airbyte.exact_online")
        reading = FakePartition("items", [partial(after, clock, 20, act) for act in pages("items", 9).acts], 1)
        waiting = FakePartition("items", [later(500), PageResult(finished=True)], 2)

        sync(clock, reading, waiting).read()

        assert "2 partitions to go, 1 of them waiting, about" not in caplog.text
        (first, *_) = [line for line in caplog.messages if "to go" in line]
        assert "1 of them waiting." in first

    def test_an_outage_of_the_site_is_told_once_to_people_and_as_no_quota_to_the_platform(
        self, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "airbyte.exact_online")
        down = SiteDown(15, START + timedelta(seconds=15), START)
        waiting = [FakePartition("items", [later(15, site=down), rows("items", finished=True)], n) for n in range(20)]

        run = sync(clock, *waiting).read()

        assert len([line for line in caplog.messages if "down since 09:00 UTC" in line]) == 1
        assert run.statuses == {"items": "COMPLETE"}
        assert not [one for one in run.of_type("TRACE") if "rate_limited" in str(one).lower()]


def test_whoever_stops_reading_us_stops_the_run(clock: FakeClock) -> None:
    """A closed pipe ends the process at once; pages under way are given up."""
    log: list[tuple[str, int]] = []
    messages = sync(clock, *[pages("items", 500, n, log=log) for n in range(4)], workers=4).messages()
    for _ in range(10):
        next(messages)

    messages.close()  # type: ignore[attr-defined]

    taken = len(log)
    assert taken < 100
    assert list(messages) == []
