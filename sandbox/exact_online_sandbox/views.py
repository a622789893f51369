"""Endpoints as views of entities: which rows they show, in which order, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exact_online_sandbox import errors
from exact_online_sandbox.entities import Entity, entities, entity_of
from exact_online_sandbox.errors import bad_request, not_found
from exact_online_sandbox.filters import Column, Condition, Filter
from exact_online_sandbox.formats import literal
from exact_online_sandbox.literals import integer_literal
from exact_online_sandbox.reference import Endpoint, is_instant
from exact_online_sandbox.rows import Values, stored_key
from exact_online_sandbox.store import Key, Store
from exact_online_sandbox.tokens import KeyToken, parse_key
from exact_online_sandbox.type_names import type_of

_SQL = {"eq": "=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_FEW = 10_000
_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Listing:
    """What rows are wanted."""

    division: int
    filter: Filter | None = None
    orderby: tuple[tuple[str, bool], ...] = ()
    skip: int = 0
    token: str | None = None
    limit: int = 60
    test: Callable[[Values], bool] | None = None
    """A further condition, such as a function's parameters."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and where the next ones begin."""

    rows: list[Values]
    token: str | None


class View:
    """One endpoint's rows. A row is a list of kept values; ``slots`` says which property is where."""

    def __init__(
        self, endpoint: Endpoint, slots: Mapping[str, int], store: Store, kept_types: Mapping[str, str]
    ) -> None:
        self.endpoint = endpoint
        self.kept_types = kept_types
        self.slots = slots
        self.store = store
        self.type_name = type_of(endpoint)
        self.key_types = tuple((name, endpoint.properties[name].type) for name in endpoint.key)

    def find(self, name: str) -> Column | None:
        """The column of a property for filters; dates in wall clock milliseconds."""
        prop = self.endpoint.properties.get(name)
        if prop is None or not prop.is_plain:
            return None
        slot = self.slots.get(name)
        if slot is None:
            return Column(name, prop.type, lambda _: None)
        if prop.type == "Edm.DateTime" and is_instant(name):
            wall = self.store.wall

            def moment(values: Sequence[Any]) -> int | None:
                ms = values[slot]
                return None if ms is None else wall.to_wall_ms(ms)

            return Column(name, prop.type, moment)
        return Column(name, prop.type, lambda values: values[slot])

    def key_literal(self, values: Values) -> str:
        """The row's key as it stands in its address."""
        if len(self.key_types) == 1:
            name, type_ = self.key_types[0]
            return literal(values[self.slots[name]], type_)
        return ",".join(f"{name}={literal(values[self.slots[name]], type_)}" for name, type_ in self.key_types)

    def page(self, listing: Listing) -> Page:
        """One page of rows.

        Raises:
            ApiError: 400, the skip token is malformed.
        """
        raise bad_request(errors.SYNTAX)

    def every(self, listing: Listing) -> Iterator[Values]:
        """All rows of a listing, whatever its page size."""
        token: str | None = None
        while True:
            page = self.page(Listing(listing.division, listing.filter, limit=_CHUNK, token=token, test=listing.test))
            yield from page.rows
            token = page.token
            if token is None:
                return

    def count(self, listing: Listing) -> int:
        """Number of rows of a listing, paging left aside."""
        return sum(1 for _ in self.every(listing))

    def one(self, division: int, key: str) -> Values:
        """The row with that key (the text between the parentheses of its address).

        Raises:
            ApiError: 404, no such row; 400, the key is malformed.
        """
        raise not_found(self.endpoint.entity_set)


