"""The endpoints of check figures, and payment terms as the options want them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.entities import entities, function_entity
from exact_online_sandbox.errors import not_found
from exact_online_sandbox.figures import balances, open_items
from exact_online_sandbox.figures.options import FigureOptions
from exact_online_sandbox.figures.summary import MATCHED, PAYABLE, RECEIVABLE, Summary, summarise
from exact_online_sandbox.literals import integer_literal
from exact_online_sandbox.reference import Endpoint
from exact_online_sandbox.rows import RowCodec, Values, stored_key
from exact_online_sandbox.special import MemoryView
from exact_online_sandbox.store import Store
from exact_online_sandbox.tokens import KeyToken, parse_key
from exact_online_sandbox.views import Listing, Page
from exact_online_sandbox.wallclock import naive_from_ms

_READ = "read/financial/"
_LISTS = {f"{_READ}ReceivablesList": RECEIVABLE, f"{_READ}PayablesList": PAYABLE}
_AGES = {f"{_READ}AgingReceivablesList": RECEIVABLE, f"{_READ}AgingPayablesList": PAYABLE}
_OPENING = {
    f"openingbalance/{year}/{state}": (back, state == "AfterEntry")
    for back, year in enumerate(("CurrentYear", "PreviousYear"))
    for state in ("AfterEntry", "Processed")
}
_OTHERS = frozenset(
    {
        "financial/ReportingBalance",
        f"{_READ}ReportingBalanceByClassification",
        f"{_READ}ProfitLossOverview",
        f"{_READ}RevenueList",
        f"{_READ}AgingOverview",
        f"{_READ}OutstandingInvoicesOverview",
    }
)
FIGURES = frozenset({*_LISTS, *_AGES, *_OPENING, *_OTHERS})
"""Entities whose rows are made from the books. Rows that were put there by hand show instead of them."""
TERMS = frozenset({"cashflow/Receivables", "cashflow/Payments", "sync/Cashflow/PaymentTerms"})
"""Entities of payment terms; they are kept with what is owed positive, and with their size."""


@dataclass(slots=True)
class Figures:
    """The check figures of a sandbox; what was added up is kept until the division changes."""

    store: Store
    clock: Clock
    options: FigureOptions
    _summaries: dict[int, tuple[int, Summary]] = field(default_factory=dict)
    _rows: dict[tuple[int, str], tuple[object, list[Values]]] = field(default_factory=dict)

    def summary(self, division: int) -> Summary:
        """The books of a division, added up."""
        version = self.store.version(division)
        kept = self._summaries.get(division)
        if kept is None or kept[0] != version:
            kept = self._summaries[division] = (version, summarise(self.store, division))
        return kept[1]

    def today(self) -> datetime:
        """Today's date by the server's wall clock: naive midnight."""
        now = naive_from_ms(self.store.wall.to_wall_ms(self.clock.now_ms()))
        return now.replace(hour=0, minute=0, second=0, microsecond=0)

    def values(self, division: int, entity: str, parameters: Mapping[str, str]) -> list[Values]:
        """The rows of an entity in the order of their keys."""
        stamp = (self.store.version(division), self.today(), astuple(self.options), dict(parameters))
        kept = self._rows.get((division, entity))
        if kept is None or kept[0] != stamp:
            codec, facts = self.store.codec(entity), entities()[entity]
            made = [codec.load(row.body) for row in self.store.select(division, entity)]
            if not made:
                made = [codec.encode(row) for row in self._make(division, entity, parameters)]
            made.sort(key=lambda values: _key(facts.key, codec, values))
            kept = self._rows[division, entity] = (stamp, made)
        return kept[1]

    def _make(self, division: int, entity: str, parameters: Mapping[str, str]) -> Iterable[Row]:
        books, options, today = self.summary(division), self.options, self.today()
        if entity in _LISTS:
            return open_items.open_item_list(books, options, _LISTS[entity])
        if entity in _AGES:
            return open_items.ageing(books, options, today, _AGES[entity])
        if entity in _OPENING:
            back, after_entry = _OPENING[entity]
            return balances.opening_balance(books, options, today, years_back=back, after_entry=after_entry)
        name = entity.rpartition("/")[2]
        if name == "ReportingBalance":
            return balances.reporting_balance(books, options)
        if name == "ReportingBalanceByClassification":
            if not {"glScheme", "reportingYear"} <= parameters.keys():
                return ()
            mappings = self.store.rows(division, "financial/GLAccountClassificationMappings")
            scheme, year = _guid(parameters["glScheme"]), integer_literal(parameters["reportingYear"])
            return balances.by_classification(books, options, mappings, scheme, year)
        if name == "ProfitLossOverview":
            return balances.profit_and_loss(books, today)
        if name == "RevenueList":
            return balances.revenue(books, after_entry=parameters.get("afterEntry", "true") == "true")
        if name == "AgingOverview":
            account = parameters.get("accountId")
            return open_items.ageing_overview(books, options, today, account and _guid(account))
        return open_items.outstanding(books, today)


class FiguresView(MemoryView):
    """An endpoint of check figures, in the order of its key."""

    def __init__(self, endpoint: Endpoint, figures: Figures, parameters: Mapping[str, str]) -> None:
        self.entity = entities()[function_entity(endpoint)]
        self.codec = figures.store.codec(self.entity.name)
        super().__init__(endpoint, self.codec.index, figures.store, self.entity.columns)
        self._figures = figures
        self._parameters = parameters

    def make(self, division: int) -> list[Values]:
        """The rows that the function's parameters leave."""
        rows = self._figures.values(division, self.entity.name, self._parameters)
        return [values for values in rows if self._fits(values)]

    def page(self, listing: Listing) -> Page:
        if listing.orderby:
            return super().page(listing)
        tokens = KeyToken(self.entity)
        rows = list(self.every(listing))
        if listing.token is not None:
            after: Any = tokens.parse(listing.token)
            rows = [values for values in rows if self._stored_key(values) > after]
        rows = rows[listing.skip :]
        page = rows[: listing.limit]
        return Page(page, tokens.write(self._stored_key(page[-1])) if page and len(rows) > len(page) else None)

    def one(self, division: int, key: str) -> Values:
        wanted = stored_key(self.entity, parse_key(key, self.key_types))
        for values in self.make(division):
            if self._stored_key(values) == wanted:
                return values
        raise not_found(self.endpoint.entity_set)

    def _stored_key(self, values: Values) -> Any:  # noqa: ANN401 - text or number
        return _key(self.entity.key, self.codec, values)

    def _fits(self, values: Values) -> bool:
        """Whether a row has what the parameters want. Some of them were heeded when the rows were made."""
        for parameter in self.endpoint.parameters:
            name, text = parameter.name, self._parameters.get(parameter.name)
            if text is None:
                continue
            if name == "accountId" and "AccountId" in self.slots and values[self.slots["AccountId"]] != _guid(text):
                return False
            if name == "year" and values[self.slots["Year"]] != integer_literal(text):
                return False
            if name == "ageGroup" and not self._is_of_age(values, integer_literal(text)):
                return False
        return True

    def _is_of_age(self, values: Values, group: int) -> bool:
        if self.entity.name in _AGES:
            slot = self.slots.get(f"AgeGroup{group}Amount")
            return slot is not None and bool(values[slot])
        invoiced, due = (
            None if values[self.slots[name]] is None else naive_from_ms(values[self.slots[name]])
            for name in ("InvoiceDate", "DueDate")
        )
        return open_items.age_group(self._figures.options, invoiced, due, self._figures.today()) == group


class TermCodec(RowCodec):
    """Reads payment terms as the options want them."""

    def __init__(self, codec: RowCodec, store: Store, options: FigureOptions) -> None:
        super().__init__(codec.entity, store.wall)
        self._options = options
        self._amounts = tuple(self.index[name] for name in ("AmountDC", "AmountFC"))
        self._status = self.index["Status"]
        self._line_type = self.index.get("LineType")
        self._receivables = codec.entity.name == "cashflow/Receivables"

    def load(self, body: bytes) -> Values:
        values = super().load(body)
        receivable = self._receivables if self._line_type is None else values[self._line_type] == RECEIVABLE
        for slot in self._amounts:
            if self._options.matched_terms_zero and values[self._status] == MATCHED:
                values[slot] = 0
            elif receivable and self._options.receivables_negative and values[slot]:
                values[slot] = -values[slot]
        return values


def _key(names: tuple[str, ...], codec: RowCodec, values: Values) -> Any:  # noqa: ANN401 - text or number
    parts = [values[codec.index[name]] for name in names]
    return parts[0] if len(parts) == 1 else stored_key(codec.entity, parts)


def _guid(text: str) -> str:
    return text.removeprefix("guid").strip("'").lower()
