"""What is known of a login, as one immutable value; `refresh_transitions` has the functions that move it.

The login is in one of six states; docs/authentication.md draws them:

    NoTokens  nothing has been looked at yet
    Held      there are tokens, and nothing speaks against the access token but its age
    Refused   Exact answered 401 to the access token: it is not sent again
    Waiting   Exact is asked again at a later moment, and there is no access token to use until then
    Lost      the answer to a refresh got lost: Exact is not asked again with this refresh token in this run
    Dead      Exact is not asked again with this refresh token in this run: mostly a person must act

Other tokens than those of the state, brought by another process or a new configuration, are always `Held`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from source_exact_online.auth.tokens import Tokens


@dataclass(frozen=True, slots=True)
class NoTokens:
    """Nothing has been looked at yet."""


@dataclass(frozen=True, slots=True)
class Grace:
    """Exact gives no other access token yet, so the one at hand stays in use although its time seemed to be over.

    Attributes:
        until: end of its use, UTC.
        ask_at: when Exact may be asked again, UTC.
    """

    until: datetime
    ask_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """There are tokens.

    Attributes:
        tokens: the newest pair.
        grace: longer use of the access token than its age allows.
        replaces_refused: whether the access token came in place of one that was refused before its time.
    """

    tokens: Tokens
    grace: Grace | None = None
    replaces_refused: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Exact answered 401 to the access token.

    Attributes:
        tokens: the pair.
        early: whether the access token should still have been living.
    """

    tokens: Tokens
    early: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Exact is asked again later.

    Attributes:
        before: the state that Exact was asked in.
        until: by the monotonic clock.
        reason: what is waited for.
    """

    before: Held | Refused
    until: float
    reason: str

    @property
    def tokens(self) -> Tokens:
        """The pair in hand."""
        return self.before.tokens


@dataclass(frozen=True, slots=True)
class Lost:
    """The answer to a refresh got lost; an access token that was not refused may be used to its end.

    Attributes:
        before: the state that Exact was asked in.
        reason: what happened.
    """

    before: Held | Refused
    reason: str

    @property
    def tokens(self) -> Tokens:
        """The pair in hand."""
        return self.before.tokens


@dataclass(frozen=True, slots=True)
class Dead:
    """A person must act, or at least this run must end.

    Attributes:
        tokens: the pair.
        message: what happened.
        detail: Exact's own words, for the log.
        log_in_again: whether a new login is the way out.
        passes: whether another run may get tokens without anybody's doing.
    """

    tokens: Tokens
    message: str
    detail: str = ""
    log_in_again: bool = True
    passes: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """The token endpoint does not work.

    Attributes:
        until: it is not asked again before, by the monotonic clock.
        message: what is told meanwhile.
    """

    until: float
    message: str


@dataclass(frozen=True, slots=True)
class RefreshState:
    """All that is remembered of a login between two calls of the token endpoint.

    Attributes:
        login: the state, see the module.
        trouble: with the token endpoint, whatever the tokens.
        too_early: answers "too early" in a row.
        refusals: answers since Exact last gave tokens here that it counts as errors, and that may pass.
        answer_missing: whether one of those answers may have been in place of new tokens.
        unusable: whether the last new tokens had an access token that cannot be used.
    """

    login: NoTokens | Held | Refused | Waiting | Lost | Dead = NoTokens()
    trouble: Trouble | None = None
    too_early: int = 0
    refusals: int = 0
    answer_missing: bool = False
    unusable: bool = False
