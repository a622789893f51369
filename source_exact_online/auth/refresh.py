"""Renews the tokens of a login: asks Exact Online, and tells a person what its answers mean."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth import refresh_transitions as transitions
from source_exact_online.auth.credentials import Credentials
from source_exact_online.auth.refresh_state import RefreshState
from source_exact_online.auth.refresh_transitions import Ask, Fail, Instant, Use, Wait, decide
from source_exact_online.auth.token_endpoint import Granted, Lost, TokenEndpoint, Unsent
from source_exact_online.auth.token_errors import Refused, TokenAction, TokenErrorKind
from source_exact_online.auth.tokens import Tokens
from source_exact_online.clock import Clock, sleep_with_heartbeat
from source_exact_online.failures import NoTokenInThisRunError

logger = logging.getLogger("airbyte.exact_online")

_LOG_IN_AGAIN = (
    "Log in again: run `source-exact-online login --site {site}` and use the configuration it writes{or_platform}. "
    "Anything else that logs in needs an app and user of its own, or the same token file or token store."
)

_OR_PLATFORM = ", or press the Authenticate button of the source in Airbyte"

_LOOK_AGAIN_SECONDS = 2.0
"""Longest pause between two looks at another process's refresh that may be under way."""


class Refresher:
    """Renews the tokens of one login. Not thread-safe: the owner holds a lock.

    Args:
        credentials: where the tokens are.
        endpoint: who gives new ones.
        clock: time source.
        site: country site, for messages.
        on_platform: whether Airbyte's platform runs the connector, for messages.
    """

    def __init__(
        self,
        credentials: Credentials,
        endpoint: TokenEndpoint,
        clock: Clock,
        site: str,
        *,
        on_platform: bool,
    ) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._clock = clock
        self._log_in_again = _LOG_IN_AGAIN.format(site=site, or_platform=_OR_PLATFORM if on_platform else "")
        self._state = RefreshState()

    def usable_token(self) -> str | None:
        """Return the access token if it may be sent as it is, else None. Needs no lock.

        Tokens that the platform has not been told of yet are not to be used.
        """
        state = self._state  # to be read first: `unannounced` is set before the state has the new tokens
        return None if self._credentials.unannounced else transitions.usable_token(state, self._clock.now())

    def reject(self, access_token: str) -> bool:
        """Take note that Exact answered 401 to an access token.

        Returns:
            Whether it was in use until now, so that another one is needed.
        """
        before = self._state
        self._state = transitions.rejected(before, access_token, self._clock.now())
        return self._state is not before

    def renew(self) -> str:
        """Return a usable access token: the one at hand, another process's, or a new one.

        Waits where Exact's rules ask for it, with a log line at least once a minute. New tokens are durable on return.

        Raises:
            AirbyteTracedException: there is none; config error where a person must act.
        """
        while True:
            try:
                with self._credentials.locked():
                    decision = self._step()
            finally:
                self._credentials.emit_config_update()
            if isinstance(decision, Use):
                return decision.tokens.access_token
            if isinstance(decision, Wait):
                sleep_with_heartbeat(self._clock, decision.seconds, decision.reason)

    def _step(self) -> Use | Wait | Ask:
        """Look at the tokens once and ask Exact at most once.

        Returns:
            What is to be done next.
        """
        tokens = self._credentials.newest()
        self._state = transitions.observed(self._state, tokens)
        decision = decide(self._state, self._now())
        if isinstance(decision, Ask) and (seconds := self._credentials.seconds_for_other_refresh()) > 0:
            return Wait(min(seconds, _LOOK_AGAIN_SECONDS), "another process to end its token refresh")
        if isinstance(decision, Ask):
            self._state = self._ask(tokens)
            decision = decide(self._state, self._now())
        if isinstance(decision, Fail):
            raise self._error(decision)
        return decision

    def _ask(self, tokens: Tokens) -> RefreshState:
        self._credentials.begin_refresh(tokens)
        answer = self._endpoint.refresh(tokens.refresh_token, self._credentials.on_chunk)
        if isinstance(answer, Granted):
            self._credentials.save(answer.tokens)
            logger.info("Exact Online gave a new access token; it is good until %s.", _utc(answer.tokens.expires_at))
            return transitions.granted(self._state, answer.tokens, self._clock.now())
        if isinstance(answer, Lost):
            logger.warning("The answer to the token refresh was lost (%s); it is not repeated.", answer.reason)
            return transitions.answer_lost(self._state, answer.reason)
        if isinstance(answer, Unsent):
            return self._fault(self._state, f"Exact Online's token endpoint cannot be reached ({answer.reason}).")
        if answer.row.action is TokenAction.RETRY:
            state = replace(self._state, answer_missing=self._state.answer_missing or answer.may_have_rotated)
            return self._fault(state, f"{answer.row.message} (HTTP {answer.status})", is_counted=answer.is_counted)
        if not (answer.row.action is TokenAction.LOG_IN and self._answer_was_lost()):
            self._credentials.end_refresh()  # else the journal stays, for the next run to know why the token is dead
        return self._refused(answer, tokens)

    def _fault(self, state: RefreshState, message: str, *, is_counted: bool = False) -> RefreshState:
        if not state.answer_missing:
            self._credentials.end_refresh()
        return transitions.troubled(state, self._now(), f"{message} Try again later.", is_counted=is_counted)

    def _refused(self, answer: Refused, tokens: Tokens) -> RefreshState:
        state, row = self._state, answer.row
        if row.action is TokenAction.WAIT:
            after = transitions.told_too_early(state, self._now())
            if isinstance(decide(after, self._now()), Use):
                logger.info("Exact Online gives no new access token yet; the one at hand stays in use.")
            return after
        if row.failure is FailureType.transient_error:
            return transitions.ended(state, f"{row.message} (HTTP {answer.status}) Try again later.")
        detail = f" It says: {answer.detail!r}." if answer.detail else ""
        if row.action is TokenAction.CORRECT_CLIENT:
            return transitions.gave_up(state, row.message, detail, log_in_again=False)
        if row.action is TokenAction.LOG_IN:
            why = self._why_dead(row.kind, tokens)
            return transitions.gave_up(state, " ".join(filter(None, (row.message, why))), detail)
        log_in_again = row.action is not TokenAction.CORRECT_SITE
        return transitions.gave_up(state, f"{row.message} (HTTP {answer.status}){detail}", log_in_again=log_in_again)

    def _why_dead(self, kind: TokenErrorKind, tokens: Tokens) -> str:
        """Return what the evidence says about the cause of a dead refresh token; empty where there is none."""
        if kind is not TokenErrorKind.OLD_REFRESH_TOKEN:
            return ""
        if self._answer_was_lost():
            return (
                "An earlier refresh was cut off before its answer arrived or could be saved, so the refresh token that "
                "followed is lost."
            )
        if self._credentials.is_own(tokens):
            return (
                "This connector got that token itself and saved it, so somebody else has used it since: two "
                "connections, or two copies of one configuration, share one app and user. Exact Online keeps one login "
                "alive per app and user."
            )
        if (place := self._credentials.empty_store) is not None:
            return (
                f"The configuration holds a refresh token that is spent, and {place.name[0].lower()}{place.name[1:]} "
                "has no newer one: if it was deleted or moved, bring it back."
            )
        return (
            "The configuration holds a refresh token that is spent. Most often the runner does not keep the updates of "
            "the configuration (CONNECTOR_CONFIG messages), or a second connection uses the same app and user. Set "
            "credentials.token_file, or the environment variable EXACT_ONLINE_TOKEN_FILE, where the runner forgets."
        )

    def _answer_was_lost(self) -> bool:
        return self._state.answer_missing or self._credentials.refresh_was_cut_short

    def _error(self, fail: Fail) -> AirbyteTracedException:
        message = f"{fail.message} {self._log_in_again}" if fail.log_in_again else fail.message
        passes_later = fail.for_good and fail.failure is FailureType.transient_error
        kind = NoTokenInThisRunError if passes_later else AirbyteTracedException
        return kind(message=message, internal_message=f"{message}{fail.detail}", failure_type=fail.failure)

    def _now(self) -> Instant:
        return Instant(self._clock.now(), self._clock.monotonic())


def _utc(moment: datetime | None) -> str:
    return f"{moment:%H:%M:%S} UTC" if moment is not None else "an unknown time"
