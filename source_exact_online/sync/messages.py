"""The Airbyte messages of a sync."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateStats,
    AirbyteStreamStatus,
    AirbyteStreamStatusReason,
    AirbyteStreamStatusReasonType,
    StreamDescriptor,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from airbyte_protocol_dataclasses.models import AirbyteStreamStatusRateLimitedReason  # the CDK does not export it

from source_exact_online.clock import Clock
from source_exact_online.read.records import RecordBatch
from source_exact_online.state.position import Position
from source_exact_online.state.stream_state import StreamState

QUIET_SECONDS = 5.0
"""Longest time for which a checkpoint of few records is held back, with up to fifty positions; longer with more."""

POSITIONS_A_SECOND = 10
"""Positions that a stream's state may name per second of that time."""


class Messages:
    """Builds messages and decides which checkpoints are worth one.

    The state of a stream names all its divisions. With hundreds of them a message after each small page would outweigh
    the records by far, so that a checkpoint is emitted when at least as many records as divisions stand before it, when
    the last one is some time old, and at the end of the stream.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: set[str] = set()
        self._unsaved: Counter[str] = Counter()
        self._saved_at: dict[str, float] = {}
        self._emitted: dict[str, dict[str, Position]] = {}

    def started(self, stream: str) -> AirbyteMessage:
        """Return the status message of a stream that has begun."""
        self._saved_at[stream] = self._clock.monotonic()
        return as_airbyte_message(StreamDescriptor(name=stream), AirbyteStreamStatus.STARTED)

    def rate_limited(self, stream: str, reset_ms: float) -> AirbyteMessage:
        """Return the status of a stream that waits for a quota until a moment (epoch milliseconds)."""
        reason = AirbyteStreamStatusReason(
            type=AirbyteStreamStatusReasonType.RATE_LIMITED,
            rate_limited=AirbyteStreamStatusRateLimitedReason(quota_reset=int(reset_ms)),
        )
        return as_airbyte_message(StreamDescriptor(name=stream), AirbyteStreamStatus.RUNNING, [reason])

    def batch(self, batch: RecordBatch) -> list[AirbyteMessage | RecordBatch]:
        """Return the records of a page, and the status message before the first."""
        if not batch.count:
            return []
        self._unsaved[batch.stream] += batch.count
        if batch.stream in self._running:
            return [batch]
        self._running.add(batch.stream)
        return [as_airbyte_message(StreamDescriptor(name=batch.stream), AirbyteStreamStatus.RUNNING), batch]

    def checkpoint(self, state: StreamState) -> list[AirbyteMessage]:
        """Return the state message, if it is worth one now."""
        age = self._clock.monotonic() - self._saved_at[state.stream]
        quiet = max(QUIET_SECONDS, len(state.positions) / POSITIONS_A_SECOND)
        worth = self._unsaved[state.stream] >= len(state.positions) or age >= quiet
        return [self.state(state)] if worth else []

    def ended(self, state: StreamState, failures: Sequence[AirbyteTracedException]) -> list[AirbyteMessage]:
        """Return the last state, what went wrong, and the final status of a stream."""
        descriptor = StreamDescriptor(name=state.stream)
        last = [] if self._emitted.get(state.stream) == state.positions else [self.state(state)]
        traces = [failure.as_sanitized_airbyte_message(stream_descriptor=descriptor) for failure in failures]
        status = AirbyteStreamStatus.INCOMPLETE if failures else AirbyteStreamStatus.COMPLETE
        return [*last, *traces, as_airbyte_message(descriptor, status)]

    def state(self, state: StreamState) -> AirbyteMessage:
        """Return the state message of a stream, with the number of records since the last one."""
        message = state.message()
        if message.state is not None:
            message.state.sourceStats = AirbyteStateStats(recordCount=float(self._unsaved[state.stream]))
        self._emitted[state.stream] = dict(state.positions)
        self._unsaved[state.stream] = 0
        self._saved_at[state.stream] = self._clock.monotonic()
        return message
