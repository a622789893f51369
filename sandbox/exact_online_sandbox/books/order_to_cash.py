"""Sales: orders lead to invoices, invoices are posted and become receivables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exact_online_sandbox.books import ledger, sales_rows
from exact_online_sandbox.books.entry_rows import Document, EntryLine, Posted, post_entry, put_entry
from exact_online_sandbox.books.ledger import Books
from exact_online_sandbox.books.masterdata import Relation
from exact_online_sandbox.books.sales_rows import SalesInvoice, SalesOrder
from exact_online_sandbox.books.timeline import business_date, tick
from exact_online_sandbox.books.trade import TradeLine, draw_lines, revenue_account, totals

CANCELLED_SHARE, SPLIT_SHARE = 0.02, 0.08
CREDIT_SHARE = 0.3
"""Share of the direct invoices that are credit notes."""
EDITED_SHARE = 0.06
"""Share of the invoices that somebody opened and saved again later."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The part of an order that one invoice will bill."""

    order: SalesOrder
    lines: tuple[TradeLine, ...]
    at: datetime


def draw_order(books: Books, at: datetime) -> SalesOrder:
    """An order of some customer, at this instant."""
    dice, data = books.dice, books.data
    customer = dice.skewed(data.customers)
    day = business_date(at)
    rate = data.rate(customer.currency, day)
    return SalesOrder(
        id=dice.guid(),
        number=books.numbers.order("sales"),
        customer=customer,
        lines=tuple(draw_lines(books, customer, rate)),
        day=day,
        rate=rate,
        your_ref=_your_ref(books),
    )


def plan_deliveries(books: Books, order: SalesOrder, at: datetime) -> list[Delivery]:
    """When which lines will be delivered and invoiced; nothing for a cancelled order."""
    dice = books.dice
    if dice.chance(CANCELLED_SHARE):
        return []
    first = tick(at + timedelta(days=dice.expovariate(1 / 6), seconds=91))
    if len(order.lines) > 1 and dice.chance(SPLIT_SHARE):
        cut = dice.randrange(1, len(order.lines))
        second = tick(first + timedelta(days=1 + dice.expovariate(1 / 5)))
        return [Delivery(order, order.lines[:cut], first), Delivery(order, order.lines[cut:], second)]
    return [Delivery(order, order.lines, first)]


def record_order(
    books: Books, order: SalesOrder, deliveries: Sequence[Delivery], at: datetime, until: datetime
) -> None:
    """Put the rows of an order as they stand at `until`, after the deliveries made by then."""
    made = [delivery for delivery in deliveries if delivery.at <= until]
    changed = max((delivery.at for delivery in made), default=at)
    delivered = {line.id for delivery in made for line in delivery.lines}
    status = sales_rows.COMPLETE if len(delivered) == len(order.lines) else sales_rows.PARTIAL
    if not delivered:
        status = sales_rows.OPEN if deliveries else sales_rows.CANCELLED
    changed = books.revisited("sales order", changed)
    stamp = books.stamp(at, changed if changed > at else None)
    sums = totals(books, order.lines, order.rate)
    books.sink.put("salesorder/SalesOrders", sales_rows.order_row(books, order, sums, status, stamp), changed)
    rest = sales_rows.CANCELLED if status == sales_rows.CANCELLED else sales_rows.OPEN
    for line in order.lines:
        line_status = sales_rows.COMPLETE if line.id in delivered else rest
        row = sales_rows.order_line_row(books, order, line, line_status, stamp)
        books.sink.put("salesorder/SalesOrderLines", row, changed)


def invoice_delivery(books: Books, delivery: Delivery, at: datetime, until: datetime) -> Posted:
    """Invoice a delivery."""
    lines = tuple(_renumbered(books, line, number) for number, line in enumerate(delivery.lines, 1))
    ids = tuple(line.id for line in delivery.lines)
    order = delivery.order
    return _processed(_invoice(books, sales_rows.INVOICE, order.customer, order, lines, ids, at, until))


