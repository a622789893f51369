"""Entries without goods: cost invoices in the purchase journal, odd sales in the sales journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from exact_online_sandbox.books import ledger
from exact_online_sandbox.books.ledger import Books, Entry, Posting, cents, vat_postings
from exact_online_sandbox.books.masterdata import Account, Relation, Vat
from exact_online_sandbox.books.order_to_cash import Posted
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.terms import Debt, open_term
from exact_online_sandbox.books.timeline import business_date

CREDIT_SHARE = 0.05
TYPE_WORDS = {
    ledger.SALES: "sales entry",
    ledger.SALES_CREDIT: "sales credit note",
    ledger.PURCHASE: "purchase entry",
    ledger.PURCHASE_CREDIT: "purchase credit note",
}


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One line: amounts in the division's currency without VAT, negative for credit."""

    id: str
    number: int
    account: Account
    description: str
    amount: float
    vat: Vat
    vat_amount: float
    costs: Row


def enter_purchase(books: Books, at: datetime) -> Posted:
    """Record and post an invoice for costs: rent, energy, office supplies ..."""
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
    return _enter(books, supplier, tuple(lines), at, sales=False)


def enter_sale(books: Books, at: datetime) -> Posted:
    """Record and post a sale that has no items."""
    dice, data = books.dice, books.data
    sign = -1 if dice.chance(CREDIT_SHARE) else 1
    account = data.accounts["revenue_services"]
    amount = cents(sign * dice.lognormvariate(5.0, 1.3))
    line = _line(books, 1, account, books.word("entry"), amount, data.vats["high"])
    customer = dice.choice([one for one in data.customers if not one.abroad] or data.customers)
    return _enter(books, customer, (line,), at, sales=True)


def _line(books: Books, number: int, account: Account, description: str, amount: float, vat: Vat) -> EntryLine:
    costs, tax = books.cost_pieces(account), cents(amount * vat.rate)
    return EntryLine(books.dice.guid(), number, account, description, amount, vat, tax, costs)


def _enter(books: Books, relation: Relation, lines: tuple[EntryLine, ...], at: datetime, *, sales: bool) -> Posted:
    data, day = books.data, business_date(at)
    role, control = ("sales", "receivable") if sales else ("purchase", "payable")
    entry_id, number, stamp = books.dice.guid(), books.new_entry_number(role, day), books.stamp(at)
    credit = lines[0].amount < 0
    kind = (
        (ledger.SALES_CREDIT if credit else ledger.SALES)
        if sales
        else (ledger.PURCHASE_CREDIT if credit else ledger.PURCHASE)
    )
    vat_total = books.total([line.vat_amount for line in lines])
    gross = books.total([line.amount for line in lines] + [line.vat_amount for line in lines])
    due = day + timedelta(days=relation.condition.days)
    your_ref = f"{books.dice.digits(4)}-{books.dice.digits(3)}"
    currency, journal = data.company.tables.currency, data.journals[role]
    header: Row = {
        "EntryID": entry_id,
        **stamp,
        ("Customer" if sales else "Supplier"): relation.id,
        ("CustomerName" if sales else "SupplierName"): relation.name,
        "AmountDC": gross,
        "AmountFC": gross,
        "BatchNumber": 0,
        "Currency": currency,
        "Description": lines[0].description,
        "DueDate": due,
        "EntryDate": day,
        "EntryNumber": number,
        "GAccountAmountFC": 0.0,
        "InvoiceNumber": number,
        **journal.short_piece,
        **relation.condition.piece,
        "PaymentConditionPaymentMethod": "B",
        "PaymentReference": f"{number:016d}",
        "Rate": 1.0,
        "ReportingPeriod": day.month,
        "ReportingYear": day.year,
        "Reversal": False,
        "Status": ledger.PROCESSED,
        "StatusDescription": books.word("processed"),
        "Type": kind,
        "TypeDescription": books.word(TYPE_WORDS[kind]),
        "VATAmountDC": vat_total,
        "VATAmountFC": vat_total,
        "YourRef": your_ref,
    }
    entity = "salesentry/SalesEntries" if sales else "purchaseentry/PurchaseEntries"
    books.sink.put(entity, header, at)
    for line in lines:
        row = _line_row(entry_id, kind, line, stamp)
        books.sink.put("salesentry/SalesEntryLines" if sales else "purchaseentry/PurchaseEntryLines", row, at)
    entry = Entry(
        id=entry_id,
        number=number,
        journal=journal,
        type=kind,
        day=day,
        at=at,
        stamp=stamp,
        description=lines[0].description,
        currency=currency,
        rate=1.0,
        relation=relation,
        extras={"DueDate": due, "InvoiceNumber": number, "PaymentReference": f"{number:016d}", "YourRef": your_ref},
    )
    sign = -1 if sales else 1
    postings = [
        Posting(line.account, cents(sign * line.amount), cents(sign * line.amount), _posting_piece(line, sign))
        for line in lines
    ]
    postings += vat_postings([(line.vat, line.amount, line.vat_amount) for line in lines], 1.0, sales=sales)
    header_line, rows = books.post(entry, postings, against=data.accounts[control])
    debt = Debt(
        receivable=sales,
        entry=entry_id,
        header_line=header_line,
        entry_number=number,
        invoice_number=number,
        relation=relation,
        account=data.accounts[control],
        amount=cents(gross),
        amount_fc=cents(gross),
        currency=currency,
        rate=1.0,
        day=day,
        due=due,
        type=kind,
        description=lines[0].description,
        payment_reference=f"{number:016d}",
        your_ref=your_ref,
        order_number=None,
    )
    return Posted(open_term(books, debt, at), rows)


def _posting_piece(line: EntryLine, sign: int) -> Row:
    return {
        **line.vat.piece,
        **line.costs,
        "AmountVATBaseFC": cents(sign * line.amount),
        "AmountVATFC": cents(sign * line.vat_amount),
        "Description": line.description,
        "Quantity": 1.0,
    }


def _line_row(entry_id: str, kind: int, line: EntryLine, stamp: Row) -> Row:
    return {
        "ID": line.id,
        **stamp,
        **line.account.piece,
        **line.costs,
        **line.vat.piece,
        "AmountDC": line.amount,
        "AmountFC": line.amount,
        "Description": line.description,
        "EntryID": entry_id,
        "LineNumber": line.number,
        "Quantity": 1.0,
        "Type": kind,
        "VATAmountDC": line.vat_amount,
        "VATAmountFC": line.vat_amount,
        "VATBaseAmountDC": line.amount,
        "VATBaseAmountFC": line.amount,
    }
