"""When to ask Exact Online for new tokens, and what to do with each kind of answer."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.credentials import Credentials
from source_exact_online.auth.token_endpoint import Granted, Lost, TokenEndpoint, Unsent
from source_exact_online.auth.token_errors import Outcome, Refused
from source_exact_online.auth.tokens import DEFAULT_LIFE_SECONDS, Tokens
from source_exact_online.clock import Clock, sleep_with_heartbeat

logger = logging.getLogger("airbyte.exact_online")

FAULT_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds between attempts while the token endpoint does not work; a little over a minute in all."""

FAULT_MEMORY_SECONDS = 30.0
"""How long a token endpoint that did not work is not asked again; other streams fail at once instead of waiting too."""

EARLY_PAUSES = (0.02, 0.08, 0.2, 0.3, 0.36, 0.06)
"""Pauses after "too early" when nothing is known of the last refresh, in parts of a token's life; its whole in sum.

Every such refusal counts for Exact's limit of ten errors an hour, so there are few of them.
"""

ISSUE_GUARD = 0.004
"""Part of the life waited beyond a token's end where Exact gives no new one before it: clocks are not that exact."""

_LOG_IN_AGAIN = (
    "Log in again: run `source-exact-online login --site {site}` and use the configuration it writes, or press the "
    "Authenticate button of the source in Airbyte. Then give each connection an app and user of its own, or have all "
    "of them share one token file."
)


@dataclass(slots=True)
class _Kept:
    """An access token that stays in use although its time seemed to be over, because Exact gives no other yet."""

    access_token: str
    until: datetime


@dataclass(slots=True)
class _Attempts:
    """What happened so far in one renewal."""

    too_early: int = 0
    faults: int = 0


