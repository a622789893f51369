"""What a run cost: calls, rows, waits and refusals by stream and division."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from source_exact_online.api.errors import RequestContext


@dataclass(slots=True)
class Cost:
    """Cost of one stream in one division.

    Attributes:
        calls: requests sent.
        rows: rows received.
        waited: seconds spent waiting, quota and back-off together.
        refused: answers 429.
        faults: answers that were no answers, such as 5xx and broken connections.
    """

    calls: int = 0
    rows: int = 0
    waited: float = 0.0
    refused: int = 0
    faults: int = 0

    def add(self, other: Cost) -> None:
        """Add another cost to this one."""
        self.calls += other.calls
        self.rows += other.rows
        self.waited += other.waited
        self.refused += other.refused
        self.faults += other.faults


class Usage:
    """Costs of a run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._costs: dict[tuple[str, int | None], Cost] = {}

    def add(self, subject: RequestContext, cost: Cost) -> None:
        """Add to the cost of a stream or service endpoint in a division."""
        with self._lock:
            self._costs.setdefault((subject.stream, subject.division), Cost()).add(cost)

    def table(self) -> list[str]:
        """Return the lines of a table for the log: a line per stream and division, and their total."""
        with self._lock:
            costs = sorted(self._costs.items(), key=lambda item: (item[0][1] or 0, item[0][0]))
        total = Cost()
        for _, cost in costs:
            total.add(cost)
        costs.append((("total", None), total))
        width = max(len(stream) for (stream, _), _ in costs)
        head = ("stream", "division", "calls", "rows", "429s", "faults", "waited")
        body = [
            (
                stream,
                str(division or "-"),
                f"{c.calls:,}",
                f"{c.rows:,}",
                str(c.refused),
                str(c.faults),
                f"{c.waited:.0f} s",
            )
            for (stream, division), c in costs
        ]
        return [
            f"{name:{width}} {division:>9} {calls:>7} {rows:>11} {refused:>5} {faults:>6} {waited:>8}"
            for name, division, calls, rows, refused, faults, waited in [head, *body]
        ]
