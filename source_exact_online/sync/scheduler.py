"""The scheduler: reads partitions side by side, a page at a time, and emits what they bring.

Worker threads fetch and convert pages; the calling thread alone emits, a page's records first and then the state that
they prove. So a state cannot overtake its records, a closed pipe ends the process at once, one partition's failure
leaves the others running, and memory is a few pages. With one worker there are no threads at all.
"""

from __future__ import annotations

import heapq
import logging
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count

from airbyte_cdk.models import AirbyteMessage, FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.errors import ApiError, LoginUnusableError, NotReadableError
from source_exact_online.api.request import RetryAfter
from source_exact_online.clock import HEARTBEAT_SECONDS, Clock
from source_exact_online.failures import NoTokenInThisRunError
from source_exact_online.read.partition import PageResult, Partition
from source_exact_online.read.records import RecordBatch
from source_exact_online.state import transitions
from source_exact_online.state.position import Position
from source_exact_online.state.stream_state import StreamState
from source_exact_online.sync.messages import Messages
from source_exact_online.sync.progress import Progress

logger = logging.getLogger("airbyte.exact_online")

Message = AirbyteMessage | RecordBatch
"""What a run emits: message objects, and the records of a page as ready lines."""

PER_DIVISION = 4
"""Partitions of one division that are read at a time: enough to hide latency, few enough to share a minute's calls."""


@dataclass(slots=True)
class PartitionTask:
    """A partition and what has to wait for it.

    Attributes:
        partition: what to read.
        dependents: tasks that wait until this one is finished.
    """

    partition: Partition
    dependents: list[PartitionTask] = field(default_factory=list)


@dataclass(slots=True)
class _StreamStatus:
    open: int = 0
    readable: set[int] = field(default_factory=set)
    skipped: dict[int, str] = field(default_factory=dict)
    failures: list[AirbyteTracedException] = field(default_factory=list)


