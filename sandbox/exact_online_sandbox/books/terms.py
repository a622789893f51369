"""Payment terms: rows of cashflow/Receivables and Payments, one for what is owed and one for what is paid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from exact_online_sandbox.books.ledger import OPEN, Books, PostedLine, cents
from exact_online_sandbox.books.masterdata import Account, Journal, Relation
from exact_online_sandbox.books.outbox import Row, Sink

RECEIVABLES, PAYMENTS = "cashflow/Receivables", "cashflow/Payments"
FEED = "sync/Cashflow/PaymentTerms"
"""Shows receivables and payments together; an entity of its own because it belongs to neither."""
FEED_LINE_TYPES = {RECEIVABLES: 20, PAYMENTS: 22}
SELECTED, IN_TRANSIT, MATCHED = 30, 40, 50
"""States of a term besides OPEN: chosen for payment, sent to the bank, settled."""
NEVER_PAID_SHARE = 0.07
SELECTED_SHARE = 0.2
"""Share of the open payments that somebody has chosen to pay."""


@dataclass(frozen=True, slots=True)
class Debt:
    """One posted line of a control account: what an invoice leaves to be received or paid, or what was paid.

    Amounts are positive for what is owed, negative for credit notes, receipts and payments.
    """

    receivable: bool
    entry: str
    line: str
    """GUID of the transaction line that carries the amount."""
    journal: Journal
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
    status: int
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
    """What is left of a debt, with its row and its transaction line, on their way to being settled."""

    debt: Debt
    row: dict[str, Any]
    line: PostedLine

    @property
    def amount(self) -> float:
        """What is left in the division's currency."""
        return float(self.row["AmountDC"])

    @property
    def amount_fc(self) -> float:
        """What is left in the debt's currency."""
        return float(self.row["AmountFC"])

    def put(self, sink: Sink, at: datetime) -> None:
        """Send the term and its transaction line on their way."""
        self.put_term(sink, at)
        self.line.put(sink)

    def put_term(self, sink: Sink, at: datetime) -> None:
        """Send the term to where receivables or payments are, and to the feed of both."""
        entity = self.debt.entity
        sink.put(entity, self.row, at)
        paid = self.row["Status"] == MATCHED
        sink.put(FEED, {**self.row, "IsFullyPaid": paid, "LineType": FEED_LINE_TYPES[entity]}, at)

    def part(self, books: Books, amount: float, amount_fc: float) -> tuple[Term, Term]:
        """Split the term: the part that is paid, and a record of its own for the rest."""
        rest, rest_fc = cents(self.amount - amount), cents(self.amount_fc - amount_fc)
        paid = replace(self, row={**self.row, **_amounts(self.debt, amount, amount_fc)})
        own = {"ID": books.dice.guid(), "EntryID": books.dice.guid()}
        return paid, replace(self, row={**self.row, **_amounts(self.debt, rest, rest_fc), **own})

    def matched(self, books: Books, on: datetime, at: datetime, reference: str, with_line: str) -> Term:
        """The term after it was matched.

        Args:
            books: whose.
            on: the latest invoice date among the matched terms.
            at: when it was matched.
            reference: of the payment.
            with_line: the transaction line it was matched with.
        """
        stamp, (year, period) = books.stamp(at), books.fiscal(on)
        changes: Row = {
            **{name: stamp[name] for name in ("Modified", "Modifier", "ModifierFullName")},
            "EndDate": on,
            "EndPeriod": period,
            "EndYear": year,
            "PaymentInformationID" if self.debt.receivable else "CashflowTransactionBatchCode": reference,
            "Status": MATCHED,
        }
        if self.debt.receivable:
            changes.update(IsFullyPaid=True, LastPaymentDate=on, EndToEndID=f"E2E-{self.debt.entry_number}")
        return replace(self, row={**self.row, **changes}, line=self.line.changed(at, {"OffsetID": with_line}))


def _amounts(debt: Debt, amount: float, amount_fc: float) -> Row:
    discount = debt.relation.condition.discount
    return {
        "AmountDC": amount,
        "AmountDiscountDC": amount * discount + 0.0,
        "AmountDiscountFC": amount_fc * discount + 0.0,
        "AmountFC": amount_fc,
    }


def open_term(books: Books, debt: Debt, line: PostedLine, created: datetime) -> Term:
    """The row of an amount that nobody has paid yet, or of a payment that belongs to no invoice yet."""
    relation, condition = debt.relation, debt.relation.condition
    discounted = debt.day + timedelta(days=condition.discount_days) if condition.discount else None
    year, period = books.fiscal(debt.day)
    row: dict[str, Any] = {
        "ID": books.dice.guid(),
        **books.stamp(created),
        **relation.piece,
        **debt.account.piece,
        **debt.journal.short_piece,
        **condition.piece,
        "AccountBankAccountID": relation.bank,
        "AccountBankAccountNumber": relation.bank_number,
        "AccountContact": relation.contact,
        "AccountContactName": relation.contact_name,
        **_amounts(debt, debt.amount, debt.amount_fc),
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
        "TransactionID": debt.line,
        "TransactionIsReversal": False,
        "TransactionReportingPeriod": period,
        "TransactionReportingYear": year,
        "TransactionStatus": debt.status,
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
    return Term(debt, row, line)


def chosen_for_payment(books: Books, term: Term) -> Term:
    """The term as it stands at the end of the books: some open payments are chosen, or at the bank already."""
    if term.debt.receivable or term.debt.amount <= 0 or not books.dice.chance(SELECTED_SHARE):
        return term
    user = books.data.company.users[0]
    changes: Row = {
        "PaymentBatchNumber": 1,
        "PaymentSelected": term.debt.day,
        "PaymentSelector": user.id,
        "PaymentSelectorFullName": user.name,
        "Status": books.dice.choice((SELECTED, IN_TRANSIT)),
    }
    return replace(term, row={**term.row, **changes})


def payment_moment(books: Books, term: Term, posted: datetime) -> datetime | None:
    """When the term will be paid: around its due date, credit notes at once; None for never."""
    dice = books.dice
    if dice.chance(NEVER_PAID_SHARE):
        return None
    if term.debt.amount < 0:
        return posted + timedelta(days=2)
    days = (term.debt.due - term.debt.day).days + dice.gauss(1.5, 6.0)
    return posted + timedelta(days=max(0.2, days))
