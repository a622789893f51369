"""Bank statements: receipts and payments, whole, in parts, short of some cents, or from who knows which invoice.

Each line of a statement gives two transaction lines: one on the bank account (number 0), one against it with the
number of the statement's line. Differences follow as pairs behind those, in the same entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exact_online_sandbox.books import ledger
from exact_online_sandbox.books.ledger import Books, Entry, PostedLine, Posting, cents
from exact_online_sandbox.books.masterdata import Account, Relation
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.terms import Debt, Term, open_term
from exact_online_sandbox.books.timeline import business_date

CHARGES_SHARE = 0.15
"""Share of the statements on which the bank charges its costs."""
PART_SHARE, SHORT_SHARE, UNKNOWN_SHARE = 0.1, 0.05, 0.05
"""Shares of the payments that pay a part, that lack some cents, and of which nobody sees at first what they pay."""
LEAST_IN_PARTS = 100.0
MOST_SHORT = 2.5

WHOLE, PART, SHORT, UNKNOWN = "whole", "part", "short", "unknown"
"""How a debt is paid."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of a debt."""

    term: Term
    how: str
    share: float = 1.0
    """Share of what is left that a part payment pays."""


@dataclass(frozen=True, slots=True)
class Advance:
    """A payment by a customer without any invoice; `amount` is positive."""

    relation: Relation
    amount: float


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A receipt or payment whose invoice nobody has found yet; `term` is the invoice's, None where there is none."""

    term: Term | None
    payment: Term


@dataclass(frozen=True, slots=True)
class Statement:
    """What a booked statement left behind."""

    entry: str
    closing: float
    rows: int
    rests: tuple[Term, ...]
    """What is left of debts that were paid in part."""
    unmatched: tuple[Unmatched, ...]


def draw_payment(books: Books, term: Term) -> Payment:
    """How somebody pays a debt."""
    dice, chance = books.dice, books.dice.random()
    domestic = term.debt.currency == books.data.company.tables.currency
    if chance < PART_SHARE:
        whole = Payment(term, PART, dice.uniform(0.25, 0.75))
        return whole if term.amount >= LEAST_IN_PARTS else Payment(term, WHOLE)
    if chance < PART_SHARE + SHORT_SHARE and domestic and term.amount > 10 * MOST_SHORT:
        return Payment(term, SHORT)
    if chance > 1 - UNKNOWN_SHARE and domestic and term.amount > 0:
        return Payment(term, UNKNOWN)
    return Payment(term, WHOLE)


def match(books: Books, unmatched: Unmatched, at: datetime) -> None:
    """Match a receipt or payment with its invoice after all: the old transaction lines learn what they paid."""
    term, payment = unmatched.term, unmatched.payment
    if term is None:
        raise ValueError("there is no invoice to match a payment in advance with")
    on, reference = max(term.debt.day, payment.debt.day), payment.debt.entry[:8]
    known: Row = {"InvoiceNumber": term.debt.invoice_number, "YourRef": term.debt.your_ref}
    term.matched(books, on, at, reference, payment.debt.line).put(books.sink, at)
    settled = payment.matched(books, on, at, reference, term.debt.line)
    settled.row.update(known)
    settled.put_term(books.sink, at)
    settled.line.changed(at, known).put(books.sink)


def book_statement(
    books: Books, payments: Sequence[Payment], advances: Sequence[Advance], opening: float, at: datetime
) -> Statement:
    """Record and post a statement with these payments; each is converted at the rate of the day.

    Args:
        books: where to.
        payments: what is paid, of which debt.
        advances: what customers pay in advance.
        opening: balance of the account before.
        at: when the statement is read in; its date is the local one.
    """
    return _Booking(books, at).book(payments, advances, opening)


