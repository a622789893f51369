"""Faults on demand: answers that go wrong the way Exact's have been seen to go wrong, and worse."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

KINDS: Mapping[str, str] = {
    "gateway_fault": "500 of the gateway, in its own JSON shape",
    "proxy_not_found": "404 of the gateway: 'Unable to identify proxy for host'",
    "maintenance": "503 with an HTML page",
    "request_timeout": "408: the server gave up",
    "gateway_timeout": "599: network timeout of the gateway",
    "status": "any status, with body, content_type and headers as given",
    "unauthorized": "401 though the access token still lives",
    "rate_limit_minute": "429 with the minute's headers only",
    "rate_limit_day": "429 with the day's headers only",
    "rate_limit_bare": "429 without any rate-limit header",
    "reset": "the connection is reset before the request is looked at",
    "empty_body": "200 without a body",
    "truncated": "the announced length is that of the whole body, the connection closes in the middle of it",
    "half_body": "a complete HTTP answer with the first half of the body",
    "not_json": "200 with an HTML page",
    "null_d": '200 with {"d": null}',
    "error_200": "200 with an error object",
    "slow": "the answer comes after so many seconds",
    "lost_answer": "the request takes effect, then the connection closes without an answer",
    "refuse_column": "$select of the given column is refused with 400 as unknown",
    "refuse_expand": "$expand is refused with 400",
    "ignore_expand": "$expand is ignored: collections come as links only",
}
"""What each kind does."""

INSTEAD = frozenset(
    {
        "gateway_fault",
        "proxy_not_found",
        "maintenance",
        "request_timeout",
        "gateway_timeout",
        "status",
        "unauthorized",
        "rate_limit_minute",
        "rate_limit_day",
        "rate_limit_bare",
        "reset",
    }
)
"""Kinds that answer instead of the API: the request has no effect."""


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
    probability: float = 1.0
    """Chance with which it hits a matching request."""
    seed: int = 0
    seconds: float = 0
    status: int = 500
    body: str = ""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    column: str | None = None
    text: str | None = None
    """Error text, for the kinds that carry one."""
    id: int = 0
    hits: int = 0
    passed: int = 0


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
        unknown = set(raw) - ({f.name for f in fields(Fault)} - {"id", "hits", "passed"})
        if unknown or raw.get("kind") not in KINDS:
            raise ValueError(f"a fault has a kind out of {', '.join(KINDS)}; unknown fields: {sorted(unknown)}")
        if raw["kind"] == "refuse_column" and not raw.get("column"):
            raise ValueError("a fault of kind refuse_column names the column")
        self._number += 1
        fault = Fault(**raw, id=self._number)
        self._faults.append(fault)
        self._chance[fault.id] = random.Random(fault.seed)
        return fault

    def clear(self) -> None:
        """Drop all faults."""
        self._faults.clear()
        self._chance.clear()

    def describe(self) -> list[dict[str, Any]]:
        """All faults with their hits as plain objects."""
        return [asdict(fault) for fault in self._faults]

    def take(
        self, path: str, division: int | None, select: frozenset[str] = frozenset(), *, expand: bool = False
    ) -> list[Fault]:
        """Faults that hit a request: any number of slow ones, and the first other one.

        Args:
            path: the endpoint's path.
            division: division of the request.
            select: columns its ``$select`` names.
            expand: whether it has ``$expand``.
        """
        found: list[Fault] = []
        for fault in self._faults:
            if fault.kind != "slow" and any(other.kind != "slow" for other in found):
                continue
            if fault.kind == "refuse_column" and fault.column not in select:
                continue
            if fault.kind in ("refuse_expand", "ignore_expand") and not expand:
                continue
            if self._hits(fault, path, division):
                found.append(fault)
        return found

    def _hits(self, fault: Fault, path: str, division: int | None) -> bool:
        if not fnmatchcase(path, fault.path) or fault.division not in (None, division):
            return False
        if fault.count is not None and fault.hits >= fault.count:
            return False
        fault.passed += 1
        if fault.passed <= fault.after or self._chance[fault.id].random() >= fault.probability:
            return False
        fault.hits += 1
        return True
