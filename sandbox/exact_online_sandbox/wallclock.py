"""The server's wall clock: Exact writes local time as if it were UTC.

Exact's own FAQ says that the epoch number of a DateTime is in CET and not in GMT, i.e. the server's local time. A row
changed at 12:00 UTC in summer therefore shows 14:00 "UTC".
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - the zero point of zone-less values
_MILLISECOND = timedelta(milliseconds=1)
_HOUR_MS = 3_600_000


class WallClock:
    """Turns moments into the local time of one zone, both as milliseconds since 1970."""

    def __init__(self, zone: str = "Europe/Amsterdam") -> None:
        self.zone = zone
        self._zone = ZoneInfo(zone)
        self._offsets: dict[int, int] = {}

    def offset_ms(self, utc_ms: int) -> int:
        """Offset of local time from UTC at that moment, in milliseconds.

        Remembered per hour: the zones of Exact's sites change their offset on the whole hour of UTC.
        """
        hour = utc_ms // _HOUR_MS
        offset = self._offsets.get(hour)
        if offset is None:
            moment = EPOCH + timedelta(milliseconds=hour * _HOUR_MS)
            delta = moment.astimezone(self._zone).utcoffset() or timedelta()
            offset = self._offsets[hour] = delta // _MILLISECOND
        return offset

    def to_wall_ms(self, utc_ms: int) -> int:
        """Milliseconds that Exact would show for that moment (UTC milliseconds since 1970)."""
        return utc_ms + self.offset_ms(utc_ms)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970: of an aware value in UTC, of a naive one as it reads."""
    if moment.tzinfo is None:
        return (moment - EPOCH_NAIVE) // _MILLISECOND
    return (moment - EPOCH) // _MILLISECOND


def instant_from_ms(utc_ms: int) -> datetime:
    """The aware UTC moment of UTC milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=utc_ms)


def naive_from_ms(ms: int) -> datetime:
    """The zone-less value of milliseconds since 1970 read without a zone."""
    return EPOCH_NAIVE + timedelta(milliseconds=ms)
