"""Purchases: orders lead to receipts and invoices, invoices are posted and become amounts to pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exact_online_sandbox.books import ledger, purchase_rows
from exact_online_sandbox.books.entry_rows import Document, EntryLine, Posted, post_entry, put_entry
from exact_online_sandbox.books.ledger import Books
from exact_online_sandbox.books.purchase_rows import PurchaseInvoice, PurchaseOrder
from exact_online_sandbox.books.timeline import business_date, tick
from exact_online_sandbox.books.trade import TradeLine, draw_lines, totals

CANCELLED_SHARE, SPLIT_SHARE = 0.03, 0.2
HALF_SHARE = 0.3
"""Share of the outstanding order lines of which a half has come already."""
DRAFT_SHARE = 0.3
"""Share of the latest invoices that nobody has processed yet."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The part of an order that comes in at one time and is on one invoice."""

    order: PurchaseOrder
    lines: tuple[TradeLine, ...]
    received: datetime
    invoiced: datetime


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


def plan_receipts(books: Books, order: PurchaseOrder, at: datetime) -> list[Receipt]:
    """When which lines come in, and when their invoice does; nothing for a cancelled order."""
    dice = books.dice
    if dice.chance(CANCELLED_SHARE):
        return []
    cut, count = len(order.lines), len(order.lines)
    if count > 1 and dice.chance(SPLIT_SHARE):
        cut = dice.randrange(1, count)
    receipts, came = [], at
    for lines, days in ((order.lines[:cut], 7), (order.lines[cut:], 45)):
        if lines:
            came = tick(came + timedelta(days=2 + dice.expovariate(1 / days)))
            invoiced = tick(came + timedelta(days=dice.expovariate(1 / 9), seconds=53))
            receipts.append(Receipt(order, lines, came, invoiced))
    return receipts


def record_order(
    books: Books, order: PurchaseOrder, receipts: Sequence[Receipt], at: datetime, until: datetime
) -> None:
    """Put the rows of an order as they stand at `until`."""
    moments = [moment for receipt in receipts for moment in (receipt.received, receipt.invoiced)]
    changed = books.revisited("purchase order", max((moment for moment in moments if moment <= until), default=at))
    stamp = books.stamp(at, changed if changed > at else None)
    received = {line.id: line.quantity for one in receipts if one.received <= until for line in one.lines}
    invoiced = {line.id: line.quantity for one in receipts if one.invoiced <= until for line in one.lines}
    for line in order.lines if receipts else ():
        if line.id not in received and line.quantity >= 2 and books.dice.chance(HALF_SHARE):
            received[line.id] = float(line.quantity // 2)
    sums = totals(books, order.lines, order.rate)
    state = purchase_rows.OrderState(received, invoiced, cancelled=not receipts)
    row = purchase_rows.order_row(books, order, sums, state, stamp)
    books.sink.put("purchaseorder/PurchaseOrders", row, changed)
    for line in order.lines:
        row = purchase_rows.order_line_row(order, line, state, stamp)
        books.sink.put("purchaseorder/PurchaseOrderLines", row, changed)


def invoice_receipt(books: Books, receipt: Receipt, at: datetime) -> Posted | None:
    """Record the supplier's invoice; post it, unless it is still a draft (None)."""
    order, day = receipt.order, business_date(at)
    rate = books.data.rate(order.supplier.currency, day)
    late = books.open_from is not None and at >= books.open_from
    draft = late and books.dice.chance(DRAFT_SHARE)
    number = None if draft else books.new_entry_number("purchase", day)
    word = books.word("purchase invoice")
    invoice = PurchaseInvoice(
        id=books.dice.guid(),
        number=number,
        order=order,
        lines=receipt.lines,
        day=day,
        due=day + timedelta(days=order.supplier.condition.days),
        rate=rate,
        description=f"{word} {number}" if number else word,
        payment_reference=f"RF{books.dice.digits(10)}",
        status=ledger.DRAFT if draft else ledger.PROCESSED,
    )
    sums = totals(books, receipt.lines, rate)
    changed = books.revisited("purchase invoice", at)
    books.sink.put("purchase/PurchaseInvoices", purchase_rows.invoice_row(books, invoice, sums, changed), changed)
    for row in purchase_rows.invoice_line_rows(books, invoice, changed):
        books.sink.put("purchase/PurchaseInvoiceLines", row, changed)
    if number is None:
        return None
    document = Document(
        sales=False,
        id=books.dice.guid(),
        number=number,
        type=ledger.PURCHASE,
        relation=order.supplier,
        lines=tuple(EntryLine.of(books, at, line, line.item.purchase) for at, line in enumerate(receipt.lines, 1)),
        day=day,
        due=invoice.due,
        rate=rate,
        description=invoice.description,
        payment_reference=invoice.payment_reference,
        your_ref=order.your_ref,
        order_number=order.number,
    )
    put_entry(books, document, at)
    return post_entry(books, document, at, invoice.id)
