"""What check figures are made of: the movements of the ledger, and the payment terms that are still open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from exact_online_sandbox.entities import entities
from exact_online_sandbox.rows import Value, Values
from exact_online_sandbox.store import Store
from exact_online_sandbox.wallclock import naive_from_ms

LINES, TERMS = "financialtransaction/TransactionLines", "sync/Cashflow/PaymentTerms"
RECEIVABLE, PAYABLE = 20, 22
"""Kinds of payment terms (PaymentTerms.LineType)."""
MATCHED = 50
_CHUNK = 5_000
_LINE = (
    "FinancialYear", "FinancialPeriod", "GLAccount", "CostCenter", "CostUnit", "Type", "Status", "AmountDC",
)  # fmt: skip
_TERM = (
    "LineType", "ID", "TransactionID", "Account", "AccountCode", "AccountName", "AmountDC", "AmountFC", "Currency",
    "Status", "Description", "DueDate", "EntryNumber", "InvoiceDate", "InvoiceNumber", "Journal", "JournalDescription",
    "YourRef", "TransactionType",
)  # fmt: skip


class Group(NamedTuple):
    """What the ledger is grouped by."""

    year: int
    period: int
    account: str
    cost_center: str | None
    cost_unit: str | None
    type: int
    status: int


@dataclass(slots=True)
class Sums:
    """Amounts of a group of lines, in cents of the division's currency; credit is positive."""

    debit: int = 0
    credit: int = 0
    count: int = 0

    def add(self, amount: int, count: int = 1) -> None:
        """Add an amount, debit positive."""
        if amount < 0:
            self.credit -= amount
        else:
            self.debit += amount
        self.count += count

    @property
    def net(self) -> int:
        """Debit less credit."""
        return self.debit - self.credit


@dataclass(frozen=True, slots=True)
class GLAccount:
    """An account of the chart."""

    id: str
    code: str
    description: str
    type: int
    balance_type: str
    """B or W."""
    side: str
    """D or C."""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """A payment term that is not matched. Amounts are in cents, with the ledger's sign: debit positive."""

    kind: int
    """RECEIVABLE or PAYABLE."""
    amount: int
    amount_fc: int
    term: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Period:
    """A period of a financial year."""

    year: int
    period: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """The books of one division, added up."""

    division: int
    currency: str
    accounts: dict[str, GLAccount]
    movements: dict[Group, Sums]
    open_items: tuple[OpenItem, ...]
    periods: tuple[Period, ...]
    names: dict[tuple[str, str], str]
    """Descriptions by kind (CostCenter, CostUnit) and code."""

    def period_of(self, day: datetime) -> Period | None:
        """The period of a date; the last one begun for a date behind all; None without periods."""
        begun = [one for one in self.periods if one.first <= day]
        return max(begun, key=lambda one: one.first, default=None)


def summarise(store: Store, division: int) -> Summary:
    """Add up the books of a division as they stand."""
    accounts = {
        row["ID"]: GLAccount(
            row["ID"], row["Code"], row["Description"], row["Type"] or 0, row["BalanceType"], row["BalanceSide"]
        )
        for row in store.rows(division, "financial/GLAccounts")
    }
    movements: dict[Group, Sums] = {}
    for year, period, account, center, unit, kind, status, amount in _fields(store, division, LINES, _LINE):
        if account is None:
            continue
        group = Group(year or 0, period or 0, account, center, unit, kind, status or 0)
        sums = movements.get(group)
        if sums is None:
            sums = movements[group] = Sums()
        sums.add(_cents(amount))
    names = {
        (kind, row["Code"]): row["Description"]
        for kind, entity in (("CostCenter", "hrm/Costcenters"), ("CostUnit", "hrm/Costunits"))
        for row in store.rows(division, entity)
    }
    periods = tuple(
        Period(row["FinYear"], row["FinPeriod"], row["StartDate"], row["EndDate"])
        for row in store.rows(division, "financial/FinancialPeriods")
    )
    currency = (store.division(division)["Currency"] or "").strip()
    return Summary(division, currency, accounts, movements, tuple(_open_items(store, division)), periods, names)


def _open_items(store: Store, division: int) -> Iterator[OpenItem]:
    terms = [dict(zip(_TERM, found, strict=True)) for found in _fields(store, division, TERMS, _TERM)]
    terms = [term for term in terms if term["Status"] != MATCHED]
    codec = store.codec(LINES)
    slot = codec.index["AmountDC"]
    bodies = store.bodies(division, LINES, {term["TransactionID"] for term in terms} - {None})
    for term in terms:
        body = bodies.get(term["TransactionID"])
        booked = codec.load(body)[slot] if body is not None else 0
        # The ledger tells the side, the term how much of its line is open.
        sign = -1 if booked < 0 else 1
        for name in ("DueDate", "InvoiceDate"):
            term[name] = None if term[name] is None else naive_from_ms(term[name])
        yield OpenItem(
            term["LineType"], sign * abs(_cents(term["AmountDC"])), sign * abs(_cents(term["AmountFC"])), term
        )


def _fields(store: Store, division: int, entity: str, names: tuple[str, ...]) -> Iterator[list[Any]]:
    """Some columns of all rows of an entity, as they are kept."""
    codec = store.codec(entities()[entity].name)
    slots = [codec.index[name] for name in names]
    after = None
    while True:
        page = store.select(division, entity, after=after, limit=_CHUNK)
        for row in page:
            values: Values = codec.load(row.body)
            yield [values[slot] for slot in slots]
        if len(page) < _CHUNK:
            return
        after = page[-1].key


def _cents(amount: float | None) -> int:
    return round((amount or 0.0) * 100)
