"""What the token endpoint's refusals mean: the table of token_errors.yaml and the reading of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files

import yaml

LONGEST_DETAIL = 300
"""Characters of a refusal's own words that are passed on."""


class Outcome(Enum):
    """What a refusal leads to; token_errors.yaml explains each."""

    TOO_EARLY = "too_early"
    DEAD = "dead"
    CLIENT = "client"
    TRANSIENT = "transient"
    REFUSED = "refused"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class TokenRule:
    """One row of the table."""

    name: str
    statuses: frozenset[int]
    body: str | None
    text: re.Pattern[str] | None
    outcome: Outcome
    message: str
    source: str

    def matches(self, status: int, body: str, text: str) -> bool:
        """Whether all conditions of the row hold."""
        return (
            (not self.statuses or status in self.statuses)
            and (self.body is None or self.body == body)
            and (self.text is None or self.text.search(text) is not None)
        )


@cache
def token_rules() -> tuple[TokenRule, ...]:
    """The table, in its order."""
    rows = yaml.safe_load(files(__package__).joinpath("token_errors.yaml").read_text(encoding="utf-8"))
    return tuple(
        TokenRule(
            name=row["name"],
            statuses=frozenset(row.get("statuses", ())),
            body=row.get("body"),
            text=re.compile(row["text"], re.IGNORECASE) if "text" in row else None,
            outcome=Outcome(row["outcome"]),
            message=row["message"].strip(),
            source=row["source"],
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer of the token endpoint that gives no tokens.

    Attributes:
        rule: what it means.
        status: HTTP status.
        detail: Exact's own words, shortened; may quote secrets, so it must be masked before anybody sees it.
    """

    rule: TokenRule
    status: int
    detail: str

    @property
    def may_have_rotated(self) -> bool:
        """Whether Exact may have issued new tokens that did not arrive, although the answer bears none."""
        return self.status < 400 or self.status >= 500


def judge_refusal(status: int, reason: str, body: bytes) -> Refused:
    """Finds the row for an answer.

    Args:
        status: HTTP status.
        reason: header ``Reason``, empty where there is none.
        body: as received.
    """
    kind, words = _read(body)
    text = " ".join(part for part in (words, reason) if part)
    rule = next(rule for rule in token_rules() if rule.matches(status, kind, text))
    detail = " ".join(text.split())[:LONGEST_DETAIL]
    return Refused(rule, status, detail)


def _read(body: bytes) -> tuple[str, str]:
    """Kind of a body, and the words in it that say what is wrong."""
    text = body.decode("utf-8", errors="replace").strip()
    if not text:
        return "empty", ""
    try:
        answer = json.loads(text)
    except ValueError:
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