class Scheduler:
    """One run of `read` over all its partitions.

    Args:
        clock: tells the time and sleeps.
        tasks: partitions to read; those in another task's `dependents` as well.
        states: state of each stream; changed here as the run goes on, and nowhere else.
        messages: builds the messages.
        progress: tells people how the run is getting on.
        workers: pages fetched at a time; 1 means no threads.
        positions: positions by stream and key that hold from the start.
        columns: columns that each stream reads.
    """

    def __init__(
        self,
        clock: Clock,
        tasks: Sequence[PartitionTask],
        states: Mapping[str, StreamState],
        messages: Messages,
        progress: Progress,
        *,
        workers: int,
        positions: Mapping[tuple[str, str], Position] | None = None,
        columns: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._clock = clock
        self._states = states
        self._messages = messages
        self._progress_log = progress
        self._positions = positions or {}
        self._columns = columns or {}
        self._contexts = [task.partition.context for task in tasks]
        self._open_tasks = len(tasks)
        self._workers = workers
        self._order = count()
        dependents = {id(later) for task in tasks for later in task.dependents}
        self._ready: deque[PartitionTask] = deque(task for task in tasks if id(task) not in dependents)
        self._delayed: list[tuple[float, int, PartitionTask]] = []
        self._busy: Counter[int] = Counter()
        self._stream_status: dict[str, _StreamStatus] = {stream: _StreamStatus() for stream in states}
        for task in tasks:
            for stream in task.partition.streams:
                self._stream_status[stream].open += 1

    @property
    def failures(self) -> dict[str, list[AirbyteTracedException]]:
        """Why streams ended incomplete, by stream."""
        return {name: status.failures for name, status in self._stream_status.items() if status.failures}

    def divisions_read(self, stream: str) -> frozenset[int]:
        """Return the divisions in which a stream was read to its end so far; one, if it is read once per login."""
        return frozenset(self._stream_status[stream].readable)

    def divisions_skipped(self, stream: str) -> frozenset[int]:
        """Return the divisions in which a stream could not be read so far, though it may be complete."""
        return frozenset(self._stream_status[stream].skipped)

    def run(self) -> Iterator[Message]:
        """Read everything; yield the messages to emit.

        Raises:
            AirbyteTracedException: some streams ended incomplete.
        """
        for stream, status in self._stream_status.items():
            yield self._messages.started(stream)
            yield from self._begin(stream)
            if not status.open:
                yield from self._end(stream)
        yield from self._inline() if self._workers == 1 else self._threaded()
        self._progress_log.close(self._contexts)
        if self.failures:
            raise _incomplete(self.failures)

    def _begin(self, stream: str) -> Iterator[Message]:
        """Set the positions that hold before anything is read, such as the moment from which on deletions count."""
        state = self._states[stream]
        state.columns = self._columns.get(stream, state.columns)
        moved = {key: position for (name, key), position in self._positions.items() if name == stream}
        if moved:
            state.positions.update(moved)
            yield self._messages.state(state)

    # -- two ways to run the same steps ----------------------------------------------------------------------------

    def _inline(self) -> Iterator[Message]:
        while self._ready or self._delayed:
            task = self._next()
            if task is None:
                self._pause(self._until_due())
                continue
            future: Future[PageResult | RetryAfter] = Future()
            _run(task, future)
            self._report()
            yield from self._done(task, future)

    def _threaded(self) -> Iterator[Message]:
        running: dict[Future[PageResult | RetryAfter], PartitionTask] = {}
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="partition")
        try:
            while self._ready or self._delayed or running:
                while len(running) < self._workers and (task := self._next()) is not None:
                    self._busy[task.partition.division] += 1
                    running[pool.submit(task.partition.step)] = task
                if not running:
                    self._pause(self._until_due())
                    continue
                done, _ = wait(running, timeout=self._patience(), return_when=FIRST_COMPLETED)
                self._report()
                for future in done:
                    task = running.pop(future)
                    self._busy[task.partition.division] -= 1
                    yield from self._done(task, future)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> PartitionTask | None:
        """Return a task that may run now: its time has come and its division has room."""
        now = self._clock.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        for _ in range(len(self._ready)):
            task = self._ready.popleft()
            if self._busy[task.partition.division] < PER_DIVISION:
                return task
            self._ready.append(task)
        return None

    def _until_due(self) -> float:
        return max(0.0, self._delayed[0][0] - self._clock.monotonic()) if self._delayed else 0.0

    def _patience(self) -> float:
        """Return the seconds to wait for a page: not past the moment at which a delayed task may go on."""
        due = self._until_due() if self._delayed else HEARTBEAT_SECONDS
        return max(min(self._progress_log.silence_left, due), 0.001)

    def _pause(self, seconds: float) -> None:
        self._clock.sleep(min(seconds, self._progress_log.silence_left))
        self._report()

    def _report(self) -> None:
        if self._progress_log.silence_left <= 0:
            all_wait = bool(self._delayed) and len(self._delayed) == self._open_tasks
            self._progress_log.tick(
                len(self._contexts), self._open_tasks, len(self._delayed), self._until_due() if all_wait else None
            )

    # -- what a step brings ----------------------------------------------------------------------------------------

    def _done(self, task: PartitionTask, future: Future[PageResult | RetryAfter]) -> Iterator[Message]:
        if not any(self._stream_status[stream].open for stream in task.partition.streams):
            return  # the run was given up while this page was under way
        error = future.exception()
        if error is not None:
            yield from self._failed(task, error)
            return
        result = future.result()
        if isinstance(result, RetryAfter):
            yield from self._delay(task, result)
            return
        for batch in result.batches:
            yield from self._messages.batch(batch)
        if result.batches:
            self._progress_log.page(task.partition.context, sum(batch.count for batch in result.batches))
        for stream, key, position in result.positions:
            self._states[stream].positions[key] = position
            yield from self._messages.checkpoint(self._states[stream])
        if result.finished:
            for stream in task.partition.readable:
                self._stream_status[stream].readable.add(task.partition.division)
            yield from self._close(task)
        else:
            self._ready.append(task)

    def _delay(self, task: PartitionTask, later: RetryAfter) -> Iterator[Message]:
        self._progress_log.wait(task.partition.context, later)
        heapq.heappush(self._delayed, (self._clock.monotonic() + later.seconds, next(self._order), task))
        if later.quota is not None:
            for stream in task.partition.streams:
                yield self._messages.rate_limited(stream, later.quota.reset_ms)

    def _failed(self, task: PartitionTask, error: BaseException) -> Iterator[Message]:
        if not isinstance(error, Exception):
            raise error
        context = task.partition.context
        if isinstance(error, NotReadableError):
            logger.warning("Skipped %s in division %s: %s", context.stream, context.division, error.message)
            for stream in task.partition.readable:
                self._stream_status[stream].skipped[task.partition.division] = error.resolution.message
            yield from self._close(task)
            return
        logger.error("%s in division %s failed: %s", context.stream, context.division, error)
        failure = _traced(error)
        for stream in task.partition.streams:
            self._stream_status[stream].failures.append(failure)
        yield from self._close(task)
        if _concerns_the_login(error):
            yield from self._abandon(failure)

    def _abandon(self, failure: AirbyteTracedException) -> Iterator[Message]:
        """Nothing can be read any more, whatever the partition: end all streams with the one reason."""
        self._ready.clear()
        self._delayed.clear()
        for stream, status in self._stream_status.items():
            if status.open:
                status.open = 0
                if failure not in status.failures:
                    status.failures.append(failure)
                yield from self._end(stream)

    def _close(self, task: PartitionTask) -> Iterator[Message]:
        self._open_tasks -= 1
        self._ready.extend(task.dependents)
        for stream in task.partition.streams:
            status = self._stream_status[stream]
            if not status.open:
                continue
            status.open -= 1
            if not status.open:
                yield from self._end(stream)

    def _end(self, stream: str) -> Iterator[Message]:
        status, state = self._stream_status[stream], self._states[stream]
        if status.skipped and not status.readable and not status.failures:
            message = f"Stream {stream} could not be read in any division. {next(iter(status.skipped.values()))}"
            status.failures.append(AirbyteTracedException(message=message, failure_type=FailureType.config_error))
        if not status.failures:
            for key, position in state.positions.items():
                if position.refreshed_at is not None:
                    state.positions[key] = transitions.refresh_ended(position)
        yield from self._messages.ended(state, status.failures)


