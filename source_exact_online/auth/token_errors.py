"""What the token endpoint's refusals mean: the table of token_errors.yaml and the reading of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache

from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets

from source_exact_online.error_table import ErrorRow, first_match, read_table

_COUNTED = frozenset({400, 401, 403, 404})
"""Statuses that Exact counts (picqer/exact-php-client issue 475)."""

LONGEST_DETAIL = 300
"""Characters of a refusal's own words that are passed on."""


class TokenErrorKind(Enum):
    """The rows of token_errors.yaml."""

    TOO_EARLY = "too early"
    TOKEN_CALLS_LIMITED = "token calls limited"
    OLD_REFRESH_TOKEN = "old refresh token"
    EXPIRED_REFRESH_TOKEN = "expired refresh token"
    BROKEN_CHAIN = "broken chain"
    INVALID_GRANT = "invalid grant"
    WRONG_CLIENT = "wrong client"
    GATEWAY_FAULT = "gateway fault"
    REFUSED_ON_THE_WAY = "refused on the way"
    REDIRECTED = "redirected"
    EMPTY_ANSWER = "empty answer"
    SERVER_TROUBLE = "server trouble"
    NOT_A_TOKEN_ANSWER = "not a token answer"
    OTHER_REFUSAL = "other refusal"
    UNREADABLE_REFUSAL = "unreadable refusal"


class TokenAction(Enum):
    """What is done about a refusal; token_errors.yaml explains each."""

    WAIT = "wait"
    LOG_IN = "log_in"
    CORRECT_CLIENT = "correct_client"
    RETRY = "retry"
    REPORT = "report"


TokenErrorRow = ErrorRow[TokenErrorKind, TokenAction]


@cache
def token_error_rows() -> tuple[TokenErrorRow, ...]:
    """Return the table, in its order."""
    return read_table("source_exact_online.auth", "token_errors.yaml", TokenErrorKind, TokenAction)


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer of the token endpoint that gives no tokens.

    Attributes:
        row: what it means.
        status: HTTP status.
        detail: Exact's own words; secrets are masked, then the rest is cut.
    """

    row: TokenErrorRow
    status: int
    detail: str

    @property
    def is_counted(self) -> bool:
        """Whether it may count for Exact's limit of ten errors an hour."""
        return self.status in _COUNTED

    @property
    def may_have_rotated(self) -> bool:
        """Whether Exact may have issued new tokens that did not arrive, although the answer bears none."""
        return self.status < 400 or self.status >= 500


def read_refusal(status: int, reason: str, body: bytes, location: str = "") -> Refused:
    """Return what an answer without tokens means.

    Args:
        status: HTTP status.
        reason: header ``Reason``, empty where there is none.
        body: as received.
        location: header ``Location``, empty where there is none.
    """
    form, words = _read(body)
    if 300 <= status < 400:
        words = re.split(r"[?#]", location)[0]  # a query may hold secrets
    text = " ".join(part for part in (words, reason) if part)
    row = first_match(token_error_rows(), status, form, reason, text)
    return Refused(row, status, " ".join(filter_secrets(text).split())[:LONGEST_DETAIL])


def _read(body: bytes) -> tuple[str, str]:
    """Return the form of a body, and the words in it that say what is wrong."""
    text = body.decode("utf-8", errors="replace").strip()
    if not text:
        return "empty", ""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return "other", ""
    if not isinstance(answer, Mapping):
        return "other", ""
    if "fault" in answer:
        fault = answer["fault"]
        return "fault", str(fault.get("faultstring", "")) if isinstance(fault, Mapping) else ""
    if "error" in answer:
        error = answer["error"]
        if isinstance(error, Mapping):  # the shape of the data endpoints: {"error": {"message": {"value": ...}}}
            message = error.get("message")
            return "oauth", str(message.get("value", "")) if isinstance(message, Mapping) else str(message or "")
        return "oauth", f"{error} {answer.get('error_description') or ''}".strip()
    return "other", ""
