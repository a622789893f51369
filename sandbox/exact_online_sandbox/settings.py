"""What can be set: on the command line at the start, and by the control API while the server runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, cast

from exact_online_sandbox.feeds import FeedOptions
from exact_online_sandbox.figures.options import FigureOptions
from exact_online_sandbox.reader import PageSizes


@dataclass(slots=True)
class QuotaSettings:
    """Limits per app and division."""

    minute_limit: int = 60
    minute_seconds: float = 60
    """Length of the short window; windows begin at multiples of it since 1970 UTC."""
    daily_limit: int = 5000
    day_seconds: float = 86_400
    """Length of the long window; windows begin at multiples of it since 1970 UTC, so a day begins at 00:00 UTC."""
    count_rejected: bool = False
    """Whether calls refused with 429 are counted themselves; unknown of Exact."""


@dataclass(slots=True)
class ErrorLimitSettings:
    """The limit on errors per app, user, division, endpoint and hour."""

    limit: int = 10
    """Errors allowed per window; 0 switches the limit off."""
    window_seconds: float = 3600
    block_seconds: float = 3600
    """Length of the first block; each further one is twice as long."""
    status: int = 429
    """Status while blocked; unknown of Exact."""


@dataclass(slots=True)
class TokenSettings:
    """Life of tokens."""

    life_seconds: float = 600
    refresh_fraction: float = 0.95
    """Part of the life that must have passed before the next refresh (570 s of 600)."""
    strict_refresh: bool = False
    """Refuse a refresh until the access token's life is over, as one report says."""
    refresh_days: float = 30
    """Life of an unused refresh token."""
    code_seconds: float = 180
    reuse_kills_chain: bool = True
    """Whether using an old refresh token ends the login; if not, its newest refresh token goes on working."""
    invalid_client_status: int = 400
    """Status for a wrong client id or secret; unknown of Exact."""


@dataclass(slots=True)
class Settings:
    """Everything that can be set."""

    quota: QuotaSettings = field(default_factory=QuotaSettings)
    errors: ErrorLimitSettings = field(default_factory=ErrorLimitSettings)
    tokens: TokenSettings = field(default_factory=TokenSettings)
    feeds: FeedOptions = field(default_factory=FeedOptions)
    figures: FigureOptions = field(default_factory=FigureOptions)
    page_sizes: PageSizes = field(default_factory=PageSizes)
    latency_ms: float = 0
    """Wait before each answer of the API, in real milliseconds."""
    url_limit: int = 6000
    """Longest address in characters."""
    check_divisions_url: bool = True
    """Whether system/Divisions and system/AllDivisions check the division in their address."""
    removed_endpoints: bool = False
    """Whether endpoints known from older sources only answer; otherwise 404."""
    undocumented_endpoints: bool = True
    """Whether endpoints that only Exact's ``$metadata`` has answer; otherwise 404. Unknown of Exact."""
    sync_timestamp_object: bool = False
    """Whether SyncTimestamp answers an object instead of a list."""

    @property
    def silent(self) -> frozenset[str]:
        """Statuses of endpoints that do not answer."""
        answers = {"removed": self.removed_endpoints, "undocumented": self.undocumented_endpoints}
        return frozenset(status for status, does in answers.items() if not does)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set values by name; nested groups take an object of their own.

        Raises:
            ValueError: a name is unknown or a value has the wrong type.
        """
        _change(self, changes)


_Group = Settings | QuotaSettings | ErrorLimitSettings | TokenSettings | FeedOptions | FigureOptions | PageSizes


def _change(target: _Group, changes: Mapping[str, Any]) -> None:
    names = {f.name for f in fields(target)}
    for name, value in changes.items():
        if name not in names:
            raise ValueError(f"unknown setting {name!r}; known: {', '.join(sorted(names))}")
        current = getattr(target, name)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise ValueError(f"{name} takes an object")
            _change(cast("_Group", current), value)
            continue
        fits = isinstance(value, bool) if isinstance(current, bool) else _is_number(value)
        if not fits or (isinstance(current, int) and not isinstance(current, bool) and int(value) != value):
            raise ValueError(f"{name} takes {type(current).__name__}, not {value!r}")
        setattr(target, name, value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
