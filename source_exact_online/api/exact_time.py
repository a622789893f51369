"""Exact Online's wall clock.

Exact writes instants (``Created``, ``Modified``) as the server's local time, Europe/Amsterdam, posing as UTC, and
compares ``datetime'...'`` literals in filters with that same clock (Exact's FAQ on dates). Business dates
(``InvoiceDate``) are midnight in the same notation and must not be shifted at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache

import pendulum

ZONE = pendulum.timezone("Europe/Amsterdam")

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock has no zone
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_SECOND_DAY_HOUR = (datetime(1, 1, 2) - _EPOCH) // timedelta(hours=1)  # noqa: DTZ001 - a wall clock has no zone


def to_wall(instant: datetime) -> datetime:
    """Wall clock (naive) that Exact's servers show at an aware instant."""
    return instant.astimezone(ZONE).replace(tzinfo=None, fold=0)


def to_utc(wall: datetime) -> datetime:
    """Aware UTC instant of a naive wall clock time.

    The repeated hour of the October night names two instants; the first (summer time) is returned. A time in the hour
    that March skips is read with the offset before the change.
    """
    return wall.replace(tzinfo=ZONE, fold=0).astimezone(timezone.utc)


def is_ambiguous(wall: datetime) -> bool:
    """Whether the wall clock shows this time twice (the hour repeated when summer time ends)."""
    return wall.replace(tzinfo=ZONE, fold=0).utcoffset() != wall.replace(tzinfo=ZONE, fold=1).utcoffset()


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).strftime("%Y-%m-%d").rjust(10, "0")


@lru_cache(maxsize=65_536)
def _offset_ms(hour: int) -> int:
    """Offset from UTC (ms) of the wall clock hour that begins `hour` hours after 1970-01-01T00:00.

    None on the first day of all (.NET's way to say "no date"), before which there is nothing to shift it to.
    """
    if hour < _SECOND_DAY_HOUR:
        return 0
    offset = (_EPOCH + timedelta(hours=hour)).replace(tzinfo=ZONE, fold=0).utcoffset()
    return int(offset.total_seconds() * 1000) if offset is not None else 0


def milliseconds(value: str) -> int:
    """Milliseconds in a JSON date of OData v2, ``/Date(1351209600000)/``.

    Raises:
        ValueError: the text is not such a date.
    """
    try:
        return int(value[6:-2])
    except ValueError:
        return _unusual_milliseconds(value)


def _unusual_milliseconds(value: str) -> int:
    """Forms that OData allows and Exact was not seen to use: an offset in minutes behind the number, ISO 8601."""
    if value[:6] == "/Date(" and value[-2:] == ")/":
        body = value[6:-2]
        return int(body[: max(body.find("+", 1), body.find("-", 1))])
    return to_milliseconds(datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=None))


@lru_cache(maxsize=16_384)
def utc_text(value: str) -> str:
    """Instant in Exact's JSON to UTC text: ``2024-03-31T01:30:00.123+00:00``."""
    wall = milliseconds(value)
    days, rest = divmod(wall - _offset_ms(wall // _HOUR_MS), _DAY_MS)
    seconds, millis = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_day(days)}T{hour:02}:{minute:02}:{second:02}.{millis:03}+00:00"


@lru_cache(maxsize=16_384)
def wall_text(value: str) -> str:
    """Date in Exact's JSON to text without zone, unshifted: ``2024-01-31T00:00:00``."""
    days, rest = divmod(milliseconds(value), _DAY_MS)
    if not rest:
        return _day(days) + "T00:00:00"
    seconds, millis = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{millis:03}" if millis else ""
    return f"{_day(days)}T{hour:02}:{minute:02}:{second:02}{fraction}"


def from_milliseconds(wall_ms: int) -> datetime:
    """Wall clock (naive) of milliseconds since 1970-01-01T00:00 on that clock."""
    return _EPOCH + timedelta(milliseconds=wall_ms)


def to_milliseconds(wall: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00 on the wall clock; the inverse of `from_milliseconds`."""
    return round((wall - _EPOCH) / timedelta(milliseconds=1))


def to_text(wall_ms: int) -> str:
    """Text of a wall clock time, sortable: ``2024-01-31T13:45:00.123``."""
    return from_milliseconds(wall_ms).isoformat(timespec="milliseconds")


def from_text(text: str) -> int:
    """Milliseconds of a wall clock time written by `to_text`.

    Raises:
        ValueError: the text is not such a time.
    """
    wall = datetime.fromisoformat(text)
    if wall.tzinfo is not None:
        raise ValueError(f"{text!r} has a zone; a wall clock has none")
    return to_milliseconds(wall)


def of_instant(epoch_ms: int) -> int:
    """Milliseconds on the wall clock at an instant in epoch milliseconds."""
    return to_milliseconds(to_wall(datetime.fromtimestamp(epoch_ms / 1000, tz=timezone.utc)))


def first_at_or_after(instant: datetime) -> int:
    """Lowest time (ms) that the wall clock shows at an aware instant or later.

    In the first of the two hours that are shown alike when summer time ends, that is the begin of the second one.
    """
    wall_ms = to_milliseconds(to_wall(instant))
    comes_again = to_milliseconds(to_wall(instant + timedelta(hours=1))) == wall_ms
    return wall_ms - wall_ms % _HOUR_MS if comes_again else wall_ms


def date_json(epoch_ms: int) -> str:
    """An instant (epoch milliseconds) as Exact writes it in JSON."""
    return f"/Date({of_instant(epoch_ms)})/"
