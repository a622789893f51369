"""Which divisions a run reads: those that are configured, as far as the login may read them."""

from __future__ import annotations

from dataclasses import dataclass, field

from source_exact_online.api.client import ExactClient
from source_exact_online.api.divisions import AccessibleDivisions, Division, accessible_divisions
from source_exact_online.config import Config

_SHOWN = 20
"""Divisions that a message lists."""


@dataclass(frozen=True, slots=True)
class ChosenDivisions:
    """Divisions of a run.

    Attributes:
        accessible: what Exact says about the divisions of the login.
        chosen: those to read.
        missing: numbers that are configured and not accessible.
        gone: numbers that were read before and are no longer accessible.
        unknown: numbers in exclude_divisions that are neither accessible nor were read before.
    """

    accessible: AccessibleDivisions
    chosen: list[Division]
    missing: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """What a person should know of, though other divisions can be read."""
        first = [self.accessible.warning] if self.accessible.warning else []
        more = [*map(self.why_missing, self.missing), *map(_why_gone, self.gone), *map(_why_unknown, self.unknown)]
        return [*first, *more]

    @property
    def why_none(self) -> str:
        """Why there is nothing to read."""
        if self.missing:
            return self.why_missing(self.missing[0])
        if self.accessible.complete or self.accessible.warning is None:
            return "exclude_divisions leaves no administration."
        ask = "Exact Online does not list the administrations: name those to read in divisions."
        return f"{ask} {self.accessible.warning}"

    def why_missing(self, code: int) -> str:
        """Return what to say of a division that is configured and not accessible."""
        others = ", ".join(label(one) for _, one in sorted(self.accessible.divisions.items())[:_SHOWN])
        return (
            f"Division {code} is not among the administrations this login may read ({others}): correct divisions in "
            "the configuration, or log in again and tick it on Exact's consent screen."
        )


def choose_divisions(client: ExactClient, config: Config, known: tuple[int, ...] = ()) -> ChosenDivisions:
    """Ask Exact for the divisions of the login, and choose those to read.

    Args:
        client: the API.
        config: of the user.
        known: divisions that earlier runs have read.

    Raises:
        AirbyteTracedException: login or licence do not work at all, or it is not known what to read.
    """
    configured = tuple(code for code in config.divisions if code not in config.exclude_divisions)
    accessible = accessible_divisions(client, configured, known)
    if not configured:
        found = [one for code, one in sorted(accessible.divisions.items()) if code not in config.exclude_divisions]
        unlisted = [code for code in known if code not in accessible.divisions and code not in config.exclude_divisions]
        if accessible.complete:
            unknown = sorted(config.exclude_divisions - accessible.divisions.keys() - set(known))
            return ChosenDivisions(accessible, found, gone=unlisted, unknown=unknown)
        return ChosenDivisions(accessible, [*found, *map(Division, unlisted)])
    wanted = {code: accessible.divisions.get(code) for code in configured}
    if not accessible.complete:
        wanted = {code: division or Division(code) for code, division in wanted.items()}
    return ChosenDivisions(
        accessible,
        [division for division in wanted.values() if division is not None],
        missing=[code for code, division in wanted.items() if division is None],
    )


def label(division: Division) -> str:
    """Return how a message names a division."""
    return f"{division.code} ({division.name})" if division.name else str(division.code)


def _why_gone(code: int) -> str:
    return (
        f"Division {code} was read before and is no longer among the administrations this login may read: its rows "
        "stay as they are in the destination. Log in again and tick it on Exact's consent screen, or put it into "
        "exclude_divisions."
    )


def _why_unknown(code: int) -> str:
    return (
        f"exclude_divisions names division {code}, which is not among the administrations this login may read: see "
        "whether the number is right."
    )
