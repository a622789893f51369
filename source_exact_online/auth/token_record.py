"""What a token file or a token store says: the newest tokens, whose they are, and which refresh tokens came before."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.tokens import Tokens, complete_fields, granted_tokens, parse_life, parse_moment
from source_exact_online.failures import TokenStoreUnavailableError

FORMAT = 1

LONGEST_HISTORY = 4096
"""Earlier refresh tokens that are recognised; four weeks of refreshes every ten minutes without a pause."""

LONGEST_NAME = 200
"""Characters of a user's id or name that are kept: a record has to stay short enough to be read."""

_ABOUT = "Tokens of one Exact Online login. Secret, and replaced at every refresh: do not copy or edit."


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record is kept, in the words of messages.

    Attributes:
        name: e.g. ``The token file /data/tokens.json``.
        kind: e.g. ``token file``.
        content: what is to be deleted to start anew, e.g. ``the file``.
        own: what a second login is to be given.
        checks: what a person looks at if it cannot be written.
    """

    name: str
    kind: str
    content: str
    own: str
    checks: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose tokens a record holds.

    Attributes:
        client_id: of the app.
        site: e.g. ``nl``.
        host: host name that the tokens are for.
    """

    client_id: str = field(repr=False)
    site: str
    host: str


@dataclass(frozen=True, slots=True)
class User:
    """The Exact Online user of a login.

    Attributes:
        id: ``UserID`` of current/Me.
        name: ``FullName`` of current/Me.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """Content of a token file, or of a row of a token store: one login.

    Attributes:
        tokens: the newest pair.
        salt: of the fingerprints, random per record.
        root_fingerprint: fingerprint of the configured refresh token that this chain began with.
        previous_fingerprints: fingerprints of the chain's refresh tokens that were replaced, oldest first.
        superseded_fingerprints: those of earlier logins, whose place this one has taken.
        user: whose login it is; None where not known yet.
    """

    tokens: Tokens
    salt: str
    root_fingerprint: str
    previous_fingerprints: tuple[str, ...] = field(default=(), repr=False)
    superseded_fingerprints: tuple[str, ...] = field(default=(), repr=False)
    user: User | None = None

    def has_superseded(self, refresh_token: str) -> bool:
        """Return whether this is a refresh token of an earlier login."""
        return fingerprint(self.salt, refresh_token) in self.superseded_fingerprints

    def recognises(self, refresh_token: str) -> bool:
        """Return whether this is a refresh token of the chain."""
        return self.recognises_fingerprint(fingerprint(self.salt, refresh_token))

    def recognises_fingerprint(self, mark: str) -> bool:
        """Return the same for a fingerprint."""
        newest = fingerprint(self.salt, self.tokens.refresh_token)
        return mark in (self.root_fingerprint, newest) or mark in self.previous_fingerprints


@dataclass(frozen=True, slots=True)
class RefreshJournal:
    """A refresh about to be made, as fingerprints.

    Attributes:
        began_at: UTC.
        salt: of the fingerprints.
        configured: fingerprint of the refresh token in the configuration.
        spent: fingerprint of the refresh token that is traded.
    """

    began_at: datetime
    salt: str
    configured: str
    spent: str

    @classmethod
    def of(cls, stored: TokenRecord | None, configured: str, spent: str, now: datetime) -> RefreshJournal:
        """Return it from the refresh tokens themselves."""
        salt = stored.salt if stored else secrets.token_hex(16)
        return cls(now, salt, fingerprint(salt, configured), fingerprint(salt, spent))

    def succeeded(self, stored: TokenRecord | None, tokens: Tokens) -> TokenRecord:
        """Return the record that holds once it has brought these tokens."""
        if stored is None:
            return TokenRecord(tokens, self.salt, self.configured, (self.spent,))
        if stored.recognises_fingerprint(self.configured):
            previous = _history(*stored.previous_fingerprints, self.spent)
            return replace(stored, tokens=tokens, previous_fingerprints=previous)
        newest = fingerprint(stored.salt, stored.tokens.refresh_token)
        chain = (*stored.previous_fingerprints, newest, stored.root_fingerprint)
        superseded = _history(*stored.superseded_fingerprints, *chain)
        return TokenRecord(tokens, self.salt, self.configured, (self.spent,), superseded)


def _history(*fingerprints: str) -> tuple[str, ...]:
    """Return each fingerprint once, and not too many: the oldest are forgotten first."""
    return tuple(dict.fromkeys(fingerprints))[-LONGEST_HISTORY:]


def fingerprint(salt: str, refresh_token: str) -> str:
    """Return a short keyed hash of a refresh token: recognises it and does not tell it."""
    digest = hmac.digest(salt.encode(), refresh_token.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:9]).decode()


def record_bytes(record: TokenRecord, owner: Owner) -> bytes:
    """Return the text of a record, in ASCII."""
    tokens = record.tokens
    content = {
        "about": _ABOUT,
        "format": FORMAT,
        "client_id": owner.client_id,
        "site": owner.site,
        "host": owner.host,
        "refresh_token": tokens.refresh_token,
        "access_token": tokens.access_token,
        "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
        "expires_in": tokens.life,
        "refreshed_at": tokens.received_at.isoformat() if tokens.received_at else None,
        "salt": record.salt,
        "root_fingerprint": record.root_fingerprint,
        "previous_fingerprints": list(record.previous_fingerprints),
        "superseded_fingerprints": list(record.superseded_fingerprints),
    }
    if record.user is not None:
        content.update(user_id=record.user.id, user_name=record.user.name)
    return json.dumps(content).encode()


def parse_record(place: Place, data: bytes, owner: Owner) -> TokenRecord:
    """Read the text of a record.

    Raises:
        AirbyteTracedException: it is damaged, or of another app or site (config error).
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise _damaged(place, "is empty" if not data.strip() else "is cut off or is no JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise _damaged(place, "holds no token record")
    if content["format"] > FORMAT:
        raise place_error(place, "was written by a newer version of this connector. Use that version.")
    texts = ("client_id", "site", "host", "refresh_token", "access_token", "salt", "root_fingerprint")
    histories = ("previous_fingerprints", "superseded_fingerprints")
    is_whole = all(isinstance(content.get(name), str) for name in texts)
    if not is_whole or not all(isinstance(content.get(name), list) for name in histories):
        raise _damaged(place, "lacks parts of the token record")
    _check_owner(place, content, owner)
    tokens = Tokens(
        refresh_token=content["refresh_token"],
        access_token=content["access_token"],
        expires_at=parse_moment(content.get("expires_at")),
        received_at=parse_moment(content.get("refreshed_at")),
        life=parse_life(content.get("expires_in")),
    )
    if not tokens.refresh_token or tokens.expires_at is None or tokens.received_at is None:
        raise _damaged(place, "lacks parts of the token record")
    previous, superseded = (tuple(map(str, content[name])) for name in histories)
    user_id, user_name = content.get("user_id"), content.get("user_name")
    user = User(user_id, user_name) if isinstance(user_id, str) and isinstance(user_name, str) else None
    return TokenRecord(tokens, content["salt"], content["root_fingerprint"], previous, superseded, user)


def journal_head(refreshing: RefreshJournal, owner: Owner) -> bytes:
    """Return the first line of the journal of a refresh: what is about to happen."""
    head = {
        "client_id": owner.client_id,
        "site": owner.site,
        "host": owner.host,
        "began_at": refreshing.began_at.isoformat(),
        "salt": refreshing.salt,
        "configured": refreshing.configured,
        "spent": refreshing.spent,
    }
    return json.dumps(head).encode() + b"\n"


def parse_journal(place: Place, data: bytes, owner: Owner) -> tuple[RefreshJournal | None, Tokens | None]:
    """Read a journal: the head; the moment the answer came; the answer as it came, which may be cut off.

    Returns:
        The refresh, and the tokens that came; either is None where the writer died before it was written whole.

    Raises:
        AirbyteTracedException: it is of another app or site (config error).
    """
    head, _, rest = data.partition(b"\n")
    try:
        content = json.loads(head)
        refreshing = RefreshJournal(
            datetime.fromisoformat(content["began_at"]), content["salt"], content["configured"], content["spent"]
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, None
    _check_owner(place, content, owner)
    arrived_at, _, body = rest.partition(b"\n")
    moment = parse_moment(arrived_at.decode("ascii", errors="replace"))
    if moment is None:
        return refreshing, None
    return refreshing, granted_tokens(complete_fields(body), "", refreshing.began_at, moment)


def _check_owner(place: Place, content: Mapping[str, Any], owner: Owner) -> None:
    for name, thing in (("site", "country site"), ("host", "server"), ("client_id", "app (client id)")):
        found, wanted = content.get(name), getattr(owner, name)
        if found != wanted:
            what = f": {found} instead of {wanted}" if name != "client_id" else ""
            raise place_error(
                place,
                f"belongs to another {thing}{what}. Give each login {place.own}; this one was left alone.",
            )


def _damaged(place: Place, how: str) -> AirbyteTracedException:
    return place_error(
        place,
        f"{how}. It was left as it is. Put the newest copy back if there is one; else delete {place.content}, log in "
        "again with `source-exact-online login` and use the new configuration.",
    )


def superseded_error(place: Place, user: User | None, site: str) -> AirbyteTracedException:
    """Return the config error of a login whose place a later one has taken."""
    whose = f" of {user.name} (user {user.id})" if user is not None else ""
    return place_error(
        place,
        f"belongs to a later login now{whose}; the refresh token in this configuration is of an earlier one. A "
        f"{place.kind} keeps one login. If the later login is yours too, use the configuration that it wrote. If not, "
        f"give this connection {place.own} and log in again: run `source-exact-online login --site {site}` and use "
        "the configuration it writes.",
    )


def place_error(place: Place, what: str, failure: FailureType = FailureType.config_error) -> AirbyteTracedException:
    """Return the error about a token file or token store; its type tells one that passes."""
    kind = AirbyteTracedException if failure is FailureType.config_error else TokenStoreUnavailableError
    return kind(message=f"{place.name} {what}", failure_type=failure)
