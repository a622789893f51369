"""An access token with its refresh token, and the rules of time they live by.

Exact Online's rules (support pages "OAuth step 3" and "API limits"): an access token lives 600 seconds from its issue;
a new one may be asked for 570 seconds after the last one was received; a refresh token works once and dies after 30
idle days. 570 of 600 seconds are kept here as 95 % of the life, so that a server with another life scales with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

DEFAULT_LIFE_SECONDS = 600.0
"""Life of an access token where the answer does not tell it."""

EARLIEST_REFRESH = 0.95
"""Part of an access token's life that must have passed before a new one may be asked for."""

MARGIN = 0.04
"""Part of the life at its end in which a token is no longer used: requests under way need it to live on."""

LONGEST_MARGIN_SECONDS = 20.0
"""Longest such margin, seconds; of Exact's 600 a token is used for 580."""

IDLE_WARNING = timedelta(days=20)
"""Age of a refresh token from which on a person should hear of it; it dies after 30 idle days."""


_FIELD = re.compile(r'"(access_token|refresh_token|expires_in)"\s*:\s*("(?:[^"\\]|\\.)*"|\d+(?=\s*[,}]))', re.DOTALL)

_YEARS = range(1970, 9999)
"""Years of moments that can be: with others, sums leave the calendar."""

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one answer of the token endpoint gave.

    Attributes:
        refresh_token: single use; buys the next pair.
        access_token: goes into the Authorization header; empty where only the refresh token is known.
        expires_at: end of the access token's life, UTC, counted from the moment the request was sent, so never later
            than Exact's own idea of it; None where unknown.
        received_at: when the answer arrived, UTC; None where unknown (tokens of a configuration).
        life: seconds from issue to expiry; None where unknown.
    """

    refresh_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    expires_at: datetime | None = None
    received_at: datetime | None = None
    life: float | None = None

    def same_pair(self, other: Tokens) -> bool:
        """Return whether both tokens are the same, whatever is known of their times."""
        return (self.refresh_token, self.access_token) == (other.refresh_token, other.access_token)

    def alive(self, now: datetime) -> bool:
        """Return whether the access token has not yet expired."""
        return bool(self.access_token) and self.expires_at is not None and now < self.expires_at

    def refresh_allowed_at(self) -> datetime | None:
        """Return the earliest moment that Exact accepts a refresh, UTC; None where it is not known."""
        if self.received_at is not None:
            return self.received_at + timedelta(seconds=EARLIEST_REFRESH * (self.life or DEFAULT_LIFE_SECONDS))
        return None

    def fresh(self, now: datetime) -> bool:
        """Return whether the access token is to be used as it is, rather than replaced.

        It is until a small margin before its end. Without a known life it is until its very end: the margin of a
        life that may be short could lie before the earliest moment that Exact accepts a refresh.
        """
        if not self.access_token or self.expires_at is None:
            return False
        margin = 0.0 if self.life is None else min(MARGIN * self.life, LONGEST_MARGIN_SECONDS)
        until = self.expires_at - timedelta(seconds=margin)
        allowed = self.refresh_allowed_at()
        if allowed is not None and allowed < self.expires_at:
            until = max(until, allowed)
        return now < until

    def idle_for(self, now: datetime) -> timedelta | None:
        """Return how long the refresh token has not been used; None where unknown."""
        if self.received_at is not None:
            return now - self.received_at
        if self.expires_at is not None:
            return now - (self.expires_at - timedelta(seconds=DEFAULT_LIFE_SECONDS))
        return None


def parse_life(value: object) -> float:
    """Return the seconds of life from ``expires_in``, which Exact sends as a string; nonsense counts as missing."""
    try:
        seconds = float(str(value).strip())
    except ValueError:
        return DEFAULT_LIFE_SECONDS
    return seconds if 0 < seconds < 10**8 else DEFAULT_LIFE_SECONDS


def parse_moment(value: object) -> datetime | None:
    """Return the moment of an ISO 8601 text; without a zone it counts as UTC; None where it is none that can be."""
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip()
    if text[-1] in "zZ":
        text = f"{text[:-1]}+00:00"
    # Python 3.10 reads fractions of three or six digits only; other writers send up to nine.
    text = re.sub(r"\.(\d+)", lambda match: f".{match[1][:6]:0<6}", text)
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year in _YEARS else None


def complete_fields(body: bytes) -> dict[str, Any]:
    """Return the fields of a token answer, also of one that was cut off: every field that arrived whole.

    A refresh token that arrived is the only key to the login, whatever became of the rest of the answer.
    """
    text = body.decode("utf-8", errors="replace")
    try:
        answer = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        answer = None
    return dict(answer) if isinstance(answer, Mapping) else dict(_whole_fields(text))


def _whole_fields(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the fields that can be read in a text that is no JSON object as a whole."""
    for name, value in _FIELD.findall(text):
        with suppress(ValueError):
            yield name, json.loads(value, strict=False)


def granted_tokens(
    fields: Mapping[str, Any], spent_refresh_token: str, sent_at: datetime, received_at: datetime
) -> Tokens | None:
    """Return the pair in an answer.

    Args:
        fields: the answer.
        spent_refresh_token: what it was asked with; it stays where the answer brings none, since some partner apps
            are exempt from rotation (Invantive forum 2227, 2903). Empty for an authorization code.
        sent_at: when the request was sent, UTC.
        received_at: when the answer arrived, UTC.

    Returns:
        The tokens, or None where the answer has none.
    """
    access_token, refresh_token = _text(fields.get("access_token")), _text(fields.get("refresh_token"))
    if not is_sendable_access_token(access_token):
        access_token = ""
    if not refresh_token and not (access_token and spent_refresh_token):
        return None
    life = parse_life(fields.get("expires_in"))
    return Tokens(
        refresh_token=refresh_token or spent_refresh_token,
        access_token=access_token,
        expires_at=sent_at + timedelta(seconds=life),
        received_at=received_at,
        life=life,
    )


def is_sendable_access_token(text: str) -> bool:
    """Return whether a header can carry the text as a token."""
    return _VISIBLE_ASCII.fullmatch(text) is not None


def _text(value: object) -> str:
    """Return a token; empty where there is none, or one that no form can carry."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return ""
    return value.strip()
