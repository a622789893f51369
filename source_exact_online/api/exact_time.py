"""Exact Online's clock.

Exact writes instants (``Created``, ``Modified``) as the local time of the site's servers posing as UTC, and compares
``datetime'...'`` literals in filters with that same clock (Exact's FAQ on dates). Business dates (``InvoiceDate``) are
midnight in the same notation and must not be shifted at all.

Times on the wall clock are counted here in milliseconds since 1970-01-01T00:00 on that clock, as Exact does in JSON.
All of them lie in the years 1 to 9999; anything else raises ValueError.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import cached_property, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock has no zone
_UTC_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MILLISECOND = timedelta(milliseconds=1)
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_FIRST_MS = (date.min.toordinal() - _EPOCH_DAY) * _DAY_MS
_LAST_MS = (date.max.toordinal() - _EPOCH_DAY + 1) * _DAY_MS - 1

_REMEMBERED_TEXTS = 4096
_REMEMBERED_DAYS = 65_536

_MINUTES = tuple(f"T{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f"{second:02}" for second in range(60))
_UTC_MILLIS = tuple(f".{millis:03}+00:00" for millis in range(1000))


class _Day(NamedTuple):
    """Offsets from UTC (ms) on a day of the wall clock, and the times (ms) from and until which two of them compete."""

    before: int
    changing: int
    changed: int
    after: int


@dataclass(frozen=True)
class WallClock:
    """The clock of a site's servers.

    An hour of the night in which summer time ends is shown twice, so that a time in it names two instants. An hour of
    the night in which it begins is skipped; a time in it counts with the offset before the change.

    Attributes:
        zone: name of its time zone in the IANA database.
    """

    zone: str = "Europe/Amsterdam"
    _texts: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _days: dict[int, _Day] = field(default_factory=dict, init=False, repr=False, compare=False)

    def from_instant(self, epoch_ms: int) -> int:
        """Return what the wall clock shows (ms) at an instant in epoch milliseconds.

        Raises:
            ValueError: the instant or what the clock shows is not in the years 1 to 9999.
        """
        try:
            instant = _UTC_EPOCH + timedelta(milliseconds=epoch_ms)
            return to_milliseconds(instant.astimezone(self._zone_info).replace(tzinfo=None))
        except OverflowError:
            raise ValueError(f"{epoch_ms} ms is not in the years 1 to 9999") from None

    def to_instant(self, wall_ms: int) -> int:
        """Return the instant, in epoch milliseconds, of a time on the wall clock; the first one where there are two.

        Raises:
            ValueError: the time is not in the years 1 to 9999.
        """
        return wall_ms - self._offsets_at(wall_ms)[0]

    def is_ambiguous(self, wall_ms: int) -> bool:
        """Return whether the wall clock shows this time twice.

        Raises:
            ValueError: the time is not in the years 1 to 9999.
        """
        first, second = self._offsets_at(wall_ms)
        return first != second

    def first_at_or_after(self, instant: datetime) -> int:
        """Return the lowest time (ms) that the wall clock shows at an aware instant or later.

        In the first of the two hours that are shown alike when summer time ends, that is the start of the second one.

        Raises:
            ValueError: the instant or what the clock shows is not in the years 1 to 9999.
        """
        try:
            local = instant.astimezone(self._zone_info)
        except OverflowError:
            raise ValueError(f"{instant} is not in the years 1 to 9999 in {self.zone}") from None
        wall_ms = to_milliseconds(local.replace(tzinfo=None))
        return wall_ms - wall_ms % _HOUR_MS if local.fold == 0 and self.is_ambiguous(wall_ms) else wall_ms

    def utc_text(self, value: str, now_ms: float) -> str:
        """Convert an instant in Exact's JSON to UTC text: ``2024-03-31T01:30:00.123+00:00``.

        In the hour that is shown twice it is the second of the two instants if that has passed, else the first. An
        instant that UTC would put out of the years 1 to 9999 (.NET's "no date", 0001-01-01) stays as it stands.

        Args:
            value: date in Exact's JSON, ``/Date(1711848600123)/``.
            now_ms: the present by Exact's clock, epoch milliseconds. Where that is known to a second only, the latest
                that it can be: a change read at once would else come out an hour early, before an older one.

        Raises:
            ValueError: the text is not such a date.
        """
        return self._texts.get(value) or self._new_text(value, now_ms)

    def utc_texts(self, values: Iterable[str | None], now_ms: float) -> list[str | None]:
        """Convert many instants as `utc_text` does; None and empty text become None.

        Raises:
            ValueError: one of them is not such a date.
        """
        known, new = self._texts.get, self._new_text
        return [(known(value) or new(value, now_ms)) if value else None for value in values]

    def date_json(self, epoch_ms: int) -> str:
        """Return an instant (epoch milliseconds) as Exact writes it in JSON.

        Raises:
            ValueError: the instant or what the clock shows is not in the years 1 to 9999.
        """
        return f"/Date({self.from_instant(epoch_ms)})/"

    @cached_property
    def _zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def _new_text(self, value: str, now_ms: float) -> str:
        wall_ms = milliseconds(value)
        day = wall_ms // _DAY_MS
        before, _, _, after = self._days.get(day) or self._new_day(day)
        instant, is_final = wall_ms - before, True
        if before != after:
            first, second = self._offsets_at(wall_ms)
            is_final = second == first or wall_ms - second <= now_ms
            instant = wall_ms - (second if is_final else first)
        text = _utc_text(instant if _FIRST_MS <= instant <= _LAST_MS else wall_ms)
        if is_final:
            if len(self._texts) >= _REMEMBERED_TEXTS:
                self._texts.clear()
            self._texts[value] = text
        return text

    def _offsets_at(self, wall_ms: int) -> tuple[int, int]:
        """Return the offsets from UTC (ms) with which a time is shown first and last; both are one if it comes once."""
        day = wall_ms // _DAY_MS
        before, changing, changed, after = self._days.get(day) or self._new_day(day)
        first = before if wall_ms < changed else after
        return first, min(first, before if wall_ms < changing else after)

    def _new_day(self, day: int) -> _Day:
        """Ask the zone, which is slow, about a whole day."""
        times = range(day * _DAY_MS, (day + 1) * _DAY_MS)
        before, after = self._zone_offset(times[0], 0), self._zone_offset(times[-1], 1)
        changing = changed = times[0]
        if before != after:  # no zone has ever changed its clock twice within a day
            changing += bisect_left(times, True, key=lambda at: self._zone_offset(at, 1) == after)
            changed += bisect_left(times, True, key=lambda at: self._zone_offset(at, 0) == after)
        if len(self._days) >= _REMEMBERED_DAYS:
            self._days.clear()
        found = self._days[day] = _Day(before, changing, changed, after)
        return found

    def _zone_offset(self, wall_ms: int, fold: int) -> int:
        offset = from_milliseconds(wall_ms).replace(tzinfo=self._zone_info, fold=fold).utcoffset()
        return 0 if offset is None else offset // _MILLISECOND


AMSTERDAM = WallClock()
"""The clock of Exact's servers in the Netherlands."""


def milliseconds(value: str) -> int:
    """Return the milliseconds in a JSON date of OData v2, ``/Date(1351209600000)/``.

    Raises:
        ValueError: the text is not such a date, or not one in the years 1 to 9999.
    """
    if value[:6] == "/Date(" and value[-2:] == ")/" and _FIRST_MS <= (wall_ms := int(value[6:-2])) <= _LAST_MS:
        return wall_ms
    raise ValueError(f"{value[:40]!r} is not a date in the years 1 to 9999")


@lru_cache(maxsize=_REMEMBERED_TEXTS)
def wall_text(value: str) -> str:
    """Convert a date in Exact's JSON to text without zone, unshifted: ``2024-01-31T00:00:00``.

    Raises:
        ValueError: the text is not such a date.
    """
    days, rest = divmod(milliseconds(value), _DAY_MS)
    if not rest:
        return _day(days) + "T00:00:00"
    minute, rest = divmod(rest, 60_000)
    second, millis = divmod(rest, 1000)
    return _day(days) + _MINUTES[minute] + _SECONDS[second] + (f".{millis:03}" if millis else "")


def wall_texts(values: Iterable[str | None]) -> list[str | None]:
    """Convert many dates as `wall_text` does; None and empty text become None.

    Raises:
        ValueError: one of them is not such a date.
    """
    return [wall_text(value) if value else None for value in values]


def from_milliseconds(wall_ms: int) -> datetime:
    """Return the naive wall clock time of milliseconds since 1970-01-01T00:00 on that clock.

    Raises:
        ValueError: it is not in the years 1 to 9999.
    """
    try:
        return _EPOCH + timedelta(milliseconds=wall_ms)
    except OverflowError:
        raise ValueError(f"{wall_ms} ms is not in the years 1 to 9999") from None


def to_milliseconds(wall: datetime) -> int:
    """Return the whole milliseconds since 1970-01-01T00:00 of a naive wall clock time."""
    return (wall - _EPOCH) // _MILLISECOND


def to_text(wall_ms: int) -> str:
    """Return the text of a wall clock time, sortable: ``2024-01-31T13:45:00.123``.

    Raises:
        ValueError: it is not in the years 1 to 9999.
    """
    return from_milliseconds(wall_ms).isoformat(timespec="milliseconds")


def from_text(text: str) -> int:
    """Return the milliseconds of a wall clock time written by `to_text`.

    Raises:
        ValueError: the text is not such a time.
    """
    wall = datetime.fromisoformat(text)
    if wall.tzinfo is not None:
        raise ValueError(f"{text!r} has a zone; a wall clock has none")
    return to_milliseconds(wall)


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return date.fromordinal(_EPOCH_DAY + days).isoformat()


def _utc_text(epoch_ms: int) -> str:
    rest = epoch_ms % _DAY_MS
    return (
        f"{_day(epoch_ms // _DAY_MS)}{_MINUTES[rest // 60_000]}{_SECONDS[rest // 1000 % 60]}{_UTC_MILLIS[rest % 1000]}"
    )
