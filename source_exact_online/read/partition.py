"""What the scheduler knows of a partition: one listing in one division, read a page at a time.

A partition is the unit of reading, of state, of quota and of failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from source_exact_online.api.errors import RequestContext
from source_exact_online.api.odata import Row
from source_exact_online.api.request import RetryAfter
from source_exact_online.state.position import Position


@dataclass(slots=True)
class PageResult:
    """What one step of a partition brought.

    Attributes:
        records: records by stream, in the order of the page.
        later: the step could not be made yet.
        finished: the partition has no more pages.
        instead: partitions to read in this one's place, which has come to its end without a page.
    """

    records: dict[str, list[Row]] = field(default_factory=dict)
    later: RetryAfter | None = None
    finished: bool = False
    instead: Sequence[Partition] = ()


class Partition(Protocol):
    """What the scheduler asks of a partition."""

    @property
    def division(self) -> int:
        """Division whose quota its calls count for."""

    @property
    def subject(self) -> RequestContext:
        """What it reads, for messages."""

    @property
    def streams(self) -> Sequence[str]:
        """Streams it feeds."""

    @property
    def readable(self) -> Sequence[str]:
        """Those of them that can be read in the division if this can be read to its end."""

    def step(self) -> PageResult:
        """Fetch and convert at most one page. Runs in a worker thread, never two at a time."""

    def checkpoint(self) -> list[tuple[str, str, Position]]:
        """Positions (stream, key, position) that hold once the last step's records have been emitted."""
