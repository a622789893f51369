"""Rows of sales entries and purchase entries: those of processed invoices, and those entered by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exact_online_sandbox.books import ledger
from exact_online_sandbox.books.ledger import Books, Entry, Posting, cents, vat_postings
from exact_online_sandbox.books.masterdata import Account, Project, Relation, Vat
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.terms import Debt, Term, open_term
from exact_online_sandbox.books.trade import TradeLine

TYPE_WORDS = {
    ledger.SALES: "sales entry",
    ledger.SALES_CREDIT: "sales credit note",
    ledger.PURCHASE: "purchase entry",
    ledger.PURCHASE_CREDIT: "purchase credit note",
}


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One line: amounts in the document's currency without VAT; negative on a credit note."""

    id: str
    number: int
    account: Account
    description: str
    amount: float
    vat: Vat
    vat_amount: float
    costs: Row
    quantity: float = 1.0
    notes: str | None = None
    project: Project | None = None
    item_piece: Row | None = None

    @classmethod
    def of(cls, books: Books, number: int, line: TradeLine, account: Account) -> EntryLine:
        """The line of an invoice's entry."""
        return cls(
            id=books.dice.guid(),
            number=number,
            account=account,
            description=line.item.description,
            amount=line.amount,
            vat=line.vat,
            vat_amount=line.vat_amount,
            costs=line.costs,
            quantity=line.quantity,
            notes=line.notes,
            project=line.project,
            item_piece=line.item.piece,
        )


@dataclass(frozen=True, slots=True)
class Document:
    """A sales or purchase entry with its lines; no field of it names the invoice it may come from."""

    sales: bool
    id: str
    number: int
    type: int
    """Kind of entry (SalesEntries.Type)."""
    relation: Relation
    lines: tuple[EntryLine, ...]
    day: datetime
    due: datetime
    rate: float
    description: str
    payment_reference: str
    your_ref: str | None
    order_number: int | None = None
    status: int = ledger.PROCESSED


@dataclass(frozen=True, slots=True)
class Posted:
    """What an invoice left behind: what is to be received or paid, and the number of transaction lines."""

    term: Term
    rows: int
    document: str
    """GUID of the invoice, or of the entry where there is none."""


def put_entry(books: Books, document: Document, at: datetime) -> None:
    """Put the rows of an entry and its lines; nothing is posted."""
    stamp = books.stamp(at)
    books.sink.put(
        "salesentry/SalesEntries" if document.sales else "purchaseentry/PurchaseEntries",
        _header_row(books, document, stamp),
        at,
    )
    for line in document.lines:
        row = _line_row(document, line, stamp)
        books.sink.put("salesentry/SalesEntryLines" if document.sales else "purchaseentry/PurchaseEntryLines", row, at)


def post_entry(books: Books, document: Document, at: datetime, origin: str) -> Posted:
    """Post an entry; what it comes to is owed from now on.

    Args:
        books: where to.
        document: the entry.
        at: when.
        origin: GUID of the invoice it comes from, or its own.
    """
    relation, rate, sales = document.relation, document.rate, document.sales
    control = books.data.accounts["receivable" if sales else "payable"]
    entry = Entry(
        id=document.id,
        number=document.number,
        journal=books.data.journals["sales" if sales else "purchase"],
        type=document.type,
        day=document.day,
        at=at,
        stamp=books.stamp(at),
        description=document.description,
        currency=relation.currency if rate != 1.0 else books.data.company.tables.currency,
        rate=rate,
        relation=relation,
        extras={
            "DueDate": document.due,
            "InvoiceNumber": document.number,
            "OrderNumber": document.order_number,
            "PaymentReference": document.payment_reference,
            "YourRef": document.your_ref,
        },
        status=document.status,
    )
    sign = -1 if sales else 1
    postings = [
        Posting(line.account, cents(sign * cents(line.amount * rate)), cents(sign * line.amount), _piece(line, sign))
        for line in document.lines
    ]
    postings += vat_postings([(line.vat, line.amount, line.vat_amount) for line in document.lines], rate, sales=sales)
    header, rows = books.post(entry, postings, against=control)
    debt = Debt(
        receivable=sales,
        entry=document.id,
        line=header.id,
        journal=entry.journal,
        entry_number=document.number,
        invoice_number=document.number,
        relation=document.relation,
        account=control,
        amount=cents(sign * sum(posting.amount for posting in postings)),
        amount_fc=cents(sign * sum(posting.amount_fc for posting in postings)),
        currency=entry.currency,
        rate=document.rate,
        day=document.day,
        due=document.due,
        type=document.type,
        status=document.status,
        description=document.description,
        payment_reference=document.payment_reference,
        your_ref=document.your_ref,
        order_number=document.order_number,
    )
    return Posted(open_term(books, debt, header, at), rows, origin)


