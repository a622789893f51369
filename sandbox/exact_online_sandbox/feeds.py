"""Sync endpoints: rows in the order of their row versions, headers and lines mixed where Exact mixes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from heapq import merge
from operator import itemgetter

from exact_online_sandbox.clock import Clock
from exact_online_sandbox.entities import DELETED, MIXED_FEEDS, entities, entity_of
from exact_online_sandbox.errors import not_found
from exact_online_sandbox.reference import Endpoint, endpoints
from exact_online_sandbox.rows import Values
from exact_online_sandbox.store import Key, Store
from exact_online_sandbox.tokens import FeedToken, parse_key
from exact_online_sandbox.views import Listing, Page, View

Versioned = tuple[int, Values]

# The feed of purchase orders has the GUID where its lines' standard endpoint has the code.
_CODED = {"CostCenter": "hrm/Costcenters", "CostUnit": "hrm/Costunits"}

HIGHEST_VERSION = 2**63 - 1

SALES_INVOICES = "sync/SalesInvoice/SalesInvoices"
_SIGNED = frozenset({"AmountDC", "AmountFC", "AmountFCExclVat", "VATAmountDC", "VATAmountFC"})
_HEADER_ONLY = frozenset({"AmountFCExclVat"})
"""Properties of sales invoices that lines do not repeat in the feed."""

DELETIONS_KEPT = timedelta(days=61)
"""The reference says that deletions are kept for two months."""


@dataclass(slots=True)
class FeedOptions:
    """Ways in which feeds can behave worse than expected; all allowed by what Exact documents."""

    shuffled: bool = False
    """Rows of a pass come in random order. A pass is then fixed to the row versions that existed when it began."""
    repeat_rows: int = 0
    """So many last rows of a page stand again at the head of the next one."""
    empty_pages: int = 0
    """Every so many pages one comes without rows, but with a next page; 0 for never."""
    ledger_signs: bool = True
    """Whether amounts in the feed of sales invoices bear the ledger's sign: sales negative, credit notes positive."""


class FeedView(View):
    """A sync endpoint over one entity."""

    def __init__(self, endpoint: Endpoint, store: Store, options: FeedOptions) -> None:
        self.entity = entities()[entity_of(endpoint.path)]
        self.codec = store.codec(self.entity.name)
        self._options = options
        self._key = self.codec.index[self.entity.key[0]]
        slots = {name: slot for name, slot in self.codec.index.items() if name in endpoint.properties}
        slots["Timestamp"] = self.codec.width
        if self.entity.own_feed_id:
            slots["ID"] = self.codec.width + 1
        super().__init__(endpoint, slots, store, self.entity.columns)

    def fetch(self, division: int, after: int, limit: int) -> list[Versioned]:
        """Rows with a row version above ``after`` in ascending order."""
        rows = self.store.select(division, self.entity.name, by="version", after=after, limit=limit)
        load, facts = self.codec.load, self.entity
        if not facts.own_feed_id:
            return [(row.version, [*load(row.body), row.version]) for row in rows]
        record_key = self.store.record_key
        return [(row.version, [*load(row.body), row.version, record_key(facts, row.key)]) for row in rows]

    def page(self, listing: Listing) -> Page:
        token = FeedToken.parse(listing.token) if listing.token is not None else None
        empty = self._options.empty_pages
        if empty and token is not None and token.page and token.page % empty == 0:
            return Page([], FeedToken(token.after, token.page + 1, token.bound).write())
        if self._options.shuffled if token is None else token.bound is not None:  # a pass goes on as it began
            return self._shuffled(listing, token)
        start, test = _plan(listing)
        after = start if token is None else max(start, token.after)
        found = list(self._take(listing.division, after, listing.limit + 1, test))
        rows = found[: listing.limit]
        next_token = None
        if len(found) > listing.limit:
            repeat = min(self._options.repeat_rows, listing.limit - 1)
            pages = (token.page if token else 0) + 1 if empty else 0
            next_token = FeedToken(rows[-1 - repeat][0], pages).write()
        return Page([values for _, values in rows], next_token)

    def every(self, listing: Listing) -> Iterator[Values]:
        start, test = _plan(listing)
        yield from (values for _, values in self._take(listing.division, start, -1, test))

    def one(self, division: int, key: str) -> Values:
        version = parse_key(key, self.key_types)
        for found, values in self.fetch(division, version - 1, 1):
            if found == version:
                return values
        raise not_found(self.endpoint.entity_set)

    def _take(
        self, division: int, after: int, limit: int, test: Callable[[Values], bool] | None
    ) -> Iterator[Versioned]:
        chunk = limit if test is None and limit > 0 else 2000
        taken = 0
        while True:
            rows = self.fetch(division, after, chunk)
            for row in rows:
                if test is None or test(row[1]):
                    yield row
                    taken += 1
                    if taken == limit:
                        return
            if len(rows) < chunk:
                return
            after = rows[-1][0]

    def _shuffled(self, listing: Listing, token: FeedToken | None) -> Page:
        start, test = _plan(listing)
        rows = list(self._take(listing.division, start, -1, test))
        bound = token.bound if token is not None and token.bound is not None else max((v for v, _ in rows), default=0)
        placed = sorted((_place(version), version, values) for version, values in rows if version <= bound)
        after = token.after if token is not None else -1
        rest = [row for row in placed if row[0] > after]
        page = rest[: listing.limit]
        next_token = None
        if len(rest) > listing.limit:
            repeat = min(self._options.repeat_rows, listing.limit - 1)
            pages = (token.page if token else 0) + 1
            next_token = FeedToken(page[-1 - repeat][0], pages, bound).write()
        return Page([values for *_, values in page], next_token)


