"""Amounts to receive and to pay: rows of cashflow/Receivables and Payments, and when they are settled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exact_online_sandbox.books.ledger import OPEN, PROCESSED, Books
from exact_online_sandbox.books.masterdata import Account, Relation
from exact_online_sandbox.books.outbox import Row, Sink

RECEIVABLES, PAYMENTS = "cashflow/Receivables", "cashflow/Payments"
FEED = "sync/Cashflow/PaymentTerms"
"""Shows receivables and payments together; an entity of its own because it belongs to neither."""
FEED_LINE_TYPES = {RECEIVABLES: 20, PAYMENTS: 22}
MATCHED = 50
NEVER_PAID_SHARE = 0.07


@dataclass(frozen=True, slots=True)
class Debt:
    """An amount that one posted invoice leaves to be received or paid; positive in both cases, negative for credit."""

    receivable: bool
    entry: str
    header_line: str
    """GUID of the transaction line that carries the amount."""
    entry_number: int
    invoice_number: int
    relation: Relation
    account: Account
    amount: float
    amount_fc: float
    currency: str
    rate: float
    day: datetime
    due: datetime
    type: int
    description: str
    payment_reference: str | None
    your_ref: str | None
    order_number: int | None

    @property
    def entity(self) -> str:
        """The entity its row belongs to."""
        return RECEIVABLES if self.receivable else PAYMENTS


@dataclass(frozen=True, slots=True)
class Term:
    """A debt with its row, on its way to being settled."""

    debt: Debt
    row: dict[str, Any]


def open_term(books: Books, debt: Debt, created: datetime) -> Term:
    """The row of an amount nobody has paid yet."""
    journal = books.data.journals["sales" if debt.receivable else "purchase"]
    relation, condition = debt.relation, debt.relation.condition
    discounted = debt.day + timedelta(days=condition.discount_days) if condition.discount else None
    row: dict[str, Any] = {
        "ID": books.dice.guid(),
        **books.stamp(created),
        **relation.piece,
        **debt.account.piece,
        **journal.short_piece,
        **condition.piece,
        "AccountBankAccountID": relation.bank,
        "AccountBankAccountNumber": relation.bank_number,
        "AccountContact": relation.contact,
        "AccountContactName": relation.contact_name,
        "AmountDC": debt.amount,
        "AmountDiscountDC": debt.amount * condition.discount + 0.0,
        "AmountDiscountFC": debt.amount_fc * condition.discount + 0.0,
        "AmountFC": debt.amount_fc,
        "BankAccountID": books.data.bank[0],
        "BankAccountNumber": books.data.bank[1],
        "Currency": debt.currency,
        "Description": debt.description,
        "DiscountDueDate": discounted,
        "DueDate": debt.due,
        "EntryDate": debt.day,
        "EntryID": debt.entry,
        "EntryNumber": debt.entry_number,
        "InvoiceDate": debt.day,
        "InvoiceNumber": debt.invoice_number,
        "IsBatchBooking": 0,
        "PaymentDays": condition.days,
        "PaymentDaysDiscount": condition.discount_days,
        "PaymentDiscountPercentage": condition.discount,
        "PaymentMethod": "B",
        "PaymentReference": debt.payment_reference,
        "RateFC": debt.rate,
        "Status": OPEN,
        "TransactionAmountDC": debt.amount,
        "TransactionAmountFC": debt.amount_fc,
        "TransactionDueDate": debt.due,
        "TransactionEntryID": debt.entry,
        "TransactionID": debt.header_line,
        "TransactionIsReversal": False,
        "TransactionReportingPeriod": debt.day.month,
        "TransactionReportingYear": debt.day.year,
        "TransactionStatus": PROCESSED,
        "TransactionType": debt.type,
        "YourRef": debt.your_ref,
    }
    if debt.receivable:
        row.update(
            AccountCountry=relation.country.ljust(3),
            IsFullyPaid=False,
            LastPaymentDate=None,
            OrderNumber=debt.order_number,
        )
    return Term(debt, row)


def put_term(sink: Sink, term: Term, row: Row, at: datetime) -> None:
    """Put a term's row where receivables or payments are, and in the feed of both."""
    sink.put(term.debt.entity, row, at)
    paid = row["Status"] == MATCHED
    sink.put(FEED, {**row, "IsFullyPaid": paid, "LineType": FEED_LINE_TYPES[term.debt.entity]}, at)


def settlement(term: Term, paid_on: datetime, reference: str) -> Row:
    """The columns that change when the term is paid on a business date."""
    changes: Row = {
        "EndDate": paid_on,
        "EndPeriod": paid_on.month,
        "EndYear": paid_on.year,
        "PaymentInformationID" if term.debt.receivable else "CashflowTransactionBatchCode": reference,
        "Status": MATCHED,
    }
    if term.debt.receivable:
        changes.update(IsFullyPaid=True, LastPaymentDate=paid_on, EndToEndID=f"E2E-{term.debt.entry_number}")
    return changes


def payment_moment(books: Books, term: Term, posted: datetime) -> datetime | None:
    """When the term will be paid: around its due date, credit notes at once; None for never."""
    dice = books.dice
    if dice.chance(NEVER_PAID_SHARE):
        return None
    if term.debt.amount < 0:
        return posted + timedelta(days=2)
    days = (term.debt.due - term.debt.day).days + dice.gauss(1.5, 6.0)
    return posted + timedelta(days=max(0.2, days))