class TableView(View):
    """A standard, bulk or read endpoint: rows of one entity in key order."""

    def __init__(self, endpoint: Endpoint, store: Store, entity: str | None = None) -> None:
        self.entity: Entity = entities()[entity or entity_of(endpoint.path)]
        self.codec = store.codec(self.entity.name)
        super().__init__(endpoint, self.codec.index, store, self.entity.columns)
        hidden = self.entity.feed_only
        self._hidden = None if hidden is None else (self.codec.index[hidden[0]], hidden[1])

    def _shows(self, values: Values) -> bool:
        return self._hidden is None or values[self._hidden[0]] != self._hidden[1]

    def page(self, listing: Listing) -> Page:
        if listing.orderby:
            return self._ordered(listing)
        where, tests = self._plan(listing)
        token = KeyToken(self.entity)
        after = token.parse(listing.token) if listing.token is not None else None
        index = self._index(listing.division, where)
        wanted = listing.limit + 1
        found: list[tuple[Key, Values]] = []
        skip = listing.skip
        chunk = wanted + skip if not tests else max(_CHUNK, wanted)
        while len(found) < wanted:
            rows = self.store.select(
                listing.division, self.entity.name, where=where, after=after, limit=chunk, index=index
            )
            for row in rows:
                values = self.codec.load(row.body)
                if all(test(values) for test in tests):
                    if skip:
                        skip -= 1
                        continue
                    found.append((row.key, values))
                    if len(found) == wanted:
                        break
            if len(rows) < chunk:
                break
            after = rows[-1].key
        more = len(found) > listing.limit
        kept = found[: listing.limit]
        return Page([values for _, values in kept], token.write(kept[-1][0]) if more and kept else None)

    def count(self, listing: Listing) -> int:
        where, tests = self._plan(listing)
        if not tests:
            return self.store.count(listing.division, self.entity.name, where=where)
        return super().count(listing)

    def one(self, division: int, key: str) -> Values:
        stored = stored_key(self.entity, parse_key(key, self.key_types))
        body = self.store.bodies(division, self.entity.name, [stored]).get(stored)
        values = None if body is None else self.codec.load(body)
        if values is None or not self._shows(values):
            raise not_found(self.endpoint.entity_set)
        return values

    def children(self, division: int, column: str, keys: Iterable[Key]) -> dict[Key, list[Values]]:
        """Rows by the value of a property that refers to another entity, for the given values."""
        found: dict[Key, list[Values]] = {key: [] for key in keys}
        if column == self.entity.header_key:
            for key, rows in found.items():
                selected = self.store.select(division, self.entity.name, where=[("parent", "=", key)])
                rows.extend(filter(self._shows, (self.codec.load(row.body) for row in selected)))
            return found
        slot = self.slots[column]
        for values in self.every(Listing(division)):
            if values[slot] in found:
                found[values[slot]].append(values)
        return found

    def part(self, rows: list[Values], size: int, token: str | None = None) -> Page:
        """One page of rows in key order that are at hand; a size of 0 takes all that are left.

        Raises:
            ApiError: 400, the skip token is malformed.
        """
        tokens, slot = KeyToken(self.entity), self.slots[self.entity.key[0]]
        if token is not None:
            after = tokens.parse(token)
            rows = [values for values in rows if values[slot] > after]
        if not size or len(rows) <= size:
            return Page(rows, None)
        return Page(rows[:size], tokens.write(rows[size - 1][slot]))

    def _plan(self, listing: Listing) -> tuple[list[tuple[str, str, Any]], list[Callable[[Values], bool]]]:
        """Split a listing into what an index can do and what has to be tested row by row."""
        where: list[tuple[str, str, Any]] = []
        tests = [] if listing.test is None else [listing.test]
        if self._hidden is not None:
            tests.append(self._shows)
        if listing.filter is not None:
            terms = [self._term(condition) for condition in listing.filter.conditions]
            where = [term for term in terms if term is not None]
            if not listing.filter.complete or len(where) < len(terms):
                tests.append(listing.filter.matches)
        return where, tests

    def _term(self, condition: Condition) -> tuple[str, str, Any] | None:
        operator = _SQL.get(condition.operator)
        if operator is None:
            return None
        if condition.name == "Modified":
            return ("modified", operator, condition.value)
        if self.entity.key == (condition.name,):
            return ("key", operator, condition.value)
        if condition.name == self.entity.header_key and operator == "=":
            return ("parent", operator, condition.value)
        return None

    def _index(self, division: int, where: Sequence[tuple[str, str, Any]]) -> str | None:
        """Walk in key order, unless a filter leaves so few rows that finding and sorting them is cheaper."""
        columns = {column for column, *_ in where}
        if "parent" in columns:
            return "row_parent"
        if columns == {"modified"}:
            few = self.store.count(division, self.entity.name, where=where, limit=_FEW + 1) <= _FEW
            return "row_modified" if few else "row_key"
        return "row_key"

    def _ordered(self, listing: Listing) -> Page:
        columns = []
        for name, descending in listing.orderby:
            column = self.find(name)
            if column is None:
                raise bad_request(errors.unknown_property(name, self.type_name))
            columns.append((column, descending))
        rows = list(self.every(Listing(listing.division, listing.filter, test=listing.test)))
        for column, descending in reversed(columns):
            get = column.get
            # SQL Server sorts nulls first.
            rows.sort(key=lambda values: (get(values) is not None, get(values)), reverse=descending)
        start = listing.skip
        if listing.token is not None:
            start = max(0, integer_literal(listing.token))
        end = start + listing.limit
        return Page(rows[start:end], str(end) if end < len(rows) else None)
