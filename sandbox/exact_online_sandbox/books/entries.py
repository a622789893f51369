"""Entries without goods: cost invoices in the purchase journal, odd sales in the sales journal."""

from __future__ import annotations

from datetime import datetime, timedelta

from exact_online_sandbox.books import ledger
from exact_online_sandbox.books.entry_rows import Document, EntryLine, Posted, post_entry, put_entry
from exact_online_sandbox.books.ledger import Books, cents
from exact_online_sandbox.books.masterdata import Account, Relation, Vat
from exact_online_sandbox.books.timeline import business_date

CREDIT_SHARE = 0.05


def enter_purchase(books: Books, at: datetime) -> Posted:
    """Record and post an invoice for costs: rent, energy, office supplies ..."""
    document = _purchase(books, at, books.entry_status(at))
    put_entry(books, document, at)
    return post_entry(books, document, at, document.id)


def reject_purchase(books: Books, at: datetime) -> None:
    """Record an invoice for costs that somebody rejected: it is in no ledger."""
    put_entry(books, _purchase(books, at, ledger.REJECTED), at)


def enter_sale(books: Books, at: datetime) -> Posted:
    """Record and post a sale that has no items."""
    dice, data = books.dice, books.data
    sign = -1 if dice.chance(CREDIT_SHARE) else 1
    account = data.accounts["revenue_services"]
    amount = cents(sign * dice.lognormvariate(5.0, 1.3))
    line = _line(books, 1, account, books.word("entry"), amount, data.vats["high"])
    customer = dice.choice([one for one in data.customers if not one.abroad] or data.customers)
    document = _document(books, customer, (line,), at, sales=True, status=books.entry_status(at))
    put_entry(books, document, at)
    return post_entry(books, document, at, document.id)


def _purchase(books: Books, at: datetime, status: int) -> Document:
    dice, data = books.dice, books.data
    lines = []
    sign = -1 if dice.chance(CREDIT_SHARE) else 1
    for number in range(1, 2 + min(4, int(dice.expovariate(1.1)))):
        role, description = dice.choice(data.company.tables.expenses)
        amount = cents(sign * dice.lognormvariate(4.6, 1.2))
        vat = data.vats["zero" if role in ("insurance", "travel") else "high"]
        account = data.accounts[role]
        lines.append(_line(books, number, account, description, amount, vat))
    supplier = dice.choice(
        [one for one in data.suppliers if one.currency == data.company.tables.currency] or data.suppliers
    )
    return _document(books, supplier, tuple(lines), at, sales=False, status=status)


def _line(books: Books, number: int, account: Account, description: str, amount: float, vat: Vat) -> EntryLine:
    costs, tax = books.cost_pieces(account), cents(amount * vat.rate)
    return EntryLine(books.dice.guid(), number, account, description, amount, vat, tax, costs)


def _document(
    books: Books, relation: Relation, lines: tuple[EntryLine, ...], at: datetime, *, sales: bool, status: int
) -> Document:
    day, credit = business_date(at), lines[0].amount < 0
    if sales:
        kind = ledger.SALES_CREDIT if credit else ledger.SALES
    else:
        kind = ledger.PURCHASE_CREDIT if credit else ledger.PURCHASE
    number = books.new_entry_number("sales" if sales else "purchase", day)
    return Document(
        sales=sales,
        id=books.dice.guid(),
        number=number,
        type=kind,
        relation=relation,
        lines=lines,
        day=day,
        due=day + timedelta(days=relation.condition.days),
        rate=1.0,
        description=lines[0].description,
        payment_reference=f"{number:016d}",
        your_ref=f"{books.dice.digits(4)}-{books.dice.digits(3)}",
        status=status,
    )
