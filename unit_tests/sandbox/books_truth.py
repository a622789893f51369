"""Generated books for the tests of the generator, made once per size and seed."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timezone
from functools import cache
from typing import Any

from exact_online_sandbox.books import generate
from exact_online_sandbox.entities import entities
from exact_online_sandbox.store import Store

UNTIL = datetime(2025, 11, 20, 8, 15, 30, 123456, tzinfo=timezone.utc)
LINES = "financialtransaction/TransactionLines"
Rows = list[dict[str, Any]]


def fill(seed: int = 7, size: str = "small", divisions: int = 2, until: datetime = UNTIL) -> Store:
    """A new store with generated books."""
    store = Store()
    generate(store, seed=seed, divisions=divisions, size=size, until=until)
    return store


@cache
def books() -> Store:
    """Small books of a Dutch and a British company; tests must not change them."""
    return fill()


def codes() -> list[int]:
    """The divisions of `books`, Dutch one first."""
    return sorted(books().division_codes())


@cache
def rows(division: int, entity: str) -> Rows:
    """The rows of an entity in `books`, without those that only its feed shows."""
    return listed(books(), division, entity)


def listed(store: Store, division: int, entity: str) -> Rows:
    """The rows of an entity as its list shows them."""
    column, value = entities()[entity].feed_only or ("", None)
    return [row for row in store.rows(division, entity) if value is None or row[column] != value]


def filled_entities(division: int) -> list[str]:
    """The entities that have rows in `books`."""
    return [entity for entity in entities() if books().count(division, entity)]


def by(name: str, found: Rows) -> dict[Any, dict[str, Any]]:
    """Rows by one of their properties."""
    return {row[name]: row for row in found}


def grouped(name: str, found: Rows) -> dict[Any, Rows]:
    """Rows that share a property."""
    groups: dict[Any, Rows] = defaultdict(list)
    for row in found:
        groups[row[name]].append(row)
    return groups


def cents(amount: float) -> int:
    """An amount in whole cents."""
    return round(amount * 100)
