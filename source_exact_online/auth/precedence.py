"""Which tokens are the newest: the rule, in one function."""

from __future__ import annotations

from enum import Enum

from source_exact_online.auth.token_record import TokenRecord
from source_exact_online.auth.tokens import Tokens


class Source(Enum):
    """Where the newest tokens are; docs/authentication.md has the same as a table."""

    STORE = "store"
    """In the token store: the configured refresh token is one that its chain began with or went through."""

    SUPERSEDED = "superseded"
    """Nowhere: a later login has taken this one's place in the token store, and its tokens are not this one's."""

    UNSAVED = "unsaved"
    """This process obtained them, and the token store could not be written yet."""

    OWN = "own"
    """This process obtained them; the configuration holds the same refresh token, but not when it was issued."""

    CONFIGURED = "configured"
    """In the configuration. With a token store of another chain this is a new login, which starts the file afresh."""


def which_tokens_win(
    configured: Tokens, *, unsaved: Tokens | None = None, own: Tokens | None = None, record: TokenRecord | None = None
) -> tuple[Source, Tokens]:
    """Return the newest tokens of a login and where they are.

    Args:
        configured: those of the configuration, as it is now.
        unsaved: obtained by this process and not yet in the token store.
        own: the last ones that this process obtained.
        record: content of the token store; None without one.
    """
    if record is not None and record.recognises(configured.refresh_token):
        return Source.STORE, record.tokens
    if record is not None and record.has_superseded(configured.refresh_token):
        return Source.SUPERSEDED, configured
    if unsaved is not None:
        return Source.UNSAVED, unsaved
    if own is not None and own.refresh_token == configured.refresh_token:
        return Source.OWN, own
    return Source.CONFIGURED, configured
