"""Faults on demand: answers that go wrong the way Exact's have been seen to go wrong, and worse.

A fault is data: a kind, and which requests it hits. `faulty.py` knows what each kind does to an answer.
"""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

INSTEAD: Mapping[str, str] = {
    "gateway_fault": "500 of the gateway, in its own JSON shape",
    "proxy_not_found": "404 of the gateway: 'Unable to identify proxy for host'",
    "maintenance": "503 with an HTML page; retry_after says until when, where between gives an end",
    "request_timeout": "408: the server gave up",
    "gateway_timeout": "599: network timeout of the gateway",
    "firewall": "403 with the HTML page of a firewall in front of the site",
    "login_page": "200 with the HTML of the login page",
    "login_redirect": "302 to /docs/Login.aspx",
    "other_site": "301 to the same address of another country's site",
    "status": "any status, with headers, content_type and body (or body_base64) as given",
    "unauthorized": "401 though the access token still lives",
    "rate_limit_minute": "429 with the minute's headers only",
    "rate_limit_day": "429 with the day's headers only",
    "rate_limit_bare": "429 without any rate-limit header",
    "reset": "the connection is reset before the request is looked at",
    "refused": "the connection is reset, and for so many seconds the port takes no further one",
}
"""Kinds that answer instead of the API: the request has no effect."""

ROWS: Mapping[str, str] = {
    "error_row": "an error object stands among the rows, and there is no further page",
    "error_beside": "an error object stands beside an empty list",
    "error_breaks": "an error object breaks the JSON in the middle of a row",
    "no_key": "rows lack their key, or the given column",
    "other_division": "rows are those of the division other: in their address, and in Division where they have it",
    "value": "the given column holds body (or body_base64) as it is, whether that is JSON or not",
    "byte_order_mark": "a byte order mark stands before the JSON",
    "circle": "the last page, or the one of that number (pages), has the first one as its next page",
}
"""Kinds that change the rows of a good JSON answer of any listing."""

KINDS: Mapping[str, str] = {
    **INSTEAD,
    **ROWS,
    "empty_body": "200 without a body",
    "truncated": "the announced length is that of the whole body, the connection closes in the middle of it",
    "half_body": "a complete HTTP answer with the first half of the body",
    "not_json": "200 with an HTML page",
    "null_d": '200 with {"d": null}',
    "error_200": "200 with an error object",
    "slow": "the answer comes after so many seconds",
    "drip": "the body comes byte by byte, so many seconds apart",
    "lost_answer": "the request takes effect, then the connection closes without an answer",
    "refuse_column": "$select of the given column is refused with 400 as unknown",
    "refuse_expand": "$expand is refused with 400",
    "ignore_expand": "$expand is ignored: collections come as links only",
}
"""What each kind does."""

_NEEDS: Mapping[str, str] = {"refuse_column": "column", "value": "column", "other_division": "other"}
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\Z")
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request matters to faults."""

    path: str
    """The endpoint's path."""
    division: int | None = None
    select: frozenset[str] = frozenset()
    """Columns that its ``$select`` names."""
    expands: bool = False
    uri: str = ""
    """Its address without the query."""
    options: tuple[tuple[str, str], ...] = ()
    """Its query options, as given."""
    key: tuple[str, ...] = ()
    """Properties that identify a row of the answer."""
    now_ms: int = 0
    """Moment by the sandbox's clock, UTC milliseconds since 1970."""
    wall_ms: int = 0
    """The same moment by the server's wall clock."""


