"""What an answer of Exact Online means: one table (errors.yaml) and the reading of it."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
import yaml
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException


class Action(Enum):
    """What the connector does about an answer; errors.yaml explains each."""

    RETRY = "retry"
    WAIT = "wait"
    REFRESH = "refresh"
    DROP_COLUMN = "drop_column"
    ADD_FILTER = "add_filter"
    DROP_FILTER = "drop_filter"
    SKIP = "skip"
    FAIL = "fail"


FAILURES = {
    "config": FailureType.config_error,
    "transient": FailureType.transient_error,
    "system": FailureType.system_error,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    name: str
    answered: bool
    statuses: frozenset[int]
    reason: re.Pattern[str] | None
    text: re.Pattern[str] | None
    action: Action
    failure: FailureType
    message: str
    concerns_division: bool

    def matches(self, status: int, reason: str, text: str) -> bool:
        """Whether all conditions of the row hold."""
        return (
            self.answered
            and (not self.statuses or status in self.statuses)
            and (self.reason is None or self.reason.search(reason) is not None)
            and (self.text is None or self.text.search(text) is not None)
        )


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a request is about, in words for a person.

    Attributes:
        stream: name of the stream, or of the service endpoint.
        scope: scope of the app registration that it needs, in Exact's words, e.g. ``Financial costcenters``.
        division: administration, or None where the URL has none.
    """

    stream: str
    scope: str | None = None
    division: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorResolution:
    """What an answer means for a request.

    Attributes:
        action: what to do.
        failure: whose problem it is, should the request end there.
        message: one sentence for a person.
        detail: what Exact said, shortened.
        rule: name of the row that decided.
        concerns_division: whether it holds for everything in the division.
    """

    action: Action
    failure: FailureType
    message: str
    detail: str
    rule: str
    concerns_division: bool = False


class ApiError(AirbyteTracedException):
    """A request that has finally failed, with the sentence to show."""

    def __init__(self, verdict: ErrorResolution) -> None:
        super().__init__(internal_message=verdict.detail, message=verdict.message, failure_type=verdict.failure)
        self.verdict = verdict


@cache
def rules() -> tuple[Rule, ...]:
    """The error table."""
    table: list[Mapping[str, Any]] = yaml.safe_load(files(__package__).joinpath("errors.yaml").read_text("utf-8"))
    return tuple(
        Rule(
            name=row["name"],
            answered=row.get("answered", True),
            statuses=_statuses(row.get("statuses", ())),
            reason=re.compile(row["reason"]) if "reason" in row else None,
            text=re.compile(row["text"], re.IGNORECASE) if "text" in row else None,
            action=Action(row["action"]),
            failure=FAILURES[row["failure"]],
            message=row["message"],
            concerns_division=row.get("concerns") == "division",
        )
        for row in table
    )


def _statuses(entries: Iterable[int | str]) -> frozenset[int]:
    """Statuses of a row, in which ``402-499`` stands for a range."""
    ranges = (str(entry).partition("-") for entry in entries)
    return frozenset(status for first, _, last in ranges for status in range(int(first), int(last or first) + 1))


def resolution_for(status: int, headers: Mapping[str, str], body: bytes, subject: RequestContext) -> ErrorResolution:
    """Look an error answer up in the table."""
    text = message_of(body)
    reason = headers.get("Reason", "")
    rule = next(rule for rule in rules() if rule.matches(status, reason, text))
    detail = " - ".join(part for part in (f"HTTP {status}", reason, text) if part)
    return _verdict(rule, detail, subject)


def resolution_named(name: str, detail: str, subject: RequestContext) -> ErrorResolution:
    """ErrorResolution on a request that no error answer decided, by the name of its row in the table."""
    return _verdict(next(rule for rule in rules() if rule.name == name), detail, subject)


def _verdict(rule: Rule, detail: str, subject: RequestContext) -> ErrorResolution:
    message = rule.message.format(
        stream=subject.stream,
        scope=_scope_named(detail) or subject.scope or "(not documented)",
        division="(none)" if subject.division is None else subject.division,
        detail=detail,
    )
    return ErrorResolution(rule.action, rule.failure, message, detail, rule.name, rule.concerns_division)


def _scope_named(detail: str) -> str | None:
    """Scope that an answer names, as the App Centre writes it: ``Sales orders`` for ``'sales.orders' scope``."""
    found = re.search(r"'([a-z]+)\.([a-z]+)' scope\b", detail, re.IGNORECASE)
    return found and f"{found[1].capitalize()} {found[2].lower()}"


def message_of(body: bytes) -> str:
    """The message inside an error body, on one line; a shortened body where it is not Exact's JSON."""
    try:
        value = orjson.loads(body)["error"]["message"]["value"]
        text = value if isinstance(value, str) else ""
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = html.unescape(re.sub(r"<[^>]*>", " ", body[:2000].decode("utf-8", "replace")))
    return " ".join(text.split())[:300]


def refused_columns(detail: str, columns: Iterable[str], kept: Collection[str]) -> tuple[str, ...]:
    """Columns of a ``$select`` that an error text names, keys and cursors (`kept`) aside.

    The text is in the user's language, but the name of the column stands in it as it was sent: in quotes where the
    sentence has quotes, else as a word. Names with dots are types (``Exact.Web.Api.Models.Account``), not columns.
    """
    text = re.sub(r"\w+(?:\.\w+)+", " ", detail)
    candidates = [name for name in columns if name not in kept]
    quoted = set(re.findall(r"['\"\u2018\u201c](\w+)['\"\u2019\u201d]", text))
    named = tuple(name for name in candidates if name in quoted)
    if named or quoted & set(kept):
        return named
    words = set(re.findall(r"\w+", text))
    alone = tuple(name for name in candidates if name in words)
    return alone if len(alone) == 1 else ()
