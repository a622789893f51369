"""Purchases: orders lead to invoices, invoices are posted and become amounts to pay."""

from __future__ import annotations

from datetime import datetime, timedelta

from exact_online_sandbox.books import ledger, purchase_rows
from exact_online_sandbox.books.ledger import Books, Entry, Posting, cents, vat_postings
from exact_online_sandbox.books.order_to_cash import Posted, goods_piece
from exact_online_sandbox.books.purchase_rows import PurchaseInvoice, PurchaseOrder
from exact_online_sandbox.books.terms import Debt, open_term
from exact_online_sandbox.books.timeline import business_date, tick
from exact_online_sandbox.books.trade import draw_lines, totals

CANCELLED_SHARE = 0.03


def draw_order(books: Books, at: datetime) -> PurchaseOrder:
    """An order at some supplier, at this instant."""
    dice, data = books.dice, books.data
    supplier = dice.skewed(data.suppliers)
    day = business_date(at)
    rate = data.rate(supplier.currency, day)
    return PurchaseOrder(
        id=dice.guid(),
        number=books.numbers.order("purchase"),
        supplier=supplier,
        lines=tuple(draw_lines(books, supplier, rate, purchase=True)),
        day=day,
        rate=rate,
        your_ref=dice.choice((None, f"OFF-{dice.digits(5)}")),
    )


def plan_invoice(books: Books, at: datetime) -> datetime | None:
    """When the supplier's invoice comes in; None for a cancelled order."""
    if books.dice.chance(CANCELLED_SHARE):
        return None
    return tick(at + timedelta(days=3 + books.dice.expovariate(1 / 10)))


def record_order(books: Books, order: PurchaseOrder, invoiced: datetime | None, at: datetime, until: datetime) -> None:
    """Put the rows of an order as they stand at `until`."""
    changed = at
    status = purchase_rows.CANCELLED if invoiced is None else purchase_rows.OPEN
    if invoiced is not None and invoiced <= until:
        changed, status = invoiced, purchase_rows.COMPLETE
    changed = books.revisited("purchase order", changed)
    stamp = books.stamp(at, changed if changed > at else None)
    sums = totals(books, order.lines, order.rate)
    row = purchase_rows.order_row(books, order, sums, status, stamp)
    books.sink.put("purchaseorder/PurchaseOrders", row, changed)
    for line in order.lines:
        row = purchase_rows.order_line_row(order, line, status, stamp)
        books.sink.put("purchaseorder/PurchaseOrderLines", row, changed)


def invoice_order(books: Books, order: PurchaseOrder, at: datetime) -> Posted:
    """Record and post the supplier's invoice for an order."""
    day = business_date(at)
    rate = books.data.rate(order.supplier.currency, day)
    number = books.new_entry_number("purchase", day)
    invoice = PurchaseInvoice(
        id=books.dice.guid(),
        number=number,
        order=order,
        day=day,
        due=day + timedelta(days=order.supplier.condition.days),
        rate=rate,
        description=f"{books.word('purchase invoice')} {number}",
        payment_reference=f"RF{books.dice.digits(10)}",
    )
    sums = totals(books, order.lines, rate)
    changed = books.revisited("purchase invoice", at)
    books.sink.put("purchase/PurchaseInvoices", purchase_rows.invoice_row(books, invoice, sums, changed), changed)
    for row in purchase_rows.invoice_line_rows(books, invoice, changed):
        books.sink.put("purchase/PurchaseInvoiceLines", row, changed)
    entry = Entry(
        id=invoice.id,
        number=number,
        journal=books.data.journals["purchase"],
        type=ledger.PURCHASE,
        day=day,
        at=at,
        stamp=books.stamp(at),
        description=invoice.description,
        currency=order.supplier.currency,
        rate=rate,
        relation=order.supplier,
        extras={
            "DueDate": invoice.due,
            "InvoiceNumber": number,
            "OrderNumber": order.number,
            "PaymentReference": invoice.payment_reference,
            "YourRef": order.your_ref,
        },
    )
    lines = [
        Posting(line.item.purchase, cents(line.amount * rate), line.amount, goods_piece(line, 1))
        for line in order.lines
    ]
    taxes = [(line.vat, line.amount, line.vat_amount) for line in order.lines]
    lines += vat_postings(taxes, rate, sales=False)
    header, rows = books.post(entry, lines, against=books.data.accounts["payable"])
    debt = Debt(
        receivable=False,
        entry=invoice.id,
        header_line=header,
        entry_number=number,
        invoice_number=number,
        relation=order.supplier,
        account=books.data.accounts["payable"],
        amount=cents(sums.gross_dc),
        amount_fc=cents(sums.gross_fc),
        currency=order.supplier.currency,
        rate=rate,
        day=day,
        due=invoice.due,
        type=ledger.PURCHASE,
        description=invoice.description,
        payment_reference=invoice.payment_reference,
        your_ref=order.your_ref,
        order_number=order.number,
    )
    return Posted(open_term(books, debt, at), rows)
