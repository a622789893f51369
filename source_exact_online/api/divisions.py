"""The user of a login, and the administrations ("divisions") that it may read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.client import ExactClient
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.errors import Action, ApiError
from source_exact_online.api.odata import Row
from source_exact_online.api.request import fetch, fetch_all


@dataclass(frozen=True, slots=True)
class Division:
    """An administration.

    Attributes:
        code: its number, as it stands in URLs.
        name: its description; empty where unknown.
        moved: ``DivisionMoveDate`` as Exact sends it, None where it never moved to another database.
        move_known: whether Exact told the move date at all.
    """

    code: int
    name: str = ""
    moved: str | None = None
    move_known: bool = False


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """The user of a login.

    Attributes:
        division: the one that the user last opened. Good for a first call, never as the division to read.
        user_id: GUID; empty where unknown.
        full_name: name of the person; empty where unknown.
    """

    division: int
    user_id: str = ""
    full_name: str = ""


@dataclass(frozen=True, slots=True)
class AccessibleDivisions:
    """What Exact says about the divisions of a login.

    Attributes:
        divisions: the readable ones by number.
        complete: whether Exact listed all of them. If not, `divisions` holds only what is known otherwise.
        url_division: a division that may stand in the URL of division-independent listings.
        warning: what is missing, in words for a person; None if nothing is.
    """

    divisions: dict[int, Division]
    complete: bool
    url_division: int
    warning: str | None = None


def current_user(client: ExactClient) -> CurrentUser:
    """Ask Exact who the user of the login is.

    Raises:
        AirbyteTracedException: the login does not work, or Exact names no current division.
    """
    me = endpoints().me
    page = fetch(client, client.url(me.path, None, {"$select": ",".join(me.columns)}), me.subject(None))
    row = page.rows[0] if page.rows else {}
    division = row.get("CurrentDivision")
    if not isinstance(division, int):
        raise AirbyteTracedException(
            message="Exact Online names no current administration for this login: open one in Exact Online once.",
            failure_type=FailureType.config_error,
        )
    return CurrentUser(division, row.get("UserID") or "", row.get("FullName") or "")


def accessible_divisions(
    client: ExactClient,
    configured: tuple[int, ...] = (),
    known: tuple[int, ...] = (),
    user: CurrentUser | None = None,
) -> AccessibleDivisions:
    """Ask Exact which divisions the login may read.

    The list of all licences is asked first, then the one of a single licence, since either may be forbidden to the
    app; with neither, the configured divisions (or else the current one) are all that is known.

    Args:
        client: the API.
        configured: divisions named in the configuration. The first stands in the URL; if Exact refuses it there, the
            user's current division does.
        known: divisions that an earlier run has read; they stand in where Exact's list is not available at the moment.
        user: the current user, if that has been asked for already.

    Raises:
        AirbyteTracedException: login or licence do not work at all, or it is not known what to read.
    """
    refusals: list[str] = []
    for url_division in _url_divisions(client, configured, user):
        for index, service in enumerate(endpoints().divisions):
            url = client.url(service.path, url_division, {"$select": ",".join(service.columns)})
            try:
                rows = fetch_all(client, url, service.subject(url_division))
            except ApiError as error:
                passes = error.verdict.failure is FailureType.transient_error
                if (passes and not configured and not known) or (not passes and error.verdict.action is Action.FAIL):
                    raise  # going on without the list would leave out divisions that nobody has named
                refusals.append(error.verdict.message)
                continue
            found = {row["Code"]: _division(row) for row in rows if isinstance(row.get("Code"), int)}
            if found:
                return AccessibleDivisions(found, index == 0, url_division, refusals[0] if refusals else None)
    known = configured or known or (url_division,)
    reason = refusals[0] if refusals else "Exact Online lists no administrations for this login."
    warning = f"{reason} Reading division {', '.join(map(str, known))} without the list of administrations."
    return AccessibleDivisions({code: Division(code) for code in known}, False, url_division, warning)


def _url_divisions(client: ExactClient, configured: tuple[int, ...], user: CurrentUser | None) -> Iterator[int]:
    """Divisions to put into the URL of a listing of all: the first configured one, else the user's current one."""
    if not configured:
        yield (user or current_user(client)).division
        return
    yield configured[0]
    with contextlib.suppress(AirbyteTracedException):
        current = (user or current_user(client)).division
        if current != configured[0]:
            yield current


def _division(row: Row) -> Division:
    name, moved = row.get("Description") or "", row.get("DivisionMoveDate")
    return Division(row["Code"], name, moved, "DivisionMoveDate" in row)


def inaccessible(client: ExactClient, division: int) -> str | None:
    """Why a division cannot be read, in words for a person; None if it can be.

    One call to an endpoint that needs no scope: only what is said of the division itself counts.
    """
    service = endpoints().divisions[-1]
    url = client.url(service.path, division, {"$select": service.columns[0], "$top": "1"})
    try:
        fetch(client, url, service.subject(division))
    except ApiError as error:
        if error.verdict.action is Action.SKIP and error.verdict.concerns_division:
            return error.verdict.message
        if error.verdict.action is not Action.SKIP:
            raise
    return None
