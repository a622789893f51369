"""The log of calls: what was asked and what was answered, kept in memory for tests to look at."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Call:
    """One request and its answer."""

    number: int
    time: str
    """Moment by the sandbox's clock, ISO 8601 in UTC."""
    method: str
    path: str
    query: str
    status: int | None
    """None when the connection was broken without an answer."""
    endpoint: str | None = None
    division: int | None = None
    client_id: str | None = None
    user: str | None = None
    rows: int | None = None
    bytes: int = 0
    milliseconds: float = 0
    """Time the answer took, waits included."""
    fault: str | None = None
    """Kind of the fault that was injected."""
    error: str | None = None
    """Text of the refusal."""


class CallLog:
    """The last calls, oldest first."""

    def __init__(self, size: int = 200_000) -> None:
        self._calls: deque[Call] = deque(maxlen=size)
        self._number = 0

    def open(self, time: str, method: str, path: str, query: str) -> Call:
        """Begin an entry."""
        self._number += 1
        call = Call(self._number, time, method, path, query, None)
        self._calls.append(call)
        return call

    def clear(self) -> None:
        """Forget all calls; numbers go on."""
        self._calls.clear()

    def describe(self, *, after: int = 0, endpoint: str | None = None) -> list[dict[str, Any]]:
        """Entries as plain objects.

        Args:
            after: only entries with a higher number.
            endpoint: only entries of that endpoint.
        """
        return [asdict(call) for call in list(self._calls) if call.number > after and endpoint in (None, call.endpoint)]
