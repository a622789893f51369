"""The hour that Exact's wall clock shows twice in the October night when summer time ends.

A time in it names two instants, an hour apart, and is taken for the first. A destination that keeps the latest of two
records would then hold a change of the second hour for older than one of the first, and drop it. Where the reader
looked between the two instants and did not find the change, it was made at the second.
"""

from __future__ import annotations

from datetime import timedelta

from source_exact_online.api import wall_clock

_HOUR_MS = 3_600_000


def looked_within(looked: int | None) -> bool:
    """Whether a look at Exact (epoch milliseconds) may tell the two instants of such a time apart."""
    return looked is not None and wall_clock.is_ambiguous(wall_clock.from_milliseconds(wall_clock.of_instant(looked)))


def utc_since(value: str, looked: int | None) -> str:
    """Instant in Exact's JSON to UTC text, as `wall_clock.utc_text`, of something that an earlier look did not find.

    Args:
        value: date in Exact's JSON.
        looked: when it was last looked for, epoch milliseconds; None if never.
    """
    text = wall_clock.utc_text(value)
    if looked is None or not looked_within(looked):
        return text
    wall = wall_clock.from_milliseconds(wall_clock.milliseconds(value))
    if not wall_clock.is_ambiguous(wall):
        return text
    first = wall_clock.to_utc(wall)
    if not first.timestamp() * 1000 < looked <= first.timestamp() * 1000 + _HOUR_MS:
        return text
    return (first + timedelta(milliseconds=_HOUR_MS)).isoformat(timespec="milliseconds")