def _piece(line: EntryLine, sign: int) -> Row:
    project = line.project
    return {
        **(line.item_piece or {}),
        **line.vat.piece,
        **line.costs,
        "AmountVATBaseFC": cents(sign * line.amount),
        "AmountVATFC": cents(sign * line.vat_amount),
        "Description": line.description,
        "Notes": line.notes,
        "Project": project and project.id,
        "ProjectCode": project and project.code,
        "ProjectDescription": project and project.description,
        "Quantity": line.quantity,
    }


def _sums(books: Books, lines: Sequence[EntryLine], rate: float) -> tuple[float, float, float, float]:
    """Total and VAT in the division's currency, then in the document's."""
    nets, taxes = [line.amount for line in lines], [line.vat_amount for line in lines]
    nets_dc, taxes_dc = [cents(amount * rate) for amount in nets], [cents(amount * rate) for amount in taxes]
    return books.total(nets_dc + taxes_dc), books.total(taxes_dc), books.total(nets + taxes), books.total(taxes)


def _header_row(books: Books, document: Document, stamp: Row) -> Row:
    relation, sales = document.relation, document.sales
    gross_dc, vat_dc, gross_fc, vat_fc = _sums(books, document.lines, document.rate)
    year, period = books.fiscal(document.day)
    return {
        "EntryID": document.id,
        **stamp,
        ("Customer" if sales else "Supplier"): relation.id,
        ("CustomerName" if sales else "SupplierName"): relation.name,
        "AmountDC": gross_dc,
        "AmountFC": gross_fc,
        "BatchNumber": 0,
        "Currency": relation.currency if document.rate != 1.0 else books.data.company.tables.currency,
        "Description": document.description,
        "DueDate": document.due,
        "EntryDate": document.day,
        "EntryNumber": document.number,
        "GAccountAmountFC": 0.0,
        "InvoiceNumber": document.number,
        **books.data.journals["sales" if sales else "purchase"].short_piece,
        "OrderNumber": document.order_number,
        **relation.condition.piece,
        "PaymentConditionPaymentMethod": "B",
        "PaymentReference": document.payment_reference,
        "Rate": document.rate,
        "ReportingPeriod": period,
        "ReportingYear": year,
        "Reversal": False,
        "Status": document.status,
        "StatusDescription": books.status_word(document.status),
        "Type": document.type,
        "TypeDescription": books.word(TYPE_WORDS[document.type]),
        "VATAmountDC": vat_dc,
        "VATAmountFC": vat_fc,
        "YourRef": document.your_ref,
    }


def _line_row(document: Document, line: EntryLine, stamp: Row) -> Row:
    project, rate = line.project, document.rate
    return {
        "ID": line.id,
        **stamp,
        **line.account.piece,
        **line.costs,
        **line.vat.piece,
        "AmountDC": cents(line.amount * rate),
        "AmountFC": line.amount,
        "Description": line.description,
        "EntryID": document.id,
        "LineNumber": line.number,
        "Notes": line.notes,
        "Project": project and project.id,
        "ProjectDescription": project and project.description,
        "Quantity": line.quantity,
        "Type": document.type,
        "VATAmountDC": cents(line.vat_amount * rate),
        "VATAmountFC": line.vat_amount,
        "VATBaseAmountDC": cents(line.amount * rate),
        "VATBaseAmountFC": line.amount,
    }