class Refresher:
    """Renews the tokens of one login. Not thread-safe: the owner holds a lock.

    Args:
        chain: where the tokens are.
        endpoint: who gives new ones.
        clock: time source.
        site: country site, for messages.
        rng: random number in [0, 1) for jitter.
    """

    def __init__(
        self,
        chain: Credentials,
        endpoint: TokenEndpoint,
        clock: Clock,
        site: str,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._chain = chain
        self._endpoint = endpoint
        self._clock = clock
        self._site = site
        self._rng = rng
        self._kept: _Kept | None = None
        self._ask_again: tuple[str, datetime] | None = None
        self._refused_access_token = ""
        self._refused_early = False
        self._successor = ""
        self._early_in_a_row = 0
        self._final: tuple[str, str, str] | None = None
        self._lost: tuple[str, str] | None = None
        self._answer_missing = False
        self._faulty_until = float("-inf")

    def usable(self, tokens: Tokens) -> bool:
        """Whether the access token is to be sent as it is."""
        if tokens.access_token == self._refused_access_token:
            return False
        now = self._clock.now()
        kept = self._kept
        if kept is not None and kept.access_token == tokens.access_token and now < kept.until:
            return True
        return tokens.fresh(now)

    def refuse(self, tokens: Tokens) -> None:
        """Exact answered 401 to this access token.

        Raises:
            AirbyteTracedException: it had come in place of one that was refused as well, and should still be living.
        """
        early = tokens.fresh(self._clock.now())
        if early and tokens.access_token == self._successor:
            raise _config_error(
                "Exact Online refuses access tokens that it has just issued (HTTP 401, twice in a row). "
                "Check that the user of this login is active and may use the app. " + self._way_out()
            )
        self._refused_access_token = tokens.access_token
        self._refused_early = early
        self._successor = ""
        self._kept = None

    def renew(self) -> Tokens:
        """Tokens with a usable access token: those at hand, those of another process, or new ones.

        Waits where Exact's rules ask for it, with a log line at least once a minute. New tokens are durable on return.

        Raises:
            AirbyteTracedException: there are none to be had; config error where a person must act.
        """
        attempts = _Attempts()
        while True:
            try:
                with self._chain.locked():
                    result = self._step(attempts)
            finally:
                self._chain.announce()
            if isinstance(result, Tokens):
                return result
            seconds, reason = result
            sleep_with_heartbeat(self._clock, seconds, reason)

    def _step(self, attempts: _Attempts) -> Tokens | tuple[float, str]:
        """One look at the tokens and at most one call: tokens to use, or seconds to wait and what for."""
        tokens = self._chain.newest()
        if self.usable(tokens):
            return tokens
        if self._final is not None and self._final[0] == tokens.refresh_token:
            raise _config_error(*self._final[1:])
        if self._lost is not None and self._lost[0] == tokens.refresh_token:
            return self._without_answer(tokens)
        pause = self._too_soon(tokens)
        if pause > 0:
            return pause, "until Exact Online gives a new access token"
        if self._clock.monotonic() < self._faulty_until:
            raise _transient_error("Exact Online's token endpoint did not work a moment ago. Try again later.")
        self._chain.begin_refresh(tokens)
        answer = self._endpoint.refresh(tokens.refresh_token, self._chain.catch)
        if isinstance(answer, Granted):
            return self._take(answer.tokens, tokens)
        if isinstance(answer, Lost):
            logger.warning("The answer to the token refresh was lost (%s); it is not repeated.", answer.reason)
            self._lost = (tokens.refresh_token, answer.reason)
            newest = self._chain.newest()
            return newest if self.usable(newest) else self._without_answer(newest)
        if isinstance(answer, Refused) and answer.rule.outcome is not Outcome.TRANSIENT:
            if not (answer.rule.outcome is Outcome.DEAD and self._answer_was_lost()):
                self._chain.end_refresh()  # else the journal stays, for the next run to know why the token is dead
            return self._refused(answer, tokens, attempts)
        return self._fault(answer, attempts)

    def _take(self, new: Tokens, old: Tokens) -> Tokens | tuple[float, str]:
        self._chain.save(new)
        logger.info("Exact Online gave a new access token; it is good until %s.", _utc(new.expires_at))
        replaces_refused = self._refused_early and old.access_token == self._refused_access_token
        self._successor = new.access_token if replaces_refused else ""
        self._early_in_a_row = 0
        self._kept = self._ask_again = None
        self._answer_missing = False
        return new if self.usable(new) else (0.0, "a new access token")

    def _too_soon(self, tokens: Tokens) -> float:
        """Seconds until Exact may be asked; zero or less: now."""
        now = self._clock.now()
        if self._ask_again is not None and self._ask_again[0] == tokens.refresh_token:
            return (self._ask_again[1] - now).total_seconds()
        allowed = tokens.refresh_allowed_at()
        # A token that was refused before its time is asked for at once: the answer tells whether the login still lives.
        # A moment further away than a whole life comes from a clock that was set back.
        if allowed is None or tokens.access_token == self._refused_access_token:
            return 0.0
        pause = (allowed - now).total_seconds()
        return pause if pause <= (tokens.life or DEFAULT_LIFE_SECONDS) else 0.0

    def _refused(self, answer: Refused, tokens: Tokens, attempts: _Attempts) -> Tokens | tuple[float, str]:
        outcome = answer.rule.outcome
        if outcome is Outcome.TOO_EARLY:
            return self._too_early(tokens, attempts)
        detail = f" It says: {filter_secrets(answer.detail)!r}." if answer.detail else ""
        message = answer.rule.message
        if outcome is Outcome.UNREADABLE:
            self._faulty_until = self._clock.monotonic() + FAULT_MEMORY_SECONDS
            raise _transient_error(f"{message} (HTTP {answer.status}) Try again later.")
        if outcome is Outcome.DEAD:
            parts = (message, self._why_dead(answer, tokens), self._way_out())
            return self._give_up(tokens, " ".join(filter(None, parts)), detail)
        if outcome is Outcome.CLIENT:
            return self._give_up(tokens, message, detail)
        return self._give_up(tokens, f"{message} (HTTP {answer.status}){detail} {self._way_out()}")

    def _give_up(self, tokens: Tokens, message: str, detail: str = "") -> NoReturn:
        """A person must act. Exact is not asked again with the same refresh token: refusals are counted."""
        self._final = (tokens.refresh_token, message, detail)
        raise _config_error(message, detail)

    def _too_early(self, tokens: Tokens, attempts: _Attempts) -> Tokens | tuple[float, str]:
        """Exact says that the last token is still young: go on with the one at hand, or wait for the time to come."""
        now = self._clock.now()
        attempts.too_early += 1
        self._early_in_a_row += 1
        life = timedelta(seconds=tokens.life or DEFAULT_LIFE_SECONDS)
        ends_at = tokens.received_at + life if tokens.received_at is not None else tokens.expires_at
        certain = ends_at + life * ISSUE_GUARD if ends_at is not None and now < ends_at <= now + life else None
        refused = bool(tokens.access_token) and tokens.access_token == self._refused_access_token
        if tokens.access_token and not refused:
            again = certain or now + life * min(0.1 * 2 ** (self._early_in_a_row - 1), 1.0)
            until = tokens.expires_at if certain is not None and tokens.alive(now) else again
            self._kept = _Kept(tokens.access_token, until or again)
            self._ask_again = (tokens.refresh_token, again)
            logger.info("Exact Online gives no new access token yet; the one at hand stays in use.")
            return tokens
        if refused and attempts.too_early > 1:
            self._give_up(
                tokens,
                "Exact Online refuses the access token (HTTP 401) and gives no new one either, even after its time. "
                + self._way_out(),
            )
        if attempts.too_early > len(EARLY_PAUSES):
            raise _transient_error("Exact Online gives no new access token: it takes the last one for too young.")
        if certain is None:
            part = 1 + ISSUE_GUARD if refused else EARLY_PAUSES[attempts.too_early - 1]
            certain = now + life * part
        self._ask_again = (tokens.refresh_token, certain)
        return (certain - now).total_seconds(), "until Exact Online gives a new access token"

    def _fault(self, answer: Refused | Unsent, attempts: _Attempts) -> tuple[float, str]:
        if isinstance(answer, Refused):
            self._answer_missing = self._answer_missing or answer.may_have_rotated
            message = f"{answer.rule.message} (HTTP {answer.status})"
        else:
            message = f"Exact Online's token endpoint cannot be reached ({answer.reason})."
        if not self._answer_missing:
            self._chain.end_refresh()
        if attempts.faults == len(FAULT_PAUSES):
            self._faulty_until = self._clock.monotonic() + FAULT_MEMORY_SECONDS
            raise _transient_error(f"{message} It was tried {attempts.faults + 1} times. Try again later.")
        seconds = FAULT_PAUSES[attempts.faults] * (0.75 + self._rng() / 2)
        attempts.faults += 1
        logger.warning("%s Trying again in %.0f s.", message, max(seconds, 1))
        return seconds, "for Exact Online's token endpoint"

    def _without_answer(self, tokens: Tokens) -> Tokens:
        """The answer to the refresh got lost: the old access token until its end, then the error that says so."""
        now = self._clock.now()
        if tokens.alive(now) and tokens.access_token != self._refused_access_token and tokens.expires_at is not None:
            self._kept = _Kept(tokens.access_token, tokens.expires_at)
            return tokens
        reason = self._lost[1] if self._lost is not None else "no answer"
        raise _config_error(
            f"Exact Online's answer to the token refresh was lost ({reason}), and with it perhaps the only valid "
            "refresh token. It was not asked twice. Run the sync once more: if Exact Online never carried out the "
            f"refresh, all is well. If it then says that the refresh token has been used: {self._way_out()}"
        )

    def _why_dead(self, answer: Refused, tokens: Tokens) -> str:
        """What the evidence says about the cause of a dead refresh token."""
        if answer.rule.name != "old refresh token":
            return ""
        if self._answer_was_lost():
            return (
                "An earlier refresh was cut off before its answer arrived or could be saved, so the refresh token that "
                "followed is lost."
            )
        if self._chain.is_own(tokens):
            return (
                "This connector got that token itself and saved it, so somebody else has used it since: two "
                "connections, or two copies of one configuration, share one app and user. Exact Online keeps one login "
                "alive per app and user."
            )
        return (
            "The configuration holds a refresh token that is spent. Most often the runner does not keep the updates of "
            "the configuration (CONNECTOR_CONFIG messages), or a second connection uses the same app and user. Set "
            "credentials.token_file, or the environment variable EXACT_ONLINE_TOKEN_FILE, where the runner forgets."
        )

    def _answer_was_lost(self) -> bool:
        return self._answer_missing or self._chain.refresh_was_cut_short

    def _way_out(self) -> str:
        return _LOG_IN_AGAIN.format(site=self._site)


def _utc(moment: datetime | None) -> str:
    return f"{moment:%H:%M:%S} UTC" if moment is not None else "an unknown time"


def _config_error(message: str, internal: str = "") -> AirbyteTracedException:
    return AirbyteTracedException(
        message=message, internal_message=f"{message}{internal}", failure_type=FailureType.config_error
    )


def _transient_error(message: str) -> AirbyteTracedException:
    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.transient_error)
