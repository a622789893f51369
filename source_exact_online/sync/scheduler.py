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

from source_exact_online.api.errors import Action, ApiError
from source_exact_online.api.request import RetryAfter
from source_exact_online.clock import HEARTBEAT_SECONDS, Clock
from source_exact_online.read.partition import PageResult, Partition
from source_exact_online.state.stream_state import StreamState
from source_exact_online.sync.messages import Output
from source_exact_online.sync.progress import Progress

logger = logging.getLogger("airbyte.exact_online")

PER_DIVISION = 4
"""Partitions of one division that are read at a time: enough to hide latency, few enough to share a minute's calls."""


@dataclass(slots=True)
class PartitionTask:
    """A partition and when it may go on.

    Attributes:
        partition: what to read.
        after: jobs that wait until this one is finished.
    """

    partition: Partition
    after: list[PartitionTask] = field(default_factory=list)


@dataclass(slots=True)
class _StreamProgress:
    open: int = 0
    readable: int = 0
    skipped: list[str] = field(default_factory=list)
    failures: list[AirbyteTracedException] = field(default_factory=list)


class Sync:
    """One run of `read` over all its partitions."""

    def __init__(
        self,
        clock: Clock,
        jobs: Sequence[PartitionTask],
        states: Mapping[str, StreamState],
        output: Output,
        progress: Progress,
        *,
        workers: int,
    ) -> None:
        """Prepare a run.

        Args:
            clock: tells the time and sleeps.
            jobs: partitions to read; those in another job's `after` as well.
            states: state of each stream, updated as the run goes on.
            output: builds the messages.
            progress: tells people how the run is getting on.
            workers: pages fetched at a time; 1 means no threads.
        """
        self._clock = clock
        self._states = states
        self._output = output
        self._told = progress
        self._subjects = [job.partition.subject for job in jobs]
        self._open_jobs = len(jobs)
        self._workers = workers
        self._order = count()
        held = {id(later) for job in jobs for later in job.after}
        self._ready: deque[PartitionTask] = deque(job for job in jobs if id(job) not in held)
        self._delayed: list[tuple[float, int, PartitionTask]] = []
        self._busy: Counter[int] = Counter()
        self._progress: dict[str, _StreamProgress] = {stream: _StreamProgress() for stream in states}
        for job in jobs:
            for stream in job.partition.streams:
                self._progress[stream].open += 1

    @property
    def failures(self) -> dict[str, list[AirbyteTracedException]]:
        """Why streams ended incomplete, by stream."""
        return {name: progress.failures for name, progress in self._progress.items() if progress.failures}

    def messages(self) -> Iterator[AirbyteMessage]:
        """Read everything; yields the messages to emit."""
        for stream, progress in self._progress.items():
            yield self._output.started(stream)
            yield from self._output.begun(self._states[stream])
            if not progress.open:
                yield from self._end(stream)
        yield from self._inline() if self._workers == 1 else self._threaded()
        self._told.close(self._subjects)

    # -- two ways to run the same steps ----------------------------------------------------------------------------

    def _inline(self) -> Iterator[AirbyteMessage]:
        while self._ready or self._delayed:
            job = self._next()
            if job is None:
                self._pause(self._until_due())
                continue
            future: Future[PageResult] = Future()
            _run(job, future)
            self._report()
            yield from self._done(job, future)

    def _threaded(self) -> Iterator[AirbyteMessage]:
        running: dict[Future[PageResult], PartitionTask] = {}
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="partition")
        try:
            while self._ready or self._delayed or running:
                while len(running) < self._workers and (job := self._next()) is not None:
                    self._busy[job.partition.division] += 1
                    running[pool.submit(job.partition.step)] = job
                if not running:
                    self._pause(self._until_due())
                    continue
                done, _ = wait(running, timeout=self._patience(), return_when=FIRST_COMPLETED)
                self._report()
                for future in done:
                    job = running.pop(future)
                    self._busy[job.partition.division] -= 1
                    yield from self._done(job, future)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> PartitionTask | None:
        """A job that may run now: its time has come and its division has room."""
        now = self._clock.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        for _ in range(len(self._ready)):
            job = self._ready.popleft()
            if self._busy[job.partition.division] < PER_DIVISION:
                return job
            self._ready.append(job)
        return None

    def _until_due(self) -> float:
        return max(0.0, self._delayed[0][0] - self._clock.monotonic()) if self._delayed else 0.0

    def _patience(self) -> float:
        """Seconds to wait for a page: not past the moment at which a delayed job may go on."""
        due = self._until_due() if self._delayed else HEARTBEAT_SECONDS
        return max(min(self._told.silence_left, due), 0.001)

    def _pause(self, seconds: float) -> None:
        self._clock.sleep(min(seconds, self._told.silence_left))
        self._report()

    def _report(self) -> None:
        self._told.tick(len(self._subjects), self._open_jobs, len(self._delayed))

    # -- what a step brings ----------------------------------------------------------------------------------------

    def _done(self, job: PartitionTask, future: Future[PageResult]) -> Iterator[AirbyteMessage]:
        if not any(self._progress[stream].open for stream in job.partition.streams):
            return  # the sync was given up while this page was under way
        error = future.exception()
        if error is not None:
            yield from self._failed(job, error)
            return
        step = future.result()
        if step.later is not None:
            yield from self._delay(job, step.later)
            return
        if step.instead:
            self._add(step.instead)
            yield from self._close(job)
            return
        for stream, records in step.records.items():
            yield from self._output.records(stream, records)
        if step.records:
            self._told.page(job.partition.subject, sum(map(len, step.records.values())))
        for stream, division, position in job.partition.checkpoint():
            self._states[stream].positions[division] = position
        for stream in job.partition.streams:
            yield from self._output.checkpoint(self._states[stream])
        if step.finished:
            for stream in job.partition.readable:
                self._progress[stream].readable += 1
            yield from self._close(job)
        else:
            self._ready.append(job)

    def _add(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            self._subjects.append(partition.subject)
            self._open_jobs += 1
            self._ready.append(PartitionTask(partition))
            for stream in partition.streams:
                self._progress[stream].open += 1

    def _delay(self, job: PartitionTask, later: RetryAfter) -> Iterator[AirbyteMessage]:
        self._told.wait(job.partition.subject, later)
        heapq.heappush(self._delayed, (self._clock.monotonic() + later.seconds, next(self._order), job))
        if later.quota is not None:
            for stream in job.partition.streams:
                yield self._output.rate_limited(stream, later.quota.reset_ms)

    def _failed(self, job: PartitionTask, error: BaseException) -> Iterator[AirbyteMessage]:
        if not isinstance(error, Exception):
            raise error
        subject = job.partition.subject
        for stream, key, position in job.partition.checkpoint():
            self._states[stream].positions[key] = position
        if isinstance(error, ApiError) and error.verdict.action is Action.SKIP:
            logger.warning("Skipped %s in division %s: %s", subject.stream, subject.division, error.message)
            for stream in job.partition.readable:
                self._progress[stream].skipped.append(error.verdict.message)
        else:
            logger.error("%s in division %s failed: %s", subject.stream, subject.division, error)
            failure = _traced(error)
            for stream in job.partition.streams:
                self._progress[stream].failures.append(failure)
            if _is_fatal(error):
                yield from self._close(job)
                yield from self._abandon(failure)
                return
        yield from self._close(job)

    def _abandon(self, failure: AirbyteTracedException) -> Iterator[AirbyteMessage]:
        """Nothing can be read any more, whatever the partition: end all streams with the one reason."""
        self._ready.clear()
        self._delayed.clear()
        for stream, progress in self._progress.items():
            if progress.open:
                progress.open = 0
                if failure not in progress.failures:
                    progress.failures.append(failure)
                yield from self._end(stream)

    def _close(self, job: PartitionTask) -> Iterator[AirbyteMessage]:
        self._open_jobs -= 1
        self._ready.extend(job.after)
        for stream in job.partition.streams:
            progress = self._progress[stream]
            if not progress.open:
                continue
            progress.open -= 1
            if not progress.open:
                yield from self._end(stream)

    def _end(self, stream: str) -> Iterator[AirbyteMessage]:
        progress = self._progress[stream]
        if progress.skipped and not progress.readable and not progress.failures:
            message = f"Stream {stream} could not be read in any division. {progress.skipped[0]}"
            progress.failures.append(AirbyteTracedException(message=message, failure_type=FailureType.config_error))
        if not progress.failures:
            self._states[stream].forget_finished_passes()
        yield from self._output.ended(self._states[stream], progress.failures)


def _run(job: PartitionTask, future: Future[PageResult]) -> None:
    try:
        future.set_result(job.partition.step())
    except Exception as error:  # kept for the partition, as a worker thread's pool would
        future.set_exception(error)


def _is_fatal(error: Exception) -> bool:
    """Whether an error concerns the login rather than one partition."""
    if isinstance(error, ApiError):
        return error.verdict.action is Action.FAIL and error.verdict.failure is FailureType.config_error
    return isinstance(error, AirbyteTracedException) and error.failure_type is FailureType.config_error


def _traced(error: Exception) -> AirbyteTracedException:
    if isinstance(error, AirbyteTracedException):
        return error
    return AirbyteTracedException.from_exception(
        error,
        message=f"An unexpected answer of Exact Online could not be read ({type(error).__name__}). "
        "The progress so far is saved.",
    )