@dataclass(slots=True)
class _Booking:
    """The booking of one statement."""

    books: Books
    at: datetime
    entry: Entry = field(init=False)
    _rows: int = 0
    _closing: float = 0.0
    _line: int = 0
    _extra: int = 0
    _bank_rows: list[Row] = field(default_factory=list)
    _rests: list[Term] = field(default_factory=list)
    _unmatched: list[Unmatched] = field(default_factory=list)

    def __post_init__(self) -> None:
        books, day = self.books, business_date(self.at)
        number = books.new_entry_number("bank", day)
        self.entry = Entry(
            id=books.dice.guid(),
            number=number,
            journal=books.data.journals["bank"],
            type=ledger.CASH_FLOW,
            day=day,
            at=self.at,
            stamp=books.stamp(self.at),
            description=f"{books.word('statement')} {number}",
            currency=books.data.company.tables.currency,
            rate=1.0,
            extras={"InvoiceNumber": 0},
            status=books.entry_status(self.at),
        )

    def book(self, payments: Sequence[Payment], advances: Sequence[Advance], opening: float) -> Statement:
        """Book everything."""
        books, entry = self.books, self.entry
        self._closing = opening
        charged = books.dice.chance(CHARGES_SHARE)
        self._extra = len(payments) + len(advances) + charged
        for payment in payments:
            self._pay(payment)
        for advance in advances:
            self._receive_advance(advance)
        if charged:
            account = books.data.accounts["bank_charges"]
            charge = cents(books.dice.uniform(0.5, 30.0))
            piece = {"Description": books.word("bank charges"), **books.cost_pieces(account)}
            self._pair(account, charge, piece).put(books.sink)
        year, period = books.fiscal(entry.day)
        header: Row = {
            "EntryID": entry.id,
            "ClosingBalanceFC": self._closing,
            "Created": self.at,
            "Currency": entry.currency,
            "Division": books.data.company.division,
            "EntryNumber": entry.number,
            "FinancialPeriod": period,
            "FinancialYear": year,
            **entry.journal.piece,
            "Modified": self.at,
            "OpeningBalanceFC": opening,
            "Status": entry.status,
            "StatusDescription": books.status_word(entry.status),
        }
        books.sink.put("financialtransaction/BankEntries", header, self.at)
        for row in self._bank_rows:
            books.sink.put("financialtransaction/BankEntryLines", row, self.at)
        return Statement(entry.id, self._closing, self._rows, tuple(self._rests), tuple(self._unmatched))

    def _pay(self, payment: Payment) -> None:
        books, term = self.books, payment.term
        debt = term.debt
        sign = 1 if debt.receivable else -1
        if payment.how == PART:
            amount_fc = cents(term.amount_fc * payment.share)
            part = cents(amount_fc * debt.rate) if debt.rate != 1.0 else amount_fc
            term, rest = term.part(books, part, amount_fc)
            self._rests.append(rest)
        rate = books.data.rate(debt.currency, self.entry.day)
        paid = term.amount if debt.rate == 1.0 else cents(term.amount_fc * rate)
        if payment.how == SHORT:
            paid = cents(paid - cents(books.dice.uniform(0.01, MOST_SHORT)))
        description = f"{books.word('payment')} {debt.description}"
        if payment.how == UNKNOWN:
            line = self._pair(debt.account, -sign * paid, self._unknown_piece(debt.relation))
            self._unmatched.append(Unmatched(term, self._paid(debt, line, paid, ledger.CASH_FLOW, known=False)))
            return
        line = self._pair(debt.account, -sign * paid, {**_references(debt), "Description": description})
        line = line.changed(self.at, {"OffsetID": debt.line})
        matched = [(line, paid, ledger.CASH_FLOW)]
        difference = cents(term.amount - paid)
        if difference:
            kind = ledger.PAYMENT_DIFFERENCE if payment.how == SHORT else ledger.EXCHANGE_DIFFERENCE
            word = "payment difference" if payment.how == SHORT else "exchange difference"
            piece = {**_references(debt), "Description": f"{books.word(word)} {debt.description}"}
            matched.append((self._difference(debt, sign * difference, kind, piece), difference, kind))
        reference = self.entry.id[:8]
        for posted, amount, kind in matched:
            own = self._paid(debt, posted, amount, kind, known=True)
            own.matched(books, self.entry.day, self.at, reference, debt.line).put(books.sink, self.at)
        settled = term.matched(books, self.entry.day, self.at, reference, line.id)
        if payment.how == PART:
            # The rest goes on with the transaction line as it is now.
            settled.put_term(books.sink, self.at)
            self._rests[-1] = Term(debt, self._rests[-1].row, settled.line)
        else:
            settled.put(books.sink, self.at)

    def _receive_advance(self, advance: Advance) -> None:
        books = self.books
        account = books.data.accounts["receivable"]
        piece = self._unknown_piece(advance.relation, "advance")
        line = self._pair(account, -advance.amount, piece)
        debt = Debt(
            receivable=True,
            entry=self.entry.id,
            line=line.id,
            journal=self.entry.journal,
            entry_number=self.entry.number,
            invoice_number=0,
            relation=advance.relation,
            account=account,
            amount=-advance.amount,
            amount_fc=-advance.amount,
            currency=self.entry.currency,
            rate=1.0,
            day=self.entry.day,
            due=self.entry.day,
            type=ledger.CASH_FLOW,
            status=self.entry.status,
            description=str(piece["Description"]),
            payment_reference=None,
            your_ref=None,
            order_number=None,
        )
        self._unmatched.append(Unmatched(None, open_term(books, debt, line, self.at)))

    def _unknown_piece(self, relation: Relation, word: str = "unknown receipt") -> Row:
        return {**relation.piece, "Description": f"{self.books.word(word)} {relation.name.strip()}"}

    def _paid(self, debt: Debt, line: PostedLine, amount: float, kind: int, *, known: bool) -> Term:
        """The term of a payment: it bears the other sign."""
        paid = Debt(
            receivable=debt.receivable,
            entry=self.entry.id,
            line=line.id,
            journal=self.entry.journal,
            entry_number=self.entry.number,
            invoice_number=debt.invoice_number if known else 0,
            relation=debt.relation,
            account=debt.account,
            amount=-amount,
            amount_fc=-amount if kind != ledger.EXCHANGE_DIFFERENCE else 0.0,
            currency=self.entry.currency,
            rate=1.0,
            day=self.entry.day,
            due=self.entry.day,
            type=kind,
            status=self.entry.status,
            description=str(line.row["Description"]),
            payment_reference=debt.payment_reference if known else None,
            your_ref=debt.your_ref if known else None,
            order_number=None,
        )
        return open_term(self.books, paid, line, self.at)

    def _pair(self, account: Account, amount: float, piece: Row) -> PostedLine:
        """A line of the statement: put its line on the bank account; the other one is for the caller to put.

        Args:
            account: what the bank account is booked against.
            amount: what is booked there, debit positive.
            piece: further columns.
        """
        books = self.books
        self._line += 1
        amount = cents(amount)
        described = {"Description": piece["Description"]}
        (bank,) = books.post_lines(
            self.entry, [Posting(books.data.accounts["bank"], cents(-amount), cents(-amount), described, 0)], at=self.at
        )
        posting = Posting(account, amount, amount, {**piece, "OffsetID": bank.id}, self._line)
        line = books.line_of(self.entry, posting, self.at)
        self._rows += 2
        self._closing = cents(self._closing - amount)
        self._bank_rows.append(self._bank_row(line, posting))
        return line

    def _difference(self, debt: Debt, amount: float, kind: int, piece: Row) -> PostedLine:
        """What was owed and not paid: off the control account, to where differences go."""
        books, accounts = self.books, self.books.data.accounts
        amount_fc = 0.0 if kind == ledger.EXCHANGE_DIFFERENCE else amount
        self._extra += 2
        off = Posting(
            debt.account,
            cents(-amount),
            cents(-amount_fc),
            {**piece, "OffsetID": debt.line, "Type": kind},
            self._extra - 1,
        )
        line = books.line_of(self.entry, off, self.at)
        account = accounts["differences"]
        to = {**piece, **books.cost_pieces(account), "OffsetID": line.id, "Type": kind}
        books.post_lines(self.entry, [Posting(account, cents(amount), cents(amount_fc), to, self._extra)], at=self.at)
        self._rows += 2
        return line

    def _bank_row(self, line: PostedLine, posting: Posting) -> Row:
        shared = (
            "Account",
            "AccountCode",
            "AccountName",
            "CostCenter",
            "CostCenterDescription",
            "CostUnit",
            "CostUnitDescription",
            "Description",
            "OffsetID",
        )
        return {
            "ID": line.id,
            **self.entry.stamp,
            **posting.account.piece,
            **{name: posting.piece[name] for name in shared if name in posting.piece},
            # A receipt is positive here, while the ledger credits the customer.
            "AmountDC": cents(-posting.amount),
            "AmountFC": cents(-posting.amount_fc),
            "AmountVATFC": 0.0,
            "Date": self.entry.day,
            "EntryID": self.entry.id,
            "EntryNumber": self.entry.number,
            "ExchangeRate": 1.0,
            "LineNumber": self._line,
            "OurRef": posting.piece.get("InvoiceNumber"),
            "Quantity": 0.0,
        }


def _references(debt: Debt) -> Row:
    return {
        **debt.relation.piece,
        "InvoiceNumber": debt.invoice_number,
        "PaymentReference": debt.payment_reference,
        "YourRef": debt.your_ref,
    }