def _run(task: PartitionTask, future: Future[PageResult | RetryAfter]) -> None:
    try:
        future.set_result(task.partition.step())
    except Exception as error:  # kept for the partition, as a worker thread's pool would
        future.set_exception(error)


def _concerns_the_login(error: Exception) -> bool:
    """Return whether an error concerns the login rather than one partition: the API says so, or there is no token."""
    if isinstance(error, ApiError):
        return isinstance(error, LoginUnusableError)
    if isinstance(error, NoTokenInThisRunError):
        return True
    return isinstance(error, AirbyteTracedException) and error.failure_type is FailureType.config_error


def _traced(error: Exception) -> AirbyteTracedException:
    if isinstance(error, AirbyteTracedException):
        return error
    return AirbyteTracedException.from_exception(
        error,
        message=f"An unexpected answer of Exact Online could not be read ({type(error).__name__}). "
        "The progress so far is saved.",
    )


def _incomplete(failures: Mapping[str, Sequence[AirbyteTracedException]]) -> AirbyteTracedException:
    """Return the run's one closing error: which streams are incomplete, and why the first is."""
    types = {failure.failure_type for reasons in failures.values() for failure in reasons}
    kind = next(
        (kind for kind in (FailureType.config_error, FailureType.system_error) if kind in types),
        FailureType.transient_error,
    )
    first = next(failure for reasons in failures.values() for failure in reasons if failure.failure_type is kind)
    message = f"{len(failures)} streams are incomplete ({', '.join(failures)}). {first.message}"
    return AirbyteTracedException(message=message, internal_message=first.internal_message, failure_type=kind)
