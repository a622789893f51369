"""Tables of error answers: each row has conditions on an answer, and the first row whose conditions all hold decides.

There are two, `api/errors.yaml` for data and `auth/token_errors.yaml` for tokens. Their columns:

    name      row's name; a member of the table's enum of kinds has it as its value
    statuses  HTTP statuses, 402-499 being a range; absent = any
    body      form of the body, as the table's reader calls it; absent = any
    reason    regular expression for the header `Reason`; absent = any
    text      regular expression, letter case ignored, for the words in the body and the header; absent = any
    answered  false: no answer leads here, the row is named by code
    action    what is done about it; a member of the table's enum of actions
    failure   config = a person must change something; transient = it passes; system = a defect
    message   what to tell a person
    concerns  division: the answer holds for everything in the division
    source    where the fact comes from
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from typing import Any, Generic, TypeVar

import yaml
from airbyte_cdk.models import FailureType

KindT = TypeVar("KindT", bound=Enum)
ActionT = TypeVar("ActionT", bound=Enum)

FAILURES = {
    "config": FailureType.config_error,
    "transient": FailureType.transient_error,
    "system": FailureType.system_error,
}

_NO_STATUSES: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ErrorRow(Generic[KindT, ActionT]):
    """One row of a table; the module's docstring explains its columns."""

    kind: KindT
    action: ActionT
    failure: FailureType
    message: str
    source: str
    answered: bool = True
    statuses: frozenset[int] = _NO_STATUSES
    body: str | None = None
    reason: re.Pattern[str] | None = None
    text: re.Pattern[str] | None = None
    concerns_division: bool = False

    def matches(self, status: int, body: str, reason: str, text: str) -> bool:
        """Return whether all conditions of the row hold.

        Args:
            status: HTTP status.
            body: form of the body.
            reason: header `Reason`; empty where there is none.
            text: words to be searched.
        """
        return (
            self.answered
            and (not self.statuses or status in self.statuses)
            and (self.body is None or self.body == body)
            and (self.reason is None or self.reason.search(reason) is not None)
            and (self.text is None or self.text.search(text) is not None)
        )


def read_table(
    package: str, file: str, kinds: type[KindT], actions: type[ActionT]
) -> tuple[ErrorRow[KindT, ActionT], ...]:
    """Read a table, in its order.

    Args:
        package: package that holds the file.
        file: name of the YAML file.
        kinds: enum of the rows' names.
        actions: enum of what is done.

    Raises:
        ValueError: a row has a name or an action that the enums do not know.
    """
    rows: list[Mapping[str, Any]] = yaml.safe_load(files(package).joinpath(file).read_text("utf-8"))
    return tuple(
        ErrorRow(
            kind=kinds(row["name"]),
            action=actions(row["action"]),
            failure=FAILURES[row["failure"]],
            message=row["message"].strip(),
            source=row["source"],
            answered=row.get("answered", True),
            statuses=_statuses(row.get("statuses", ())),
            body=row.get("body"),
            reason=re.compile(row["reason"]) if "reason" in row else None,
            text=re.compile(row["text"], re.IGNORECASE) if "text" in row else None,
            concerns_division=row.get("concerns") == "division",
        )
        for row in rows
    )


def first_match(
    rows: Sequence[ErrorRow[KindT, ActionT]], status: int, body: str, reason: str, text: str
) -> ErrorRow[KindT, ActionT]:
    """Return the row that decides about an answer; the last row of a table fits every one."""
    return next(row for row in rows if row.matches(status, body, reason, text))


def row_of(rows: Sequence[ErrorRow[KindT, ActionT]], kind: KindT) -> ErrorRow[KindT, ActionT]:
    """Return the row of a kind."""
    return next(row for row in rows if row.kind is kind)


def _statuses(entries: Iterable[int | str]) -> frozenset[int]:
    """Return the statuses of a row, in which ``402-499`` stands for a range."""
    ranges = (str(entry).partition("-") for entry in entries)
    return frozenset(status for first, _, last in ranges for status in range(int(first), int(last or first) + 1))
