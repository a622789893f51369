"""What the scheduler knows of a partition: one listing in one division, read a page at a time.

A partition is the unit of reading, of state, of quota and of failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from source_exact_online.api.errors import RequestContext
from source_exact_online.api.request import RetryAfter
from source_exact_online.read.records import RecordBatch
from source_exact_online.state.position import Position


@dataclass(frozen=True, slots=True)
class PageResult:
    """What one step of a partition brought.

    Attributes:
        batches: records of each stream, in the order of the page.
        positions: positions (stream, key, position) that hold once the records have been emitted.
        finished: whether the partition has no more pages.
    """

    batches: Sequence[RecordBatch] = ()
    positions: Sequence[tuple[str, str, Position]] = ()
    finished: bool = False


class Partition(Protocol):
    """What the scheduler asks of a partition."""

    @property
    def division(self) -> int:
        """Division whose quota its calls count for."""

    @property
    def context(self) -> RequestContext:
        """What it reads, for messages."""

    @property
    def streams(self) -> Sequence[str]:
        """Streams it feeds."""

    @property
    def readable(self) -> Sequence[str]:
        """Those of them that can be read in the division if this can be read to its end."""

    def step(self) -> PageResult | RetryAfter:
        """Fetch and convert at most one page. Runs in a worker thread, never two at a time.

        Raises:
            ApiError: the partition has come to its end before the listing has; the error's type says what follows.
        """
