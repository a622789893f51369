"""Moments and dates: office hours, nights of the clock change, periods.

Instants are aware UTC datetimes; business dates are naive midnights in the server's local time (Europe/Amsterdam).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from exact_online_sandbox.books.dice import Dice

UTC = timezone.utc
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
YEARS = 2

# Around 01:00 UTC, when the clock goes from 02:00 to 03:00 in March and from 03:00 back to 02:00 in October.
_AROUND_SPRING = (timedelta(minutes=-30), timedelta(milliseconds=-7), timedelta(0), timedelta(minutes=30))
_AROUND_AUTUMN = (
    timedelta(minutes=-60),
    timedelta(minutes=-30),
    timedelta(milliseconds=-7),
    timedelta(0),
    timedelta(minutes=30),
    timedelta(minutes=60),
)


def tick(instant: datetime) -> datetime:
    """The instant as SQL Server's datetime keeps it: milliseconds that end in 0, 3 or 7, rounded down."""
    milliseconds = instant.microsecond // 1000
    last = milliseconds % 10
    kept = milliseconds - last + (7 if last >= 7 else 3 if last >= 3 else 0)
    return instant.replace(microsecond=kept * 1000)


def midnight(day: date) -> datetime:
    """A business date: naive midnight."""
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - business dates have no zone


def business_date(instant: datetime) -> datetime:
    """The local date of an instant, as a business date."""
    return midnight(instant.astimezone(AMSTERDAM).date())


def local(day: date, hour: int, minute: int = 0) -> datetime:
    """The instant of a local time that exists once on that day."""
    return datetime.combine(day, time(hour, minute), tzinfo=AMSTERDAM).astimezone(UTC)


def clock_changes(start: datetime, end: datetime) -> list[datetime]:
    """The moments between start and end when the clock is changed: 01:00 UTC, last Sundays of March and October."""
    found = []
    for year in range(start.year, end.year + 1):
        for month in (3, 10):
            last = date(year, month, 31)
            sunday = last - timedelta(days=(last.weekday() + 1) % 7)
            change = datetime(year, month, sunday.day, 1, tzinfo=UTC)
            if start < change < end:
                found.append(change)
    return found


def notable_instants(start: datetime, end: datetime) -> list[datetime]:
    """Instants that are easy to get wrong, in order.

    Both sides of the hour that is missing in March, both passes of the hour that October repeats, 23:30 local time
    (another date when taken for UTC and moved), 00:30 local time (another date in UTC), New Year's Eve.
    """
    found: set[datetime] = set()
    for change in clock_changes(start, end):
        found.update(change + delta for delta in (_AROUND_SPRING if change.month == 3 else _AROUND_AUTUMN))
        eve = change.date() - timedelta(days=1)
        found.update((local(eve, 23, 30), local(change.date(), 0, 30), local(change.date(), 23, 30)))
    for year in range(start.year, end.year + 1):
        found.update(
            (local(date(year, 12, 31), 23, 30), local(date(year, 6, 30), 23, 30), local(date(year, 7, 1), 0, 30))
        )
    return sorted(tick(instant) for instant in found if start < instant < end)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The time span of the books."""

    start: datetime
    end: datetime
    notable: tuple[datetime, ...]

    @classmethod
    def until(cls, end: datetime) -> Timeline:
        """Two years up to ``end`` (aware), from the first of a month.

        Raises:
            ValueError: ``end`` has no time zone.
        """
        if end.tzinfo is None:
            raise ValueError("until needs a time zone")
        end = tick(end.astimezone(UTC))
        here = end.astimezone(AMSTERDAM)
        start = local(date(here.year - YEARS, here.month, 1), 9)
        return cls(start, end, tuple(notable_instants(start, end)))

    @property
    def years(self) -> range:
        """The calendar years the span touches, in local time."""
        return range(self.start.astimezone(AMSTERDAM).year, self.end.astimezone(AMSTERDAM).year + 1)

    def instants(self, dice: Dice, count: int) -> list[datetime]:
        """So many instants in ascending order: mostly office hours, up to a third of them notable ones."""
        notable = dice.sample(self.notable, min(len(self.notable), -(-count // 3)))
        found = list(notable)
        noons = self._noons()
        while len(found) < count:
            noon = dice.choice(noons)
            if noon.weekday() > 4 and dice.random() > 0.05:
                continue
            seconds = dice.triangular(-14_400, 21_600, 0.0)
            instant = noon + timedelta(milliseconds=int(seconds * 1000))
            if self.start <= instant <= self.end:
                found.append(tick(instant))
        return sorted(found)

    def _noons(self) -> list[datetime]:
        day, last = self.start.astimezone(AMSTERDAM).date(), self.end.astimezone(AMSTERDAM).date()
        noons = []
        while day <= last:
            noons.append(local(day, 12))
            day += timedelta(days=1)
        return noons
