"""Bank statements: they settle what is to be received and paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exact_online_sandbox.books import ledger
from exact_online_sandbox.books.ledger import Books, Entry, Posting, cents
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.terms import Term
from exact_online_sandbox.books.timeline import business_date

CHARGES_SHARE = 0.15
"""Share of the statements on which the bank charges its costs."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a booked statement left behind."""

    entry: str
    closing: float
    rows: int


def book_statement(books: Books, terms: Sequence[Term], opening: float, at: datetime) -> Statement:
    """Record and post a statement that pays these terms, in full and at the rate they were booked at.

    Args:
        books: where to.
        terms: at least one.
        opening: balance of the account before.
        at: when the statement is read in; its date is the local one.
    """
    data, day = books.data, business_date(at)
    entry_id, number, stamp = books.dice.guid(), books.new_entry_number("bank", day), books.stamp(at)
    currency, journal = data.company.tables.currency, data.journals["bank"]
    postings, rows = [], []
    for term in terms:
        sign = -1 if term.debt.receivable else 1
        amount = cents(sign * term.debt.amount)
        postings.append(Posting(term.debt.account, amount, amount, _piece(books, term)))
    if books.dice.chance(CHARGES_SHARE):
        account = data.accounts["bank_charges"]
        charge = cents(books.dice.uniform(0.5, 30.0))
        piece = {"Description": books.word("bank charges"), **books.cost_pieces(account)}
        postings.append(Posting(account, charge, charge, piece))
    for line_number, posting in enumerate(postings, 1):
        rows.append(_line_row(books, entry_id, number, line_number, posting, stamp, day))
    closing = cents(opening - sum(posting.amount for posting in postings))
    description = f"{books.word('statement')} {number}"
    books.sink.put(
        "financialtransaction/BankEntries",
        {
            "EntryID": entry_id,
            "ClosingBalanceFC": closing,
            "Created": at,
            "Currency": currency,
            "Division": data.company.division,
            "EntryNumber": number,
            "FinancialPeriod": day.month,
            "FinancialYear": day.year,
            **journal.piece,
            "Modified": at,
            "OpeningBalanceFC": opening,
            "Status": ledger.PROCESSED,
            "StatusDescription": books.word("processed"),
        },
        at,
    )
    for row in rows:
        books.sink.put("financialtransaction/BankEntryLines", row, at)
    entry = Entry(
        entry_id,
        number,
        journal,
        ledger.CASH_FLOW,
        day,
        at,
        stamp,
        description,
        currency,
        1.0,
        extras={"InvoiceNumber": 0},
    )
    _, count = books.post(entry, postings, against=data.accounts["bank"])
    return Statement(entry_id, closing, count)


def _piece(books: Books, term: Term) -> Row:
    debt = term.debt
    return {
        **debt.relation.piece,
        "Description": f"{books.word('payment')} {debt.description}",
        "InvoiceNumber": debt.invoice_number,
        "OffsetID": debt.header_line,
        "PaymentReference": debt.payment_reference,
        "YourRef": debt.your_ref,
    }


def _line_row(
    books: Books, entry_id: str, number: int, line_number: int, posting: Posting, stamp: Row, day: datetime
) -> Row:
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
        "ID": books.dice.guid(),
        **stamp,
        **posting.account.piece,
        **{name: posting.piece[name] for name in shared if name in posting.piece},
        # A receipt is positive here, while the ledger credits the customer.
        "AmountDC": cents(-posting.amount),
        "AmountFC": cents(-posting.amount_fc),
        "AmountVATFC": 0.0,
        "Date": day,
        "EntryID": entry_id,
        "EntryNumber": number,
        "ExchangeRate": 1.0,
        "LineNumber": line_number,
        "OurRef": posting.piece.get("InvoiceNumber"),
        "Quantity": 0.0,
    }