@dataclass(slots=True)
class Fault:
    """One fault waiting for its requests."""

    kind: str
    path: str = "*"
    """Pattern of the endpoint's path (``crm/Accounts``, ``sync/*``, ``oauth2/token``, ``current/Me``)."""
    division: int | None = None
    count: int | None = None
    """Requests it hits before it ends; None for no end."""
    after: int = 0
    """Matching requests it lets pass first."""
    between: list[str] | None = None
    """Two times of the day by the server's wall clock, ``["04:00", "04:30"]``; it hits from the first to the second."""
    probability: float = 1.0
    """Chance with which it hits a matching request."""
    seed: int = 0
    seconds: float = 0
    status: int = 500
    body: str = ""
    body_base64: str = ""
    """The body where it is no text."""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of an answer that stands in for the API's; they take the place of the kind's own."""
    retry_after: str | None = None
    """How ``maintenance`` tells the end of ``between``: in ``seconds`` or as a ``date``."""
    column: str | None = None
    text: str | None = None
    """Error text, for the kinds that carry one."""
    row: int | None = None
    """Number of the row that is hit, from 0, from the end where negative; None for all, an error for the middle."""
    inside: str | None = None
    """The expanded collection whose rows are hit instead of those of the listing itself."""
    other: int | None = None
    """Code of another division."""
    pages: int | None = None
    """Pages of a circle; None for all there are."""
    id: int = 0
    hits: int = 0
    passed: int = 0
    numbers: dict[tuple[str, frozenset[tuple[str, str]]], int] = field(default_factory=dict, repr=False)
    """Number of a page in its listing, by its address; for ``circle``."""

    @property
    def raw(self) -> bytes:
        """The given body."""
        return base64.b64decode(self.body_base64, validate=True) if self.body_base64 else self.body.encode()

    def left_ms(self, wall_ms: int) -> int | None:
        """Milliseconds until the end of ``between``; None outside of it, and without it."""
        if self.between is None:
            return None
        begins, ends = (_of_day(text) for text in self.between)
        passed = (wall_ms - begins) % _DAY_MS
        length = (ends - begins) % _DAY_MS
        return length - passed if passed < length else None


_OWN = frozenset({"id", "hits", "passed", "numbers"})


class Faults:
    """All faults in force, in the order they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._chance: dict[int, random.Random] = {}
        self._number = 0

    def add(self, raw: Mapping[str, Any]) -> Fault:
        """Add a fault.

        Raises:
            ValueError: it has an unknown field or kind, or lacks what its kind needs.
        """
        unknown = set(raw) - ({f.name for f in fields(Fault)} - _OWN)
        if unknown or raw.get("kind") not in KINDS:
            raise ValueError(f"a fault has a kind out of {', '.join(KINDS)}; unknown fields: {sorted(unknown)}")
        needed = _NEEDS.get(raw["kind"])
        if needed is not None and not raw.get(needed):
            raise ValueError(f"a fault of kind {raw['kind']} needs the field {needed}")
        fault = Fault(**raw, id=self._number + 1)
        times = fault.between if fault.between is not None else ["00:00", "00:00"]
        if len(times) != 2 or not all(_TIME.match(text) for text in times):
            raise ValueError("a fault's field between is two times of the day: hours, minutes, seconds if need be")
        if fault.retry_after not in (None, "seconds", "date"):
            raise ValueError("a fault's field retry_after is seconds or date")
        len(fault.raw)  # it has to be text or base64
        self._number += 1
        self._faults.append(fault)
        self._chance[fault.id] = random.Random(fault.seed)
        return fault

    def clear(self) -> None:
        """Drop all faults."""
        self._faults.clear()
        self._chance.clear()

    def describe(self) -> list[dict[str, Any]]:
        """All faults with their hits as plain objects."""
        return [{name: value for name, value in asdict(f).items() if name != "numbers"} for f in self._faults]

    def take(self, asked: Asked) -> list[Fault]:
        """Faults that hit a request: any number of slow ones, and the first other one."""
        found: list[Fault] = []
        for fault in self._faults:
            if fault.kind != "slow" and any(other.kind != "slow" for other in found):
                continue
            if self._hits(fault, asked):
                found.append(fault)
        return found

    def _hits(self, fault: Fault, asked: Asked) -> bool:
        if not fnmatchcase(asked.path, fault.path) or fault.division not in (None, asked.division):
            return False
        if fault.kind == "refuse_column" and fault.column not in asked.select:
            return False
        if fault.kind in ("refuse_expand", "ignore_expand") and not asked.expands:
            return False
        if fault.between is not None and fault.left_ms(asked.wall_ms) is None:
            return False
        if fault.count is not None and fault.hits >= fault.count:
            return False
        fault.passed += 1
        if fault.passed <= fault.after or self._chance[fault.id].random() >= fault.probability:
            return False
        fault.hits += 1
        return True


def _of_day(text: str) -> int:
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return ((hours * 60 + minutes) * 60 + sum(seconds)) * 1000
