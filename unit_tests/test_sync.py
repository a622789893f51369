"""The scheduler: partitions side by side, records before their state, no failure that spreads further than it must."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api import errors
from source_exact_online.api.errors import Action, ApiError, ErrorResolution, RequestContext
from source_exact_online.api.rate_limits import QuotaExceeded, Quotas, ServerClock
from source_exact_online.api.request import RetryAfter
from source_exact_online.api.usage import Usage
from source_exact_online.read.partition import PageResult
from source_exact_online.state.position import Position
from source_exact_online.state.stream_state import StreamState
from source_exact_online.sync.messages import QUIET_SECONDS, Output
from source_exact_online.sync.progress import Progress
from source_exact_online.sync.scheduler import PER_DIVISION, PartitionTask, Sync
from unit_tests.exact_fakes import Run
from unit_tests.fake_clock import START, FakeClock

FORBIDDEN = errors.resolution_for(403, {}, b"Forbidden", RequestContext("items", "Logistics items", 1))
BLOCKED = errors.resolution_for(403, {"Reason": "BlockedUser"}, b"", RequestContext("items", None, 1))
FAULT = errors.resolution_for(500, {}, b"", RequestContext("items", None, 1))
DAY_SPENT = ErrorResolution(Action.FAIL, FailureType.transient_error, "calls used today", "", "day quota spent")

Act = PageResult | Exception | Callable[[], PageResult]


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
    def subject(self) -> RequestContext:
        return RequestContext(self.name, None, self.division)

    def step(self) -> PageResult:
        assert self._busy.acquire(blocking=False), "two steps of one partition at a time"
        try:
            act = self.acts[self._taken]
            self._taken += 1
            self.log.append((self.name, self.division))
            if isinstance(act, Exception):
                raise act
            step = act if isinstance(act, PageResult) else act()
            self._pages += step.later is None
            return step
        finally:
            self._busy.release()

    def checkpoint(self) -> list[tuple[str, str, Position]]:
        return [(stream, str(self.division), Position(version=self._pages)) for stream in self.streams]


def rows(stream: str, *keys: str, finished: bool = False) -> PageResult:
    return PageResult({name: [{"ID": key} for key in keys] for name in stream.split("+")}, finished=finished)


def pages(stream: str, count: int, division: int = 1, **settings: Any) -> FakePartition:
    """A partition of some pages with a record each."""
    acts = [rows(stream, f"{division}-{n}", finished=n == count) for n in range(1, count + 1)]
    return FakePartition(stream, acts, division, **settings)


def later(seconds: float, quota: QuotaExceeded | None = None) -> PageResult:
    return PageResult(later=RetryAfter(seconds, "a test", quota))


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@dataclass
class Scheduler:
    """A sync over fake partitions."""

    clock: FakeClock
    sync: Sync
    run: Run = field(default_factory=Run)

    def messages(self) -> Iterator[AirbyteMessage]:
        return self.sync.messages()

    def read(self) -> Run:
        self.run.messages.extend(AirbyteMessageSerializer.dump(message) for message in self.messages())
        return self.run


def scheduler(clock: FakeClock, *partitions: FakePartition | PartitionTask, workers: int = 1) -> Scheduler:
    jobs = [one if isinstance(one, PartitionTask) else PartitionTask(one) for one in partitions]
    streams = dict.fromkeys(stream for job in jobs for stream in job.partition.streams)
    states = {stream: StreamState(stream) for stream in streams}
    server = ServerClock(clock)
    progress = Progress(clock, Usage(), Quotas(server))
    return Scheduler(clock, Sync(clock, jobs, states, Output(clock), progress, workers=workers))


def _after(clock: FakeClock, seconds: float, act: Act) -> PageResult:
    clock.advance(seconds)
    assert isinstance(act, PageResult)
    return act


class TestMessages:
    def test_every_stream_starts_runs_and_completes(self, clock: FakeClock, workers: int) -> None:
        run = scheduler(clock, pages("items", 2), pages("accounts", 1), workers=workers).read()

        statuses = [
            (one["trace"]["stream_status"]["stream_descriptor"]["name"], one["trace"]["stream_status"]["status"])
            for one in run.of_type("TRACE")
        ]
        for stream in ("items", "accounts"):
            assert [status for name, status in statuses if name == stream] == ["STARTED", "RUNNING", "COMPLETE"]

    def test_every_record_of_every_page_is_emitted(self, clock: FakeClock, workers: int) -> None:
        partitions = [pages("items", 3, division) for division in range(1, 8)]

        run = scheduler(clock, *partitions, workers=workers).read()

        assert sorted(run.keys("items")) == sorted(f"{d}-{n}" for d in range(1, 8) for n in (1, 2, 3))

    def test_a_state_is_never_ahead_of_its_records(self, clock: FakeClock, workers: int) -> None:
        def slow(partition: FakePartition) -> FakePartition:
            """Pages so far apart that each checkpoint is worth a message."""
            partition.acts = [partial(_after, clock, QUIET_SECONDS + 1, act) for act in partition.acts]
            return partition

        partitions = [slow(pages(stream, 4, n)) for stream in ("items", "accounts") for n in (1, 2, 3)]
        run = scheduler(clock, *partitions, workers=workers).read()
        emitted: Counter[tuple[str, str]] = Counter()

        for message in run.messages:
            if message["type"] == "RECORD":
                record = message["record"]
                emitted[record["stream"], record["data"]["ID"].partition("-")[0]] += 1
            elif message["type"] == "STATE":
                state = message["state"]["stream"]
                for division, position in state["stream_state"]["divisions"].items():
                    assert int(position["Timestamp"]) <= emitted[state["stream_descriptor"]["name"], division]

        assert sum(emitted.values()) == 24

    def test_nothing_of_a_page_is_in_the_state_before_its_last_record_is_taken(self, clock: FakeClock) -> None:
        """Whoever reads us may stop after any message."""
        messages = scheduler(clock, FakePartition("items", [rows("items", "a", "b", finished=True)])).messages()
        kinds = [message.type.value for message in messages]

        assert kinds.index("STATE") > max(index for index, kind in enumerate(kinds) if kind == "RECORD")

    def test_the_last_state_names_all_divisions(self, clock: FakeClock, workers: int) -> None:
        run = scheduler(clock, *[pages("items", 2, division) for division in (1, 2, 3)], workers=workers).read()

        assert vars(run.state[0].stream.stream_state)["divisions"] == {  # type: ignore[union-attr]
            division: {"Timestamp": "2"} for division in ("1", "2", "3")
        }

    def test_two_streams_of_one_listing_both_get_their_state(self, clock: FakeClock) -> None:
        run = scheduler(clock, pages("headers+lines", 2)).read()

        assert {state.stream.stream_descriptor.name for state in run.state if state.stream} == {"headers", "lines"}
        assert run.keys("headers") == run.keys("lines") == ["1-1", "1-2"]

    def test_small_pages_of_many_divisions_are_not_drowned_in_state(self, clock: FakeClock) -> None:
        run = scheduler(clock, *[pages("items", 1, division) for division in range(200)]).read()

        assert len(run.of_type("RECORD")) == 200
        assert len(run.of_type("STATE")) < 40

    def test_a_checkpoint_of_few_records_is_not_held_back_for_long(self, clock: FakeClock) -> None:
        def slowly() -> PageResult:
            clock.advance(QUIET_SECONDS + 1)
            return rows("items")

        quick = [pages("items", 1, division) for division in range(2, 50)]
        slow = FakePartition("items", [slowly] * 5 + [rows("items", finished=True)], 1)

        assert len(scheduler(clock, *quick, slow).read().of_type("STATE")) >= 5

    def test_the_same_state_is_not_repeated_at_the_end(self, clock: FakeClock) -> None:
        states = scheduler(clock, pages("items", 3)).read().of_type("STATE")

        assert all(one["state"]["stream"] != other["state"]["stream"] for one, other in pairwise(states))

    def test_a_stream_without_partitions_is_complete(self, clock: FakeClock) -> None:
        states = {"items": StreamState("items", {"9": Position(version=5)})}
        server = ServerClock(clock)
        sync = Sync(clock, [], states, Output(clock), Progress(clock, Usage(), Quotas(server)), workers=1)
        run = Run([AirbyteMessageSerializer.dump(message) for message in sync.messages()])

        assert run.statuses == {"items": "COMPLETE"}
        assert run.position("items", 9) == {"Timestamp": "5"}


class TestFailures:
    def test_one_failure_leaves_the_others_reading(self, clock: FakeClock, workers: int) -> None:
        broken = FakePartition("items", [rows("items", "first"), ApiError(FAULT)])
        one = scheduler(clock, broken, pages("items", 3, 2), pages("accounts", 3), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        assert sorted(run.keys("items")) == ["2-1", "2-2", "2-3", "first"]
        assert list(one.sync.failures) == ["items"]
        assert run.position("items", 2) == {"Timestamp": "3"}

    def test_what_was_read_before_a_failure_is_saved(self, clock: FakeClock, workers: int) -> None:
        broken = FakePartition("items", [rows("items", "a"), rows("items", "b"), ApiError(FAULT)])

        run = scheduler(clock, broken, workers=workers).read()

        assert run.position("items", 1) == {"Timestamp": "2"}
        kinds = [one["type"] for one in run.messages]
        assert kinds.index("STATE") < len(kinds) - 2, "the state goes before the error and the final status"

    def test_the_reason_is_told_with_the_stream(self, clock: FakeClock) -> None:
        run = scheduler(clock, FakePartition("items", [ApiError(FAULT)])).read()

        (error,) = [one["trace"]["error"] for one in run.of_type("TRACE") if one["trace"]["type"] == "ERROR"]
        assert error["stream_descriptor"]["name"] == "items"
        assert error["failure_type"] == "transient_error"
        assert "items" in error["message"]

    def test_a_forbidden_division_is_skipped_with_a_warning(
        self, clock: FakeClock, workers: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        one = scheduler(clock, FakePartition("items", [ApiError(FORBIDDEN)]), pages("items", 1, 2), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "COMPLETE"}
        assert one.sync.failures == {}
        assert [r for r in caplog.records if r.levelno == logging.WARNING and "Logistics items: Read" in r.message]

    def test_a_stream_forbidden_everywhere_is_a_config_error(self, clock: FakeClock, workers: int) -> None:
        skipped = [FakePartition("items", [ApiError(FORBIDDEN)], division) for division in (1, 2)]
        one = scheduler(clock, *skipped, pages("accounts", 1), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        (failure,) = one.sync.failures["items"]
        assert failure.failure_type is FailureType.config_error
        assert "Logistics items: Read" in str(failure.message)
        assert "any division" in str(failure.message)

    def test_a_log_that_can_be_read_does_not_make_a_stream_readable(self, clock: FakeClock) -> None:
        listing = PartitionTask(FakePartition("items", [ApiError(FORBIDDEN)]))
        log = PartitionTask(FakePartition("items", [PageResult(finished=True)], brings_rows=False), [listing])

        assert scheduler(clock, log, listing).read().statuses == {"items": "INCOMPLETE"}

    def test_a_spent_day_ends_its_division_and_no_other(self, clock: FakeClock, workers: int) -> None:
        spent = FakePartition("items", [rows("items", "a"), ApiError(DAY_SPENT)])

        run = scheduler(clock, spent, pages("items", 5, 2), workers=workers).read()

        assert run.statuses == {"items": "INCOMPLETE"}
        assert run.position("items", 2) == {"Timestamp": "5"}

    @pytest.mark.parametrize(
        "fatal",
        [ApiError(BLOCKED), AirbyteTracedException(message="Log in again.", failure_type=FailureType.config_error)],
        ids=["blocked user", "broken login"],
    )
    def test_a_dead_login_ends_everything_at_once(self, clock: FakeClock, workers: int, fatal: Exception) -> None:
        log: list[tuple[str, int]] = []
        partitions = [FakePartition("items", [fatal], log=log)]
        partitions += [pages(stream, 50, division, log=log) for stream in ("a", "b") for division in (2, 3, 4)]
        one = scheduler(clock, *partitions, workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "a": "INCOMPLETE", "b": "INCOMPLETE"}
        assert all(failures for failures in one.sync.failures.values())
        assert len(log) < 40, "nobody goes on asking"

    def test_a_defect_in_one_partition_is_contained(self, clock: FakeClock, workers: int) -> None:
        one = scheduler(clock, FakePartition("items", [KeyError("Timestamp")]), pages("accounts", 1), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        assert one.sync.failures["items"][0].failure_type is FailureType.system_error
        assert "KeyError" in str(one.sync.failures["items"][0].message)


class TestOrder:
    def test_at_most_four_pages_of_a_division_are_under_way(self, clock: FakeClock) -> None:
        running: Counter[int] = Counter()
        highest: Counter[int] = Counter()
        lock = threading.Lock()
        full = threading.Event()

        def page_of(division: int) -> Callable[[], PageResult]:
            def step() -> PageResult:
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
        scheduler(clock, *partitions, workers=12).read()

        assert full.is_set(), "and as many as that are"
        assert highest == {1: PER_DIVISION, 2: PER_DIVISION}

    def test_one_worker_uses_no_threads(self, clock: FakeClock) -> None:
        threads: set[threading.Thread] = set()

        def step() -> PageResult:
            threads.add(threading.current_thread())
            return rows("items", finished=True)

        scheduler(clock, FakePartition("items", [step]), FakePartition("items", [step], 2)).read()

        assert threads == {threading.current_thread()}

    def test_only_the_calling_thread_emits(self, clock: FakeClock) -> None:
        before = threading.active_count()
        messages = scheduler(clock, *[pages("items", 3, division) for division in (1, 2, 3)], workers=4).messages()

        emitting = {threading.current_thread() for _ in messages}

        assert emitting == {threading.current_thread()}
        assert threading.active_count() <= before + 4

    def test_a_job_waits_for_the_one_it_comes_after(self, clock: FakeClock, workers: int) -> None:
        log: list[tuple[str, int]] = []
        listings = [PartitionTask(pages("items", 2, log=log)), PartitionTask(pages("accounts", 2, log=log))]
        before = PartitionTask(
            FakePartition("items+accounts", [later(5), PageResult(), PageResult(finished=True)], log=log), listings
        )

        run = scheduler(clock, before, *listings, workers=workers).read()

        assert [name for name, _ in log[:3]] == ["items+accounts"] * 3
        assert run.statuses == {"items": "COMPLETE", "accounts": "COMPLETE"}
        assert len(run.of_type("RECORD")) == 4

    @pytest.mark.parametrize("failure", [ApiError(FAULT), ApiError(FORBIDDEN), KeyError("x")])
    def test_it_does_so_however_that_one_ends(self, clock: FakeClock, failure: Exception) -> None:
        listing = PartitionTask(pages("items", 1))

        run = scheduler(
            clock, PartitionTask(FakePartition("items", [failure], brings_rows=False), [listing]), listing
        ).read()

        assert run.keys("items") == ["1-1"]

    def test_partitions_take_turns(self, clock: FakeClock) -> None:
        log: list[tuple[str, int]] = []
        scheduler(clock, pages("a", 3, log=log), pages("b", 3, log=log)).read()

        assert [name for name, _ in log] == ["a", "b", "a", "b", "a", "b"]


class TestWaiting:
    def test_a_partition_that_waits_does_not_hold_up_the_others(self, clock: FakeClock, workers: int) -> None:
        log: list[tuple[str, int]] = []
        waiting = FakePartition("items", [later(60), rows("items", "late", finished=True)], 1, log=log)

        run = scheduler(clock, waiting, pages("accounts", 5, 2, log=log), workers=workers).read()

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
        scheduler(clock, *partitions).read()

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
            scheduler(
                clock, FakePartition("items", [later(seconds), PageResult(finished=True)]), workers=workers
            ).read()
        finally:
            logging.getLogger("airbyte.exact_online").removeHandler(handler)

        assert clock.monotonic() >= seconds
        gaps = [after - before for before, after in zip(moments, [*moments[1:], clock.monotonic()], strict=True)]
        assert max(gaps) <= 60

    def test_a_wait_for_a_quota_is_told_to_the_platform(self, clock: FakeClock) -> None:
        reset = round(START.timestamp() * 1000) + 60_000
        quota = QuotaExceeded(60.0, False, reset, 60)

        run = scheduler(clock, FakePartition("items", [later(60, quota), PageResult(finished=True)])).read()

        reasons = [one["trace"]["stream_status"].get("reasons") for one in run.of_type("TRACE")]
        assert [reason[0]["rate_limited"]["quota_reset"] for reason in reasons if reason] == [reset]


def test_whoever_stops_reading_us_stops_the_run(clock: FakeClock) -> None:
    """A closed pipe ends the process at once; pages under way are given up."""
    log: list[tuple[str, int]] = []
    messages = scheduler(clock, *[pages("items", 500, n, log=log) for n in range(4)], workers=4).messages()
    for _ in range(10):
        next(messages)

    messages.close()  # type: ignore[attr-defined]

    taken = len(log)
    assert taken < 100
    assert list(messages) == []
