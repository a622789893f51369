"""Who may read what: scopes of the app, divisions of the consent, modules and rights of the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from exact_online_sandbox import errors
from exact_online_sandbox.entities import DIVISIONS
from exact_online_sandbox.errors import ApiError
from exact_online_sandbox.oauth import Identity
from exact_online_sandbox.reference import Endpoint

REASONS = ("BlockedUser", "InactiveUser", "BlockedCustomer", "LicenseExpired", "DivisionBlocked", "NoDivisionAccess")
"""Values of the ``Reason`` header (documentation quoted in picqer #451)."""
_DIVISION_LISTS = frozenset({DIVISIONS, "system/AllDivisions"})


def scopes_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Scopes an endpoint needs, as Exact's errors write them: ``crm.accounts`` for "Crm accounts"."""
    return tuple(part.strip().lower().replace(" ", ".") for part in (endpoint.scope or "").split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class Denial:
    """One thing that is not allowed."""

    kind: str
    """``scope``, ``module`` (plain Forbidden), ``empty`` (200 without rows) or ``blocked`` (``Reason`` header)."""
    path: str = "*"
    """Pattern of the endpoint's path, as in ``sales*``."""
    division: int | None = None
    scope: str | None = None
    """For ``scope``: the missing one (``crm.accounts``); all endpoints that need it are refused."""
    reason: str = "BlockedUser"
    """For ``blocked``: one of REASONS."""
    status: int = 403
    """For ``blocked``: 401 or 403."""
    client_id: str | None = None
    user: str | None = None

    KINDS = ("scope", "module", "empty", "blocked")

    def applies(self, identity: Identity, division: int | None, path: str) -> bool:
        """Whether the denial is about that call."""
        return (
            fnmatchcase(path, self.path)
            and self.division in (None, division)
            and self.client_id in (None, identity.client_id)
            and self.user in (None, identity.user.name)
        )


@dataclass(slots=True)
class Rights:
    """All denials in force."""

    denials: list[Denial] = field(default_factory=list)

    def deny(self, raw: Mapping[str, Any]) -> Denial:
        """Add a denial.

        Raises:
            ValueError: it has an unknown field or kind.
        """
        unknown = set(raw) - {f.name for f in fields(Denial)}
        if unknown or raw.get("kind") not in Denial.KINDS:
            raise ValueError(f"a denial has a kind out of {', '.join(Denial.KINDS)}; unknown: {sorted(unknown)}")
        if raw["kind"] == "scope" and not raw.get("scope"):
            raise ValueError("a denial of kind scope names the scope")
        denial = Denial(**raw)
        if denial.reason not in REASONS:
            raise ValueError(f"a denial's reason is one of {', '.join(REASONS)}")
        self.denials.append(denial)
        return denial

    def allow_all(self) -> None:
        """Drop all denials."""
        self.denials.clear()

    def describe(self) -> list[dict[str, Any]]:
        """All denials as plain objects."""
        return [asdict(denial) for denial in self.denials]

    def check_user(self, identity: Identity, division: int | None, path: str) -> None:
        """Refuse a blocked user or licence.

        Raises:
            ApiError: 401 or 403 with a ``Reason`` header.
        """
        for denial in self.denials:
            if denial.kind == "blocked" and denial.applies(identity, division, path):
                raise ApiError(denial.status, errors.FORBIDDEN, {"Reason": denial.reason})

    def check_division(
        self, identity: Identity, division: int, known: frozenset[int], path: str, *, check_lists: bool
    ) -> None:
        """Refuse a division the user has no access to, or did not tick in the consent screen.

        Raises:
            ApiError: 403.
        """
        if path in _DIVISION_LISTS and not check_lists:
            return
        allowed = identity.user.divisions
        if division not in known or (allowed is not None and division not in allowed):
            raise ApiError(403, errors.FORBIDDEN, {"Reason": "NoDivisionAccess"})
        if division not in identity.divisions:
            raise ApiError(403, errors.DIVISION_NOT_IN_CONSENT)

    def check_endpoint(self, identity: Identity, division: int | None, endpoint: Endpoint) -> bool:
        """Refuse an endpoint for a missing scope, module or right.

        Returns:
            Whether the endpoint shows no rows for lack of a right.

        Raises:
            ApiError: 403.
        """
        needed = scopes_of(endpoint)
        empty = False
        for denial in self.denials:
            if denial.kind == "scope":
                about = Denial("scope", division=denial.division, client_id=denial.client_id, user=denial.user)
                if denial.scope in needed and about.applies(identity, division, endpoint.path):
                    raise ApiError(403, errors.scope_missing(denial.scope))
            elif denial.kind == "module" and denial.applies(identity, division, endpoint.path):
                raise ApiError(403, errors.FORBIDDEN)
            elif denial.kind == "empty" and denial.applies(identity, division, endpoint.path):
                empty = True
        return empty