def invoice_directly(books: Books, at: datetime, until: datetime) -> Posted:
    """A sales invoice or credit note without an order."""
    return _processed(_direct(books, at, until, sales_rows.PROCESSED))


def prepare_invoice(books: Books, at: datetime, until: datetime, status: int) -> None:
    """A direct sales invoice that is a draft or open: it has no number, and no ledger knows of it."""
    _direct(books, at, until, status)


def _processed(posted: Posted | None) -> Posted:
    if posted is None:
        raise ValueError("the invoice was not processed")
    return posted


def _direct(books: Books, at: datetime, until: datetime, status: int) -> Posted | None:
    dice, data = books.dice, books.data
    customer = dice.skewed(data.customers)
    drawn = draw_lines(books, customer, data.rate(customer.currency, business_date(at)))
    kind = sales_rows.DIRECT_CREDIT_NOTE if dice.chance(CREDIT_SHARE) else sales_rows.DIRECT_INVOICE
    credit = kind == sales_rows.DIRECT_CREDIT_NOTE
    lines = tuple(line.returned() if credit else line for line in drawn)
    return _invoice(books, kind, customer, None, lines, (None,) * len(lines), at, until, status)


def _your_ref(books: Books) -> str | None:
    dice = books.dice
    return dice.choice(
        (None, f"PO {dice.digits(6)}", f" {dice.digits(4)}/É", f'"{dice.digits(3)}" & <{dice.digits(2)}>')
    )


def _renumbered(books: Books, line: TradeLine, number: int) -> TradeLine:
    fields = {name: getattr(line, name) for name in line.__slots__}
    return TradeLine(**{**fields, "id": books.dice.guid(), "number": number})


def _invoice(
    books: Books,
    kind: int,
    customer: Relation,
    order: SalesOrder | None,
    lines: tuple[TradeLine, ...],
    order_line_ids: tuple[str | None, ...],
    at: datetime,
    until: datetime,
    status: int = sales_rows.PROCESSED,
) -> Posted | None:
    day = business_date(at)
    credit = kind in (sales_rows.CREDIT_NOTE, sales_rows.DIRECT_CREDIT_NOTE)
    number = books.new_entry_number("sales", day) if status == sales_rows.PROCESSED else None
    word = books.word("credit note" if credit else "invoice")
    invoice = SalesInvoice(
        id=books.dice.guid(),
        number=number,
        type=kind,
        customer=customer,
        order=order,
        lines=lines,
        order_line_ids=order_line_ids,
        day=day,
        due=day + timedelta(days=customer.condition.days),
        rate=books.data.rate(customer.currency, day),
        payment_reference=f"{number:016d}" if number else None,
        your_ref=order.your_ref if order else _your_ref(books),
        description=f"{word} {number}" if number else word,
        status=status,
    )
    changed = books.revisited("sales invoice", at)
    if books.dice.chance(EDITED_SHARE) and changed == at:
        changed = tick(min(at + timedelta(days=books.dice.expovariate(1 / 9), seconds=1), until))
    stamp = books.stamp(at, changed if changed > at else None)
    sums = totals(books, lines, invoice.rate)
    books.sink.put("salesinvoice/SalesInvoices", sales_rows.invoice_row(books, invoice, sums, stamp), changed)
    for row in sales_rows.invoice_line_rows(books, invoice, sums, stamp):
        books.sink.put("salesinvoice/SalesInvoiceLines", row, changed)
    if number is None:
        return None
    document = Document(
        sales=True,
        id=books.dice.guid(),
        number=number,
        type=ledger.SALES_CREDIT if credit else ledger.SALES,
        relation=customer,
        lines=tuple(
            EntryLine.of(books, at, line, revenue_account(books, customer, line)) for at, line in enumerate(lines, 1)
        ),
        day=day,
        due=invoice.due,
        rate=invoice.rate,
        description=invoice.description,
        payment_reference=f"{number:016d}",
        your_ref=invoice.your_ref,
        order_number=order.number if order else None,
    )
    put_entry(books, document, at)
    return post_entry(books, document, at, invoice.id)
