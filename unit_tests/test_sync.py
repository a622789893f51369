"""The scheduler: partitions side by side, records before their state, no failure that spreads further than it must."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.errors import ErrorKind, RequestContext, error_of, resolution_for, resolution_of
from source_exact_online.api.rate_limits import QuotaExceeded, Quotas, ServerClock
from source_exact_online.api.request import RetryAfter
from source_exact_online.api.site_health import SiteDown
from source_exact_online.api.usage import Usage
from source_exact_online.read.partition import PageResult
from source_exact_online.read.records import RecordBatch
from source_exact_online.state.position import DeletionsRead, Position
from source_exact_online.state.stream_state import StreamState
from source_exact_online.sync.messages import QUIET_SECONDS, Messages
from source_exact_online.sync.progress import Progress
from source_exact_online.sync.scheduler import PER_DIVISION, PartitionTask, Scheduler
from unit_tests.exact_fakes import START, FakeClock, Run

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


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


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


def _after(clock: FakeClock, seconds: float, act: Act) -> PageResult:
    clock.advance(seconds)
    assert isinstance(act, PageResult)
    return act


class TestMessages:
    def test_every_stream_starts_runs_and_completes(self, clock: FakeClock, workers: int) -> None:
        run = sync(clock, pages("items", 2), pages("accounts", 1), workers=workers).read()

        statuses = [
            (one["trace"]["stream_status"]["stream_descriptor"]["name"], one["trace"]["stream_status"]["status"])
            for one in run.of_type("TRACE")
        ]
        for stream in ("items", "accounts"):
            assert [status for name, status in statuses if name == stream] == ["STARTED", "RUNNING", "COMPLETE"]

    def test_every_record_of_every_page_is_emitted(self, clock: FakeClock, workers: int) -> None:
        partitions = [pages("items", 3, division) for division in range(1, 8)]

        run = sync(clock, *partitions, workers=workers).read()

        assert sorted(run.keys("items")) == sorted(f"{d}-{n}" for d in range(1, 8) for n in (1, 2, 3))

    def test_a_state_is_never_ahead_of_its_records(self, clock: FakeClock, workers: int) -> None:
        def slow(partition: FakePartition) -> FakePartition:
            """Pages so far apart that each checkpoint is worth a message."""
            partition.acts = [partial(_after, clock, QUIET_SECONDS + 1, act) for act in partition.acts]
            return partition

        partitions = [slow(pages(stream, 4, n)) for stream in ("items", "accounts") for n in (1, 2, 3)]
        run = sync(clock, *partitions, workers=workers).read()
        emitted: Counter[tuple[str, str]] = Counter()

        for message in run.messages:
            if message["type"] == "RECORD":
                record = message["record"]
                emitted[record["stream"], record["data"]["ID"].partition("-")[0]] += 1
            elif message["type"] == "STATE":
                state = message["state"]["stream"]
                for division, position in state["stream_state"]["divisions"].items():
                    assert int(position["row_version"]) <= emitted[state["stream_descriptor"]["name"], division]

        assert sum(emitted.values()) == 24

    def test_nothing_of_a_page_is_in_the_state_before_its_last_record_is_taken(self, clock: FakeClock) -> None:
        """Whoever reads us may stop after any message."""
        messages = sync(clock, FakePartition("items", [rows("items", "a", "b", finished=True)])).messages()
        kinds = [message.type.value for message in messages]

        assert kinds.index("STATE") > max(index for index, kind in enumerate(kinds) if kind == "RECORD")

    def test_the_last_state_names_all_divisions(self, clock: FakeClock, workers: int) -> None:
        run = sync(clock, *[pages("items", 2, division) for division in (1, 2, 3)], workers=workers).read()

        assert vars(run.state[0].stream.stream_state)["divisions"] == {  # type: ignore[union-attr]
            division: {"row_version": "2"} for division in ("1", "2", "3")
        }

    def test_two_streams_of_one_listing_both_get_their_state(self, clock: FakeClock) -> None:
        run = sync(clock, pages("headers+lines", 2)).read()

        assert {state.stream.stream_descriptor.name for state in run.state if state.stream} == {"headers", "lines"}
        assert run.keys("headers") == run.keys("lines") == ["1-1", "1-2"]

    def test_small_pages_of_many_divisions_are_not_drowned_in_state(self, clock: FakeClock) -> None:
        run = sync(clock, *[pages("items", 1, division) for division in range(200)]).read()

        assert len(run.of_type("RECORD")) == 200
        assert len(run.of_type("STATE")) < 40

    def test_a_checkpoint_of_few_records_is_not_held_back_for_long(self, clock: FakeClock) -> None:
        def slowly() -> PageResult:
            clock.advance(QUIET_SECONDS + 1)
            return rows("items")

        quick = [pages("items", 1, division) for division in range(2, 50)]
        slow = FakePartition("items", [slowly] * 5 + [rows("items", finished=True)], 1)

        assert len(sync(clock, *quick, slow).read().of_type("STATE")) >= 5

    def test_the_same_state_is_not_repeated_at_the_end(self, clock: FakeClock) -> None:
        states = sync(clock, pages("items", 3)).read().of_type("STATE")

        assert all(one["state"]["stream"] != other["state"]["stream"] for one, other in pairwise(states))

    def test_a_stream_without_partitions_is_complete(self, clock: FakeClock) -> None:
        run = sync(clock, states=[StreamState("items", {"9": Position(row_version=5)})]).read()

        assert run.statuses == {"items": "COMPLETE"}
        assert run.position("items", 9) == {"row_version": "5"}


class TestStates:
    """The scheduler alone writes them, and only what a page has proven."""

    BEFORE = Position(row_version=70)
    TRACKED = Position(row_version=70, deletions=DeletionsRead(5))

    def test_positions_that_hold_from_the_start_are_emitted_before_any_record(
        self, clock: FakeClock, workers: int
    ) -> None:
        states = [StreamState("items", {"1": self.BEFORE, "2": self.BEFORE}), StreamState("accounts")]
        run = sync(
            clock,
            pages("items", 1),
            pages("accounts", 1),
            workers=workers,
            states=states,
            positions={("items", "2"): self.TRACKED},
            columns={"items": ("ID",)},
        ).read()

        kinds = [one["type"] for one in run.messages]
        first = kinds.index("STATE")
        assert first < kinds.index("RECORD")
        assert vars(run.state_after(first + 1)[0].stream.stream_state) == {  # type: ignore[union-attr]
            "version": 1,
            "columns": ["ID"],
            "divisions": {"1": self.BEFORE.to_json(), "2": self.TRACKED.to_json()},
        }
        assert run.position("items", 2) == self.TRACKED.to_json()

    def test_without_such_positions_no_state_precedes_the_records(self, clock: FakeClock) -> None:
        kinds = [one["type"] for one in sync(clock, pages("items", 1)).read().messages]

        assert kinds.index("RECORD") < kinds.index("STATE")

    def test_the_position_is_that_of_before_until_all_records_of_the_page_were_taken(self, clock: FakeClock) -> None:
        state = StreamState("items", {"1": self.BEFORE})
        messages = sync(
            clock, FakePartition("items", [rows("items", *"abc", finished=True)]), states=[state]
        ).messages()

        seen = [state.positions["1"] for message in messages if message.type.value == "RECORD"]

        assert seen == [self.BEFORE] * 3
        assert state.positions["1"] == Position(row_version=1)

    @pytest.mark.parametrize("end", [FAULT, FORBIDDEN, KeyError("x")], ids=["fault", "forbidden", "defect"])
    def test_what_fails_at_once_leaves_the_position_as_it_was(self, clock: FakeClock, end: Exception) -> None:
        state = StreamState("items", {"1": self.BEFORE})

        run = sync(clock, FakePartition("items", [end]), states=[state]).read()

        assert run.position("items", 1) == self.BEFORE.to_json()

    def test_a_full_refresh_that_ended_everywhere_leaves_no_mark(self, clock: FakeClock) -> None:
        state = StreamState("items", {"1": Position(refreshed_at=5), "2": Position(refreshed_at=5, move_date="never")})

        run = sync(clock, pages("items", 1), states=[state]).read()

        assert run.position("items", 2) == {"move_date": "never"}

    def test_one_that_is_incomplete_keeps_its_marks(self, clock: FakeClock) -> None:
        state = StreamState("items", {"2": Position(refreshed_at=5)})

        run = sync(clock, FakePartition("items", [FAULT]), states=[state]).read()

        assert run.position("items", 2) == Position(refreshed_at=5).to_json()

    def test_pages_that_were_under_way_when_the_login_died_are_not_in_the_state(self, clock: FakeClock) -> None:
        """Their records are not emitted any more."""
        both = threading.Barrier(2, timeout=10)

        def dies() -> Outcome:
            both.wait()
            raise REDIRECTED

        def comes_late() -> Outcome:
            both.wait()
            dead.wait(10)
            return rows("accounts", "late", finished=True)

        dead = threading.Event()
        one = sync(clock, FakePartition("items", [dies]), FakePartition("accounts", [comes_late], 2), workers=2)
        with pytest.raises(AirbyteTracedException, match="2 streams are incomplete"):
            for message in one.messages():
                one.run.messages.append(AirbyteMessageSerializer.dump(message))
                if one.scheduler.failures:
                    dead.set()

        assert one.run.statuses == {"items": "INCOMPLETE", "accounts": "INCOMPLETE"}
        assert one.run.records("accounts") == []
        assert "2" not in vars(one.run.state[0].stream.stream_state)["divisions"]  # type: ignore[union-attr]


class TestFailures:
    def test_one_failure_leaves_the_others_reading(self, clock: FakeClock, workers: int) -> None:
        broken = FakePartition("items", [rows("items", "first"), FAULT])
        one = sync(clock, broken, pages("items", 3, 2), pages("accounts", 3), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        assert sorted(run.keys("items")) == ["2-1", "2-2", "2-3", "first"]
        assert list(one.scheduler.failures) == ["items"]
        assert run.position("items", 2) == {"row_version": "3"}

    def test_what_was_read_before_a_failure_is_saved(self, clock: FakeClock, workers: int) -> None:
        broken = FakePartition("items", [rows("items", "a"), rows("items", "b"), FAULT])

        run = sync(clock, broken, workers=workers).read()

        assert run.position("items", 1) == {"row_version": "2"}
        kinds = [one["type"] for one in run.messages]
        assert kinds.index("STATE") < len(kinds) - 2, "the state goes before the error and the final status"

    def test_the_reason_is_told_with_the_stream(self, clock: FakeClock) -> None:
        run = sync(clock, FakePartition("items", [FAULT])).read()

        (error,) = [one["trace"]["error"] for one in run.of_type("TRACE") if one["trace"]["type"] == "ERROR"]
        assert error["stream_descriptor"]["name"] == "items"
        assert error["failure_type"] == "transient_error"
        assert "items" in error["message"]

    def test_a_forbidden_division_is_skipped_with_a_warning(
        self, clock: FakeClock, workers: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        one = sync(clock, FakePartition("items", [FORBIDDEN]), pages("items", 1, 2), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "COMPLETE"}
        assert one.scheduler.failures == {}
        assert [r for r in caplog.records if r.levelno == logging.WARNING and "Logistics items: Read" in r.message]

    def test_a_stream_forbidden_everywhere_is_a_config_error(self, clock: FakeClock, workers: int) -> None:
        skipped = [FakePartition("items", [FORBIDDEN], division) for division in (1, 2)]
        one = sync(clock, *skipped, pages("accounts", 1), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        (failure,) = one.scheduler.failures["items"]
        assert failure.failure_type is FailureType.config_error
        assert "Logistics items: Read" in str(failure.message)
        assert "any division" in str(failure.message)

    def test_a_log_that_can_be_read_does_not_make_a_stream_readable(self, clock: FakeClock) -> None:
        listing = PartitionTask(FakePartition("items", [FORBIDDEN]))
        log = PartitionTask(FakePartition("items", [PageResult(finished=True)], brings_rows=False), [listing])

        assert sync(clock, log, listing).read().statuses == {"items": "INCOMPLETE"}

    def test_a_division_whose_licence_has_expired_is_skipped_like_that(
        self, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = sync(clock, FakePartition("items", [EXPIRED]), pages("items", 1, 2)).read()

        assert run.statuses == {"items": "COMPLETE"}
        assert [line for line in caplog.messages if "division 1" in line and "expired" in line]

    def test_a_spent_day_ends_its_division_and_no_other(self, clock: FakeClock, workers: int) -> None:
        spent = FakePartition("items", [rows("items", "a"), DAY_SPENT])

        run = sync(clock, spent, pages("items", 5, 2), workers=workers).read()

        assert run.statuses == {"items": "INCOMPLETE"}
        assert run.position("items", 2) == {"row_version": "5"}

    @pytest.mark.parametrize(
        "fatal",
        [
            REDIRECTED,
            TOKEN_DEAD,
            AirbyteTracedException(message="Log in again.", failure_type=FailureType.config_error),
        ],
        ids=["redirected", "token refused for good", "no token to be had"],
    )
    def test_a_dead_login_ends_everything_at_once(self, clock: FakeClock, workers: int, fatal: Exception) -> None:
        log: list[tuple[str, int]] = []
        partitions = [FakePartition("items", [fatal], log=log)]
        partitions += [pages(stream, 50, division, log=log) for stream in ("a", "b") for division in (2, 3, 4)]
        one = sync(clock, *partitions, workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "a": "INCOMPLETE", "b": "INCOMPLETE"}
        assert all(failures for failures in one.scheduler.failures.values())
        assert len(log) < 40, "nobody goes on asking"

    def test_a_defect_in_one_partition_is_contained(self, clock: FakeClock, workers: int) -> None:
        one = sync(clock, FakePartition("items", [KeyError("Timestamp")]), pages("accounts", 1), workers=workers)

        run = one.read()

        assert run.statuses == {"items": "INCOMPLETE", "accounts": "COMPLETE"}
        assert one.scheduler.failures["items"][0].failure_type is FailureType.system_error
        assert "KeyError" in str(one.scheduler.failures["items"][0].message)


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
        assert "1 partitions to go, 1 of them waiting until 09:03:00 UTC" in lines[1]

    def test_while_one_reads_no_line_says_until_when(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "airbyte.exact_online")
        reading = FakePartition("items", [partial(_after, clock, 20, act) for act in pages("items", 9).acts], 1)
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
