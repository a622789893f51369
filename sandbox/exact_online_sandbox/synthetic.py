"""Rows for entities without bookkeeping: type-correct and deterministic, so that every endpoint has something to read.

They are filler, not bookkeeping: references between entities do not fit, except that lines refer to headers of theirs,
as do other rows that ``$expand`` shows in them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from exact_online_sandbox.entities import DELETED, DIVISIONS, SHARED_VALUES, Entity, entities
from exact_online_sandbox.figures.summary import LINES
from exact_online_sandbox.figures.views import FIGURES
from exact_online_sandbox.reference import Endpoint, Property, endpoints, is_instant
from exact_online_sandbox.rows import Value
from exact_online_sandbox.special import ME, SYNC_TIMESTAMP
from exact_online_sandbox.store import Store

ROWS = 3
_MADE_ON_THE_SPOT = frozenset({DIVISIONS, DELETED, ME, SYNC_TIMESTAMP})
_NAMESPACE = uuid.UUID("0f6e5f0a-6b0c-4f59-8d27-1c2e51a2a1f7")


def fill(store: Store, division: int, *, until: datetime, rows: int = ROWS) -> int:
    """Give every readable entity that has no rows in a division some; check figures follow from its ledger, if any.

    Args:
        store: where they go.
        division: code of the division.
        until: moment of the last change (aware UTC).
        rows: rows per entity.

    Returns:
        The number of rows added.
    """
    reference, added = endpoints(), 0
    has_ledger = store.count(division, LINES, limit=1) > 0
    for name, entity in entities().items():
        endpoint = reference[name]
        if name in _MADE_ON_THE_SPOT or not endpoint.readable or endpoint.status == "removed" or not entity.columns:
            continue
        if name in FIGURES and has_ledger:
            continue
        if store.count(division, name) == 0 and entity.key:
            added += store.insert_many(division, name, _rows(entity, endpoint, division, until, rows))
    return added


def _rows(entity: Entity, endpoint: Endpoint, division: int, until: datetime, rows: int) -> Iterator[dict[str, Any]]:
    # A row of settings per division, with the division as its key, is there only once.
    for number in range(1, 2 if entity.key == ("Division",) else rows + 1):
        changed = until - timedelta(days=rows - number, minutes=number)
        row = {
            name: _value(entity, endpoint.properties.get(name), name, type_, division, number, changed)
            for name, type_ in entity.columns.items()
        }
        if entity.header is not None and entity.header_key is not None:
            row[entity.header_key] = _guid(division, entity.header, entities()[entity.header].record_id, number)
        if entity.name in SHARED_VALUES:
            owner, shared, own = SHARED_VALUES[entity.name]
            row[own] = _guid(division, owner, shared, number)
        yield row


def _value(
    entity: Entity, prop: Property | None, name: str, type_: str, division: int, number: int, changed: datetime
) -> Value:
    if name == "Division":
        return division
    if name in entity.key and type_ in ("Edm.Int64", "Edm.Int32", "Edm.Int16"):
        return number
    if prop is not None and prop.values:
        code = list(prop.values)[number % len(prop.values)]
        return code if type_ == "Edm.String" else int(code)
    if type_ == "Edm.DateTime":
        if is_instant(name):
            return changed - timedelta(days=30) if "reated" in name else changed
        return datetime(2024, 1, 1) + timedelta(days=number)  # noqa: DTZ001 - a business date has no zone
    if type_ == "Edm.Guid":
        return _guid(division, entity.name, name, number)
    return _simple(name, type_, number)


def _simple(name: str, type_: str, number: int) -> Value:
    if type_ == "Edm.String":
        return str(number) if "Code" in name else f"{name} {number}"
    if type_ == "Edm.Double":
        return number * 100 + (0.25 if number % 2 else 0)
    if type_ == "Edm.Boolean":
        return number % 2 == 1
    if type_ == "Edm.Int64":
        return 10_000_000_000 + number
    if type_ == "Edm.Byte":
        return number % 2
    if type_ in ("Edm.Int16", "Edm.Int32"):
        return number
    return None


def _guid(division: int, entity: str, name: str, number: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{division}/{entity}/{name}/{number}"))
