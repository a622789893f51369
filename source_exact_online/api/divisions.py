"""The user of a login, and the administrations ("divisions") that it may read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from msgspec import UNSET

from source_exact_online.api.client import ExactClient
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.errors import ApiError, LoginUnusableError, NotReadableError
from source_exact_online.api.exact_time import AMSTERDAM, WallClock
from source_exact_online.api.page import Row
from source_exact_online.api.repair import fit
from source_exact_online.api.request import fetch, fetch_all
from source_exact_online.api.site_clock import site_clock

SPARE_URL_DIVISIONS = 3
"""Further divisions that are tried in the URL of the list of divisions, where the first are closed to the login."""

NEVER_MOVED = "never"
"""Move date of a division that Exact says was never moved."""


@dataclass(frozen=True, slots=True)
class Division:
    """An administration.

    Attributes:
        code: its number, as it stands in URLs.
        name: its description; empty where unknown.
        move_date: ``DivisionMoveDate`` as Exact sends it, `NEVER_MOVED` where the division never came to another
            database; None where Exact did not tell.
    """

    code: int
    name: str = ""
    move_date: str | None = None


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """The user of a login.

    Attributes:
        division: the one that the user last opened. Good for a first call, never as the division to read.
        user_id: GUID; empty where unknown.
        full_name: name of the person; empty where unknown.
        clock: of the site, as Exact showed it with the answer.
    """

    division: int
    user_id: str = ""
    full_name: str = ""
    clock: WallClock = AMSTERDAM


@dataclass(frozen=True, slots=True)
class AccessibleDivisions:
    """What Exact says about the divisions of a login.

    Attributes:
        divisions: the readable ones by number.
        complete: whether Exact listed all of them. If not, `divisions` holds only what is known otherwise.
        url_division: a division that may stand in the URL of division-independent listings.
        warning: what is missing, in words for a person; None if nothing is.
        user: of the login; None where the divisions were found without asking.
    """

    divisions: dict[int, Division]
    complete: bool
    url_division: int
    warning: str | None = None
    user: CurrentUser | None = None


def current_user(client: ExactClient) -> CurrentUser:
    """Ask Exact who the user of the login is.

    Raises:
        AirbyteTracedException: the login does not work, or Exact names no current division.
    """
    me = endpoints().me
    page = fetch(client, client.url(me.path, None, {"$select": ",".join(me.columns)}), me.context(None), me.decoder())
    row = page.rows[0] if page.rows else None
    division = None if row is None else fit(row.CurrentDivision, int)[0]
    if row is None or division is None:
        raise AirbyteTracedException(
            message="Exact Online names no current administration for this login: open one in Exact Online once.",
            failure_type=FailureType.config_error,
        )
    clock = site_clock(row.ServerTime, row.ServerUtcOffset, client.server_clock.now_ms())
    return CurrentUser(division, str(row.UserID or ""), str(row.FullName or ""), clock)


def accessible_divisions(
    client: ExactClient, configured: tuple[int, ...] = (), known: tuple[int, ...] = ()
) -> AccessibleDivisions:
    """Ask Exact which divisions the login may read.

    The list of all licences is asked first, then the one of a single licence, since either may be forbidden to the
    app; with neither, the configured divisions (or else the current one) are all that is known.

    Args:
        client: the API.
        configured: divisions named in the configuration. The first stands in the URL; if Exact refuses it there, the
            user's current division does.
        known: divisions that an earlier run has read; they stand in where Exact's list is not available at the moment.

    Raises:
        AirbyteTracedException: login or licence do not work at all, or it is not known what to read.
    """
    refusals: list[str] = []
    is_closed = True
    asked: list[CurrentUser] = []
    for url_division, is_spare in _url_divisions(client, configured, known, asked):
        if is_spare and not is_closed:
            break
        is_closed = False
        for index, endpoint in enumerate(endpoints().divisions):
            url = client.url(endpoint.path, url_division, {"$select": ",".join(endpoint.columns)})
            try:
                rows = fetch_all(client, url, endpoint.context(url_division), endpoint.decoder())
            except ApiError as error:
                passes = error.resolution.failure is FailureType.transient_error
                if isinstance(error, LoginUnusableError) or (passes and not configured and not known):
                    raise  # going on without the list would leave out divisions that nobody has named
                refusals.append(error.resolution.message)
                is_closed = is_closed or error.resolution.concerns_division
                continue
            found = {row.Code: _division(row) for row in rows}
            if found:
                warning = refusals[0] if refusals else None
                return AccessibleDivisions(found, index == 0, url_division, warning, next(iter(asked), None))
    known = configured or known or (url_division,)
    reason = refusals[0] if refusals else "Exact Online lists no administrations for this login."
    warning = f"{reason} Reading division {', '.join(map(str, known))} without the list of administrations."
    codes = {code: Division(code) for code in known}
    return AccessibleDivisions(codes, False, url_division, warning, next(iter(asked), None))


def _url_divisions(
    client: ExactClient, configured: tuple[int, ...], known: tuple[int, ...], asked: list[CurrentUser]
) -> Iterator[tuple[int, bool]]:
    """Yield divisions to put into the URL of a listing of all, and whether they are for the case of closed ones.

    The first configured one comes first, else the user's current one. If these are closed, any other will do. A user
    who was asked for is left in `asked`.
    """
    tried = dict.fromkeys(configured[:1])
    yield from ((code, False) for code in configured[:1])
    try:
        asked.append(current_user(client))
    except AirbyteTracedException:
        if not configured:
            raise
    else:
        current = asked[0].division
        if current not in tried:
            tried[current] = None
            yield current, False
    spare = [code for code in (*configured, *known) if code not in tried]
    yield from ((code, True) for code in spare[:SPARE_URL_DIVISIONS])


def _division(row: Row) -> Division:
    name = row.Description if isinstance(row.Description, str) else ""
    told = getattr(row, "DivisionMoveDate", UNSET)
    move_date = None if told is UNSET else NEVER_MOVED if told is None else str(told)
    return Division(row.Code, name, move_date)


def closed(client: ExactClient, division: int) -> str | None:
    """Return why a division cannot be read, in words for a person; None if it can be.

    One call to an endpoint that needs no scope: only what is said of the division itself counts.
    """
    endpoint = endpoints().divisions[-1]
    url = client.url(endpoint.path, division, {"$select": endpoint.columns[0], "$top": "1"})
    try:
        fetch(client, url, endpoint.context(division), endpoint.decoder())
    except NotReadableError as error:
        return error.resolution.message if error.resolution.concerns_division else None
    return None
