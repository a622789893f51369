"""The hour that Exact's wall clock shows twice in the October night when summer time ends.

A time in it names two instants, an hour apart, and is taken for the first. A destination that keeps the latest of two
records would then hold a change of the second hour for older than one of the first, and drop it. Where the reader
looked between the two instants and did not find the change, it was made at the second.
"""

from __future__ import annotations

from datetime import timedelta

from source_exact_online.api import exact_time

_HOUR_MS = 3_600_000

_TOLERANCE_MS = 5_000
"""How far our idea of Exact's clock may be behind it: its `Date` headers count whole seconds."""


def looked_within(looked: int | None) -> bool:
    """Whether a look at Exact (epoch milliseconds) may tell the two instants of such a time apart."""
    return looked is not None and exact_time.is_ambiguous(exact_time.from_milliseconds(exact_time.of_instant(looked)))


def utc_since(value: str, looked: int | None, now: float) -> str:
    """Instant in Exact's JSON to UTC text, as `exact_time.utc_text`, of something that an earlier look did not find.

    Args:
        value: date in Exact's JSON.
        looked: when it was last looked for, epoch milliseconds; None if never.
        now: epoch milliseconds. What has not come yet is not meant; it was the first hour, and was committed late.
    """
    text = exact_time.utc_text(value)
    if looked is None or not looked_within(looked):
        return text
    wall = exact_time.from_milliseconds(exact_time.milliseconds(value))
    if not exact_time.is_ambiguous(wall):
        return text
    second = exact_time.to_utc(wall) + timedelta(milliseconds=_HOUR_MS)
    second_ms = second.timestamp() * 1000
    if not second_ms - _HOUR_MS < looked <= second_ms <= now + _TOLERANCE_MS:
        return text
    return second.isoformat(timespec="milliseconds")