def _place(version: int) -> int:
    return int.from_bytes(hashlib.blake2b(version.to_bytes(8, "big"), digest_size=7).digest(), "big")


def _plan(listing: Listing) -> tuple[int, Callable[[Values], bool] | None]:
    """Lower bound of the row versions (exclusive) and the test left for each row."""
    condition = listing.filter
    if condition is None:
        return -1, None
    start = -1
    rest = not condition.complete
    for term in condition.conditions:
        if term.name == "Timestamp" and term.operator in ("gt", "ge"):
            bound = int(term.value) - (term.operator == "ge")
            start = min(max(start, bound), HIGHEST_VERSION)
        else:
            rest = True
    return start, condition.matches if rest else None


class MixedFeedView(FeedView):
    """A sync endpoint that shows headers as LineNumber 0 and lines with their header's properties repeated."""

    def __init__(self, endpoint: Endpoint, store: Store, options: FeedOptions) -> None:
        super().__init__(endpoint, store, options)
        header, lines = MIXED_FEEDS[endpoint.path]
        self.lines = entities()[lines]
        self.line_codec = store.codec(lines)
        names = [p.name for p in endpoint.properties.values() if not p.is_navigation]
        self.slots = {name: slot for slot, name in enumerate(names)}
        line_codec, codec = self.line_codec, self.codec
        line_properties = _standard_properties(lines)
        header_properties = _standard_properties(header)
        null = codec.width
        self._from_header = itemgetter(*(codec.index[name] if name in header_properties else null for name in names))
        self._timestamp, self._line_number, self._id = (
            self.slots["Timestamp"],
            self.slots["LineNumber"],
            self.slots["ID"],
        )
        line_null = line_codec.width
        self._from_line = itemgetter(*(line_codec.index.get(name, line_null) for name in names))
        # Only what lines lack is repeated from the header.
        self._repeated = [
            (slot, codec.index[name])
            for slot, name in enumerate(names)
            if name in header_properties
            and name not in line_properties
            and not (endpoint.path == SALES_INVOICES and name in _HEADER_ONLY)
        ]
        self._parent = line_codec.index[self.lines.header_key or ""]
        signed = endpoint.path == SALES_INVOICES and options.ledger_signs
        self._signed = [slot for name, slot in self.slots.items() if signed and name in _SIGNED]
        self._coded = [
            (self.slots[name], self.slots[f"{name}Code"], entity)
            for name, entity in _CODED.items()
            if f"{name}Code" in self.slots
        ]

    def fetch(self, division: int, after: int, limit: int) -> list[Versioned]:
        store = self.store
        headers = store.select(division, self.entity.name, by="version", after=after, limit=limit)
        lines = store.select(division, self.lines.name, by="version", after=after, limit=limit)
        found = list(
            merge(
                ((row.version, 0, row) for row in headers),
                ((row.version, 1, row) for row in lines),
            )
        )
        if limit >= 0:
            found = found[:limit]
        loaded = {row.key: self.codec.load(row.body) for _, kind, row in found if kind == 0}
        line_values = {row.key: self.line_codec.load(row.body) for _, kind, row in found if kind == 1}
        ids = {entity: self._ids_by_code(division, entity) for *_, entity in self._coded}
        missing = {values[self._parent] for values in line_values.values()} - loaded.keys() - {None}
        for key, body in store.bodies(division, self.entity.name, missing).items():
            loaded[key] = self.codec.load(body)
        made = [
            (version, self._header(version, row.key, loaded[row.key]))
            if kind == 0
            else (version, self._line(version, row.key, line_values[row.key], loaded, ids))
            for version, kind, row in found
        ]
        for _, values in made:
            for slot in self._signed:
                values[slot] = values[slot] and -values[slot]
        return made

    def _header(self, version: int, key: Key, values: Values) -> Values:
        row: Values = list(self._from_header([*values, None]))
        row[self._timestamp] = version
        row[self._line_number] = 0
        row[self._id] = self.store.record_key(self.entity, key)
        return row

    def _ids_by_code(self, division: int, entity: str) -> dict[str, str]:
        codec = self.store.codec(entity)
        id_, code = codec.index["ID"], codec.index["Code"]
        rows = (codec.load(row.body) for row in self.store.select(division, entity))
        return {values[code]: values[id_] for values in rows}

    def _line(
        self,
        version: int,
        key: Key,
        values: Values,
        headers: dict[Key, Values],
        ids: dict[str, dict[str, str]],
    ) -> Values:
        row: Values = list(self._from_line([*values, None]))
        header = headers.get(values[self._parent])
        if header is not None:
            for slot, source in self._repeated:
                if row[slot] is None:
                    row[slot] = header[source]
        for slot, code_slot, entity in self._coded:
            row[slot] = ids[entity].get(row[code_slot])
        row[self._timestamp] = version
        row[self._id] = key
        return row


def _standard_properties(entity: str) -> frozenset[str]:
    return frozenset(p.name for p in endpoints()[entity].properties.values() if not p.is_navigation)


class DeletedView(FeedView):
    """sync/Deleted: the deletion log of the last two months, by the sandbox's clock."""

    def __init__(self, endpoint: Endpoint, store: Store, options: FeedOptions, clock: Clock) -> None:
        super().__init__(endpoint, store, options)
        self._clock = clock
        self.slots = self.codec.index

    def fetch(self, division: int, after: int, limit: int) -> list[Versioned]:
        since = self._clock.now() - DELETIONS_KEPT
        rows = self.store.deletions(division, since=since, after=after, limit=limit)
        return [(row["Timestamp"], self.codec.encode(row)) for row in rows]


def feed_view(endpoint: Endpoint, store: Store, options: FeedOptions, clock: Clock) -> FeedView:
    """Make the view of a sync endpoint."""
    if endpoint.path == DELETED:
        return DeletedView(endpoint, store, options, clock)
    if endpoint.path in MIXED_FEEDS:
        return MixedFeedView(endpoint, store, options)
    return FeedView(endpoint, store, options)
