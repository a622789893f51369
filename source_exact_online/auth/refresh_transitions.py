"""Every rule that moves what is known of a login, as pure functions, and what is to be done in each state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airbyte_cdk.models import FailureType

from source_exact_online.auth.refresh_state import (
    Dead,
    Grace,
    Held,
    Lost,
    NoTokens,
    RefreshState,
    Refused,
    Trouble,
    Waiting,
)
from source_exact_online.auth.tokens import DEFAULT_LIFE_SECONDS, Tokens

MOST_REFUSALS = 5
"""Answers that Exact counts as errors after which a run asks no more: at more than ten an hour it blocks the key."""

FAULT_MEMORY_SECONDS = 5.0
"""Seconds for which a token endpoint that did not work is not asked again.

Whoever needs a token tries again later, as for any call, so that a site that is down is probed by one call at a time.
"""

EARLY_PAUSES = (0.02, 0.08, 0.2, 0.3, 0.36, 0.06)
"""Pauses after "too early" when nothing is known of the last refresh, in parts of a token's life; its whole in sum.

Every such refusal counts for Exact's limit of ten errors an hour, so there are few of them.
"""

FIRST_GRACE = 0.1
"""Part of a life that a token stays in use after "too early" when its end is unknown; twice as long each time."""

ISSUE_GUARD = 0.004
"""Part of the life waited beyond a token's end where Exact gives no new one before it: clocks are not that exact."""

