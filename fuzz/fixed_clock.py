"""A clock that stands still."""

from __future__ import annotations

from datetime import datetime, timezone

NOW = datetime(2025, 3, 3, 9, 0, tzinfo=timezone.utc)


class FixedClock:
    """Time that does not pass."""

    def now(self) -> datetime:
        """Return the moment at which it stands."""
        return NOW

    def monotonic(self) -> float:
        """Return no seconds."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Return at once."""
