"""Posting: every document becomes an entry of transaction lines that balance."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import add

from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.masterdata import NO_ACCOUNT, Account, Journal, Masterdata, Relation, Vat
from exact_online_sandbox.books.outbox import Row, Sink

OPENING, SALES, SALES_CREDIT, PURCHASE, PURCHASE_CREDIT, CASH_FLOW, OTHER = 10, 20, 21, 30, 31, 40, 90
EXCHANGE_DIFFERENCE, PAYMENT_DIFFERENCE = 82, 83
PERIOD_CLOSING, NET_RESULT, CLOSING_BALANCE, OPENING_NEXT = 310, 326, 327, 328
"""Kinds of entry (TransactionLines.Type)."""
REJECTED, DRAFT, OPEN, PROCESSED = 5, 10, 20, 50
"""States of a document; an entry in the ledger is open or processed (TransactionLines.Status)."""
OPEN_SHARE = 0.35
"""Share of the latest entries that nobody has processed yet."""
VAT_LINE = 9999
"""LineNumber of the lines with an entry's VAT."""
NOISE = 0.3
"""Share of totals that are left as the sum of doubles came out: 120.99999999999999 and the like."""
REVISITED_SHARE, LONGEST_REVISIT = 0.5, timedelta(days=200)
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
    status: int = PROCESSED


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry: debit positive, credit negative; `amount` in the division's currency."""

    account: Account
    amount: float
    amount_fc: float
    piece: Row = field(default_factory=dict)
    """Further columns; they win over those of the entry."""
    number: int | None = None
    """LineNumber; None for the next one."""


@dataclass(frozen=True, slots=True)
class PostedLine:
    """A transaction line that waits to be put, because matching it changes it once more."""

    row: Row
    at: datetime
    """When it last changed."""

    @property
    def id(self) -> str:
        """Its GUID."""
        return str(self.row["ID"])

    def put(self, sink: Sink) -> None:
        """Send it on its way."""
        sink.put(TRANSACTION_LINES, self.row, self.at)

    def changed(self, at: datetime, changes: Row) -> PostedLine:
        """The line after a change."""
        at = max(self.at, at)
        return PostedLine({**self.row, **changes, "Modified": at}, at)


@dataclass(frozen=True, slots=True)
class Books:
    """What every document needs: master data to refer to, chance, numbers, and somewhere to put its rows."""

    data: Masterdata
    dice: Dice
    sink: Sink
    numbers: Numbers
    revisits: dict[str, list[datetime]] = field(default_factory=dict)
    """Instants, ascending, at which somebody opens and saves a document again, by kind of document."""
    open_from: datetime | None = None
    """Some entries made from this instant on are still open."""
    balances: dict[tuple[int, str], int] = field(default_factory=dict)
    """What was posted in a financial year on an account (by code), in cents."""

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

    def fiscal(self, day: datetime) -> tuple[int, int]:
        """Financial year and period of a business date."""
        return self.data.company.fiscal(day)

    def new_entry_number(self, role: str, day: datetime) -> int:
        """The next number in the journal with this role."""
        return self.numbers.entry(self.data.journals[role].code, self.fiscal(day)[0])

    def entry_status(self, at: datetime) -> int:
        """State of an entry made at this instant: those of late may still be open."""
        late = self.open_from is not None and at >= self.open_from
        return OPEN if late and self.dice.chance(OPEN_SHARE) else PROCESSED

    def status_word(self, status: int) -> str:
        """The description of a state."""
        return self.word({REJECTED: "rejected", DRAFT: "draft", OPEN: "open", PROCESSED: "processed"}[status])

    def cost_pieces(self, account: Account) -> Row:
        """Cost center and cost unit, if any, for a line on a profit and loss account; nothing for the balance sheet."""
        if not account.profit_and_loss:
            return {}
        carriers = (self.data.cost_centers, self.data.cost_units)
        return {name: value for pieces in carriers if pieces for name, value in self.dice.choice(pieces).items()}

    def total(self, amounts: Sequence[float]) -> float:
        """The sum of amounts; now and then with the noise that adding doubles leaves."""
        # Not sum(): since Python 3.12 it adds without the noise.
        noisy = reduce(add, amounts, 0.0)
        return noisy if self.dice.random() < NOISE else cents(noisy)

    def post(self, entry: Entry, lines: Sequence[Posting], *, against: Account) -> tuple[PostedLine, int]:
        """Put the transaction lines of a sales or purchase entry, except line 0.

        Line 0 balances the lines on the account ``against``. It is for the caller to put, as matching changes it.

        Returns:
            Line 0 and the number of rows, line 0 included.
        """
        at = self.revisited("entry", entry.at)
        amount = -self.total([line.amount for line in lines]) + 0.0
        amount_fc = -self.total([line.amount_fc for line in lines]) + 0.0
        header = self._line(entry, at, Posting(against, amount, amount_fc, dict(_NO_VAT), 0), 0)
        self.post_lines(entry, lines, at=at, offset=header.id)
        return header, len(lines) + 1

    def post_journal(self, entry: Entry, lines: Sequence[Posting]) -> int:
        """Put the transaction lines of a general journal entry: line 0 bears no account, the others balance.

        Returns:
            The number of rows.
        """
        at = self.revisited("entry", entry.at)
        self._line(entry, at, Posting(NO_ACCOUNT, 0.0, 0.0, dict(_NO_VAT), 0), 0).put(self.sink)
        self.post_lines(entry, lines, at=at)
        return len(lines) + 1

    def post_lines(
        self, entry: Entry, lines: Sequence[Posting], *, at: datetime, offset: str | None = None
    ) -> list[PostedLine]:
        """Put transaction lines that have a number, or else get the next one.

        Args:
            entry: their entry.
            lines: what they hold.
            at: when they last changed.
            offset: the line on which they hang.
        """
        posted = []
        for number, line in enumerate(lines, 1):
            made = self._line(entry, at, line, number, offset)
            made.put(self.sink)
            posted.append(made)
        return posted

    def line_of(self, entry: Entry, line: Posting, at: datetime) -> PostedLine:
        """A numbered transaction line of an entry, which the caller puts."""
        return self._line(entry, at, line, 0)

    def _line(self, entry: Entry, at: datetime, line: Posting, number: int, offset: str | None = None) -> PostedLine:
        year, period = self.fiscal(entry.day)
        if line.account.code:
            key = (year, line.account.code)
            self.balances[key] = self.balances.get(key, 0) + round(line.amount * 100)
        row: Row = {
            "ID": self.dice.guid(),
            **entry.stamp,
            "Modified": at,
            "Currency": entry.currency,
            "Date": entry.day,
            "Description": entry.description,
            "EntryID": entry.id,
            "EntryNumber": entry.number,
            "ExchangeRate": entry.rate,
            "FinancialPeriod": period,
            "FinancialYear": year,
            **entry.journal.piece,
            "OffsetID": offset,
            "Status": entry.status,
            "Type": entry.type,
            **entry.extras,
            **(entry.relation.piece if entry.relation is not None else {}),
            **line.account.piece,
            "LineNumber": number if line.number is None else line.number,
            "AmountDC": line.amount,
            "AmountFC": line.amount_fc,
            **line.piece,
        }
        return PostedLine(row, at)


_NO_VAT: Row = {"AmountVATBaseFC": 0.0, "AmountVATFC": 0.0, "Quantity": 0.0}


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
            VAT_LINE,
        )
        for vat, base, tax, converted in by_code.values()
        if cents(tax)
    ]