_FOR_A_TOKEN = "Exact Online to give a new access token"


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment by both clocks.

    Attributes:
        utc: wall clock.
        monotonic: seconds since an arbitrary moment; never goes back.
    """

    utc: datetime
    monotonic: float


@dataclass(frozen=True, slots=True)
class Use:
    """Use the access token of these tokens."""

    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask Exact for new tokens."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after some seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """There is no access token.

    Attributes:
        message: for a person.
        failure: kind of the error.
        detail: for the log.
        log_in_again: whether the way to a new login is told as well.
        for_good: whether there will be none in this run.
    """

    message: str
    failure: FailureType
    detail: str = ""
    log_in_again: bool = False
    for_good: bool = True


Decision = Use | Ask | Wait | Fail


def usable_token(state: RefreshState, now: datetime) -> str | None:
    """Return the access token if it is to be sent as it is, else None.

    Args:
        state: what is known.
        now: UTC.
    """
    login = state.login
    if isinstance(login, Held):
        kept = login.grace is not None and now < login.grace.until
        return login.tokens.access_token if kept or login.tokens.fresh(now) else None
    if isinstance(login, Lost) and isinstance(login.before, Held) and login.tokens.alive(now):
        return login.tokens.access_token
    return None


def decide(state: RefreshState, now: Instant) -> Decision:
    """Return what is to be done for an access token."""
    login = state.login
    if not isinstance(login, NoTokens) and usable_token(state, now.utc) is not None:
        return Use(login.tokens)
    if isinstance(login, Dead):
        failure = FailureType.transient_error if login.passes else FailureType.config_error
        return Fail(login.message, failure, login.detail, login.log_in_again)
    if isinstance(login, Lost):
        return Fail(
            f"Exact Online's answer to the token refresh was lost ({login.reason}), and with it perhaps the only valid "
            "refresh token. It was not asked twice. Run the sync once more: if Exact Online never carried out the "
            "refresh, all is well. If it then says that the refresh token has been used:",
            FailureType.config_error,
            log_in_again=True,
        )
    wait = _wait(login, now)
    if wait.seconds > 0:
        return wait
    if state.trouble is not None and now.monotonic < state.trouble.until:
        return Fail(state.trouble.message, FailureType.transient_error, for_good=False)
    return Ask()


def observed(state: RefreshState, tokens: Tokens) -> RefreshState:
    """Return the state after a look at the newest tokens, wherever they are."""
    login = state.login
    if not isinstance(login, NoTokens) and login.tokens.same_pair(tokens):
        return state
    return replace(state, login=Held(tokens), too_early=0)


def rejected(state: RefreshState, access_token: str, now: datetime) -> RefreshState:
    """Return the state after a 401; the same one if the access token is not in use any more.

    Args:
        state: before.
        access_token: what Exact refused.
        now: UTC.
    """
    login = state.login
    held = login.before if isinstance(login, Lost) else login
    if not isinstance(held, Held) or held.tokens.access_token != access_token:
        return state
    refused = Refused(held.tokens, early=held.tokens.fresh(now))
    if isinstance(login, Lost):
        return replace(state, login=replace(login, before=refused))
    if refused.early and held.replaces_refused:
        return gave_up(
            state,
            "Exact Online refuses access tokens that it has just issued (HTTP 401, twice in a row). "
            "Check that the user of this login is active and may use the app.",
        )
    return replace(state, login=refused, too_early=0)


def granted(state: RefreshState, tokens: Tokens, now: datetime) -> RefreshState:
    """Return the state after new tokens have come. If no access token of two in a row can be used, the run must end.

    Args:
        state: before.
        tokens: the new ones.
        now: UTC.
    """
    before = _before(state)
    after = RefreshState(Held(tokens, replaces_refused=isinstance(before, Refused) and before.early))
    if usable_token(after, now) is not None:
        return after
    if state.unusable:
        message = "Exact Online's answers to the token refresh hold no access token that can be used. Try again later."
        return ended(after, message)
    return replace(after, unusable=True)


def told_too_early(state: RefreshState, now: Instant) -> RefreshState:
    """Return the state after "too early": the access token stays in use, or the time is waited for."""
    before, count = _before(state), state.too_early + 1
    tokens = before.tokens
    life = timedelta(seconds=tokens.life or DEFAULT_LIFE_SECONDS)
    ends_at = tokens.received_at + life if tokens.received_at is not None else tokens.expires_at
    sure = ends_at + life * ISSUE_GUARD if ends_at is not None and now.utc < ends_at <= now.utc + life else None
    state = replace(state, too_early=count)
    if isinstance(before, Held) and tokens.access_token:
        ask_at = sure or now.utc + life * min(FIRST_GRACE * 2 ** (count - 1), 1.0)
        alive_until = tokens.expires_at if sure is not None and tokens.alive(now.utc) else None
        return replace(state, login=replace(before, grace=Grace(alive_until or ask_at, ask_at)))
    if isinstance(before, Refused) and count > 1:
        return gave_up(
            state,
            "Exact Online refuses the access token (HTTP 401) and gives no new one either, even after its time.",
        )
    if count > len(EARLY_PAUSES):
        return ended(
            state, "Exact Online gives no new access token: it takes the last one for too young. Try again later."
        )
    part = 1 + ISSUE_GUARD if isinstance(before, Refused) else EARLY_PAUSES[count - 1]
    pause = sure - now.utc if sure is not None else life * part
    return replace(state, login=Waiting(before, now.monotonic + pause.total_seconds(), _FOR_A_TOKEN))


def troubled(state: RefreshState, now: Instant, message: str, *, is_counted: bool = False) -> RefreshState:
    """Return the state in which the token endpoint is left alone for a while, with one error for all who ask.

    Args:
        state: before.
        now: by both clocks.
        message: for a person.
        is_counted: whether Exact counts its answer as an error. After some of these it is left alone in this run.
    """
    if is_counted:
        state = replace(state, refusals=state.refusals + 1)
        if state.refusals >= MOST_REFUSALS:
            return ended(state, message)
    trouble = Trouble(now.monotonic + FAULT_MEMORY_SECONDS, message)
    return replace(state, login=_before(state), trouble=trouble, too_early=0)


def answer_lost(state: RefreshState, reason: str) -> RefreshState:
    """Return the state after a refresh without an answer."""
    return replace(state, login=Lost(_before(state), reason))


def gave_up(state: RefreshState, message: str, detail: str = "", *, log_in_again: bool = True) -> RefreshState:
    """Return the state in which a person must act; the arguments are those of `Dead`."""
    return replace(state, login=Dead(_before(state).tokens, message, detail, log_in_again))


def ended(state: RefreshState, message: str) -> RefreshState:
    """Return the state in which this run must end, and the next one may get tokens without anybody's doing."""
    return replace(state, login=Dead(_before(state).tokens, message, log_in_again=False, passes=True))


def _before(state: RefreshState) -> Held | Refused:
    """Return the state that Exact is asked in."""
    login = state.login
    if isinstance(login, (Waiting, Lost)):
        return login.before
    if isinstance(login, (Held, Refused)):
        return login
    raise ValueError(f"Exact is not asked in the state {type(login).__name__}")


def _wait(login: NoTokens | Held | Refused | Waiting, now: Instant) -> Wait:
    """Return how long Exact is not to be asked; zero seconds or less: it may be asked now."""
    if isinstance(login, Waiting):
        return Wait(login.until - now.monotonic, login.reason)
    if not isinstance(login, Held):  # after a refusal Exact is asked at once: the answer tells whether the login lives
        return Wait(0.0, _FOR_A_TOKEN)
    if login.grace is not None:
        return Wait((login.grace.ask_at - now.utc).total_seconds(), _FOR_A_TOKEN)
    allowed_at = login.tokens.refresh_allowed_at()
    if allowed_at is None or not login.tokens.access_token:
        return Wait(0.0, _FOR_A_TOKEN)
    seconds = (allowed_at - now.utc).total_seconds()
    # A moment further away than a whole life comes from a clock that was set back.
    return Wait(seconds if seconds <= (login.tokens.life or DEFAULT_LIFE_SECONDS) else 0.0, _FOR_A_TOKEN)
