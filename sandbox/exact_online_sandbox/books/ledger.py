"""Posting: every document becomes an entry of transaction lines that balance."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import add

from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.masterdata import Account, Journal, Masterdata, Relation, Vat
from exact_online_sandbox.books.outbox import Row, Sink

OPENING, SALES, SALES_CREDIT, PURCHASE, PURCHASE_CREDIT, CASH_FLOW, DEPRECIATION, OTHER = 10, 20, 21, 30, 31, 40, 70, 90
"""Kinds of entry (TransactionLines.Type)."""
OPEN, PROCESSED = 20, 50
"""States of an entry (TransactionLines.Status)."""
NOISE = 0.3
"""Share of totals that are left as the sum of doubles came out: 120.99999999999999 and the like."""
REVISITED_SHARE, LONGEST_REVISIT = 0.4, timedelta(days=200)
TRANSACTION_LINES = "financialtransaction/TransactionLines"


def cents(amount: float) -> float:
    """The amount rounded to cents, never minus zero."""
    return round(amount, 2) + 0.0


@dataclass(slots=True)
class Numbers:
    """Running numbers: of entries per journal and year, of orders per kind."""

    entries: dict[tuple[str, int], int] = field(default_factory=dict)
    orders: dict[str, int] = field(default_factory=dict)

    def entry(self, journal: str, year: int) -> int:
        """The next entry number: two digits of the year, the journal's code and a running number."""
        number = self.entries[journal, year] = self.entries.get((journal, year), 0) + 1
        return int(f"{year % 100}{journal}{number:04d}")

    def order(self, kind: str) -> int:
        """The next order number."""
        number = self.orders[kind] = self.orders.get(kind, 0) + 1
        return number

    def seen(self, journal: str, year: int, entry_number: int) -> None:
        """Go on behind an entry number that exists already."""
        running = int(str(entry_number)[len(f"{year % 100}{journal}") :])
        self.entries[journal, year] = max(self.entries.get((journal, year), 0), running)


@dataclass(frozen=True, slots=True)
class Entry:
    """What all lines of an entry have in common."""

    id: str
    number: int
    journal: Journal
    type: int
    day: datetime
    """Business date; year and period follow from it."""
    at: datetime
    """When it was made."""
    stamp: Row
    description: str
    currency: str
    rate: float
    """Worth of one unit of the currency in the division's currency."""
    relation: Relation | None = None
    extras: Row = field(default_factory=dict)
    """Columns of all lines: due date, invoice number, references."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry: debit positive, credit negative; `amount` in the division's currency."""

    account: Account
    amount: float
    amount_fc: float
    piece: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Books:
    """What every document needs: master data to refer to, chance, numbers, and somewhere to put its rows."""

    data: Masterdata
    dice: Dice
    sink: Sink
    numbers: Numbers
    revisits: dict[str, list[datetime]] = field(default_factory=dict)
    """Instants, ascending, at which somebody opens and saves a document again, by kind of document."""

    def stamp(self, created: datetime, modified: datetime | None = None) -> Row:
        """Who created and changed a row, when, and the division."""
        return self.data.company.stamp(self.dice, created, modified)

    def revisited(self, kind: str, at: datetime) -> datetime:
        """When a document made at this instant was last saved: then, or at one of the revisits of its kind."""
        pool = self.revisits.get(kind)
        if not pool or self.dice.random() > REVISITED_SHARE:
            return at
        index = bisect_right(pool, at)
        if index == len(pool) or pool[index] - at > LONGEST_REVISIT:
            return at
        return pool.pop(index)

    def word(self, name: str) -> str:
        """A word in the company's language."""
        return self.data.company.tables.words[name]

    def new_entry_number(self, role: str, day: datetime) -> int:
        """The next number in the journal with this role."""
        return self.numbers.entry(self.data.journals[role].code, day.year)

    def cost_pieces(self, account: Account) -> Row:
        """Cost center and cost unit for a line on a profit and loss account; nothing for the balance sheet."""
        if not account.profit_and_loss:
            return {}
        return {**self.dice.choice(self.data.cost_centers), **self.dice.choice(self.data.cost_units)}

    def total(self, amounts: Sequence[float]) -> float:
        """The sum of amounts; now and then with the noise that adding doubles leaves."""
        # Not sum(): since Python 3.12 it adds without the noise.
        noisy = reduce(add, amounts, 0.0)
        return noisy if self.dice.random() < NOISE else cents(noisy)

    def post(self, entry: Entry, lines: Sequence[Posting], *, against: Account | None) -> tuple[str, int]:
        """Put the transaction lines of an entry.

        Line 0 is the header: it balances the lines on the account ``against``, or, where there is none (general
        journal), bears no amount because the lines balance among themselves.

        Returns:
            The GUID of line 0 and the number of rows.
        """
        at = self.revisited("entry", entry.at)
        common = {
            **entry.stamp,
            "Modified": at,
            "Currency": entry.currency,
            "Date": entry.day,
            "Description": entry.description,
            "EntryID": entry.id,
            "EntryNumber": entry.number,
            "ExchangeRate": entry.rate,
            "FinancialPeriod": entry.day.month,
            "FinancialYear": entry.day.year,
            **entry.journal.piece,
            "Status": PROCESSED,
            "Type": entry.type,
            **entry.extras,
        }
        if entry.relation is not None:
            common.update(entry.relation.piece)
        guid, put = self.dice.guid, self.sink.put
        header = guid()
        amount, amount_fc = 0.0, 0.0
        if against is not None:
            amount = -self.total([line.amount for line in lines]) + 0.0
            amount_fc = -self.total([line.amount_fc for line in lines]) + 0.0
        put(
            TRANSACTION_LINES,
            {
                "ID": header,
                **common,
                **(against.piece if against else {}),
                "LineNumber": 0,
                "AmountDC": amount,
                "AmountFC": amount_fc,
                "AmountVATBaseFC": 0.0,
                "AmountVATFC": 0.0,
                "Quantity": 0.0,
            },
            at,
        )
        for number, line in enumerate(lines, 1):
            put(
                TRANSACTION_LINES,
                {
                    "ID": guid(),
                    **common,
                    **line.account.piece,
                    "LineNumber": number,
                    "AmountDC": line.amount,
                    "AmountFC": line.amount_fc,
                    **line.piece,
                },
                at,
            )
        return header, len(lines) + 1


def vat_postings(amounts: Sequence[tuple[Vat, float, float]], rate: float, *, sales: bool) -> list[Posting]:
    """One line per VAT code: VAT to pay for sales (credit), VAT to claim for purchases (debit).

    Args:
        amounts: VAT code, base and VAT of the document's lines, in the document's currency.
        rate: worth of one unit of that currency in the division's currency.
        sales: which side.
    """
    by_code: dict[str, tuple[Vat, float, float, float]] = {}
    for vat, base, tax in amounts:
        _, bases, taxes, converted = by_code.get(vat.code, (vat, 0.0, 0.0, 0.0))
        by_code[vat.code] = (vat, bases + base, taxes + tax, converted + cents(tax * rate))
    sign = -1 if sales else 1
    return [
        Posting(
            vat.to_pay if sales else vat.to_claim,
            cents(sign * converted),
            cents(sign * tax),
            {**vat.piece, "AmountVATBaseFC": cents(sign * base), "AmountVATFC": cents(sign * tax)},
        )
        for vat, base, tax, converted in by_code.values()
        if cents(tax)
    ]
