"""Rows of sales orders and sales invoices."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exact_online_sandbox.books.ledger import Books, cents
from exact_online_sandbox.books.masterdata import Relation
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.trade import Totals, TradeLine, revenue_account
from exact_online_sandbox.entities import VAT_LINE

OPEN, PARTIAL, COMPLETE, CANCELLED = 12, 20, 21, 45
"""States of a sales order and its lines."""
STATUS_WORDS = {OPEN: "open", PARTIAL: "partial", COMPLETE: "complete", CANCELLED: "cancelled"}
AUTOMATIC, PROCESSED = 1, 50
INVOICE, CREDIT_NOTE, DIRECT_INVOICE, DIRECT_CREDIT_NOTE = 8020, 8021, 8023, 8024
TYPE_WORDS = {
    INVOICE: "sales invoice",
    CREDIT_NOTE: "sales credit note",
    DIRECT_INVOICE: "direct sales invoice",
    DIRECT_CREDIT_NOTE: "direct credit note",
}


@dataclass(frozen=True, slots=True)
class SalesOrder:
    """A sales order with its lines."""

    id: str
    number: int
    customer: Relation
    lines: tuple[TradeLine, ...]
    day: datetime
    rate: float
    your_ref: str | None


@dataclass(frozen=True, slots=True)
class SalesInvoice:
    """A sales invoice; `order` is None for a direct one."""

    id: str
    number: int | None
    """None until it is processed."""
    type: int
    customer: Relation
    order: SalesOrder | None
    lines: tuple[TradeLine, ...]
    order_line_ids: tuple[str | None, ...]
    """The order line behind each line."""
    day: datetime
    due: datetime
    rate: float
    payment_reference: str | None
    your_ref: str | None
    description: str
    status: int


def party_piece(prefix: str, customer: Relation) -> Row:
    """The columns that name a party of an order or invoice and its contact."""
    return {
        prefix: customer.id,
        f"{prefix}ContactPerson": customer.contact,
        f"{prefix}ContactPersonFullName": customer.contact_name,
        f"{prefix}Name": customer.name,
    }


def parties(customer: Relation) -> Row:
    """One relation orders, receives the goods and gets the invoice."""
    pieces: Row = {}
    for prefix in ("OrderedBy", "DeliverTo", "InvoiceTo"):
        pieces.update(party_piece(prefix, customer))
    return pieces


def _article(line: TradeLine) -> Row:
    project = line.project
    return {
        "Description": line.item.description,
        "Discount": line.discount,
        **line.item.piece,
        "LineNumber": line.number,
        "NetPrice": line.net_price,
        "Notes": line.notes,
        "Project": project and project.id,
        "ProjectDescription": project and project.description,
        "Quantity": line.quantity,
        "UnitCode": line.item.unit,
        "UnitDescription": line.item.unit_name,
        "UnitPrice": line.price,
        **line.vat.piece,
        **line.costs,
    }


def order_row(books: Books, order: SalesOrder, sums: Totals, status: int, stamp: Row) -> Row:
    """A row of salesorder/SalesOrders."""
    word = books.word(STATUS_WORDS[status])
    warehouse = books.data.warehouses[0]
    salesperson = books.data.company.users[0]
    project = order.lines[0].project
    return {
        "OrderID": order.id,
        **stamp,
        **parties(order.customer),
        "AmountDC": sums.gross_dc,
        "AmountDiscount": 0.0,
        "AmountDiscountExclVat": 0.0,
        "AmountFC": sums.gross_fc,
        "AmountFCExclVat": sums.net_fc,
        "ApprovalStatus": AUTOMATIC,
        "ApprovalStatusDescription": books.word("automatic"),
        "Currency": order.customer.currency,
        "DeliveryAddress": order.customer.address,
        "DeliveryDate": order.day + timedelta(days=5),
        "DeliveryStatus": status,
        "DeliveryStatusDescription": word,
        "Description": f"{books.word('order')} {order.number}",
        "Discount": 0.0,
        "InvoiceStatus": status,
        "InvoiceStatusDescription": word,
        "OrderDate": order.day,
        "OrderNumber": order.number,
        **order.customer.condition.piece,
        "Project": project and project.id,
        "ProjectCode": project and project.code,
        "ProjectDescription": project and project.description,
        "Remarks": order.lines[0].notes,
        "Salesperson": salesperson.id,
        "SalespersonFullName": salesperson.name,
        "Status": status,
        "StatusDescription": word,
        "VATAmount": sums.vat_fc,
        "WarehouseCode": warehouse[1],
        "WarehouseDescription": warehouse[2],
        "WarehouseID": warehouse[0],
        "YourRef": order.your_ref,
    }


def order_line_row(books: Books, order: SalesOrder, line: TradeLine, status: int, stamp: Row) -> Row:
    """A row of salesorder/SalesOrderLines; what only its feed shows (Created, Modified ...) included."""
    word = books.word(STATUS_WORDS[status])
    done = line.quantity if status == COMPLETE else 0.0
    return {
        "ID": line.id,
        **stamp,
        **_article(line),
        "AmountDC": cents(line.amount * order.rate),
        "AmountFC": line.amount,
        "CostPriceFC": cents(line.item.cost / order.rate),
        "DeliveryDate": order.day + timedelta(days=5),
        "DeliveryStatus": status,
        "DeliveryStatusDescription": word,
        "InvoiceStatus": status,
        "InvoiceStatusDescription": word,
        "Margin": line.net_price - line.item.cost / order.rate,
        "OrderID": order.id,
        "OrderNumber": order.number,
        "OrderStatus": status,
        "ProjectCode": line.project and line.project.code,
        "QuantityDelivered": done,
        "QuantityInvoiced": done,
        "Status": status,
        "StatusDescription": word,
        "UseDropShipment": 0,
        "VATAmount": line.vat_amount,
    }


def invoice_row(books: Books, invoice: SalesInvoice, sums: Totals, stamp: Row) -> Row:
    """A row of salesinvoice/SalesInvoices."""
    order, customer = invoice.order, invoice.customer
    salesperson = books.data.company.users[0]
    return {
        "InvoiceID": invoice.id,
        **stamp,
        **parties(customer),
        "AmountDC": sums.gross_dc,
        "AmountDiscount": 0.0,
        "AmountDiscountExclVat": 0.0,
        "AmountFC": sums.gross_fc,
        "AmountFCExclVat": sums.net_fc,
        "Currency": customer.currency,
        "DeliverToAddress": customer.address,
        "Description": invoice.description,
        "Discount": 0.0,
        "DiscountType": 1,
        "DueDate": invoice.due,
        "ExtraDutyAmountFC": 0.0,
        "GAccountAmountFC": 0.0,
        "InvoiceDate": invoice.day,
        "InvoiceNumber": invoice.number,
        "IsExtraDuty": False,
        **books.data.journals["sales"].short_piece,
        "OrderDate": order.day if order else invoice.day,
        "OrderNumber": order and order.number,
        **customer.condition.piece,
        "PaymentReference": invoice.payment_reference,
        "Remarks": invoice.lines[0].notes,
        "Salesperson": salesperson.id,
        "SalespersonFullName": salesperson.name,
        "Status": invoice.status,
        "StatusDescription": books.status_word(invoice.status),
        "Type": invoice.type,
        "TypeDescription": books.word(TYPE_WORDS[invoice.type]),
        "VATAmountDC": sums.vat_dc,
        "VATAmountFC": sums.vat_fc,
        "Warehouse": books.data.warehouses[0][0],
        "WithholdingTaxAmountFC": 0.0,
        "WithholdingTaxBaseAmount": 0.0,
        "WithholdingTaxPercentage": 0.0,
        "YourRef": invoice.your_ref,
    }


def invoice_line_rows(books: Books, invoice: SalesInvoice, sums: Totals, stamp: Row) -> Sequence[Row]:
    """Rows of salesinvoice/SalesInvoiceLines; every other invoice that bears VAT has a line of it, in its feed only."""
    order = invoice.order
    numbers = {line.id: line.number for line in order.lines} if order else {}
    rows = []
    for line, order_line in zip(invoice.lines, invoice.order_line_ids, strict=True):
        hours = timedelta(hours=min(abs(line.quantity), 12)) if line.item.service else None
        starts = invoice.day + timedelta(hours=9) if hours else None
        revenue = revenue_account(books, invoice.customer, line)
        rows.append(
            {
                "ID": line.id,
                **stamp,
                **_article(line),
                "AmountDC": cents(line.amount * invoice.rate),
                "AmountFC": line.amount,
                "DeliveryDate": invoice.day,
                "EndTime": starts + hours if starts and hours else None,
                "ExtraDutyAmountFC": 0.0,
                "ExtraDutyPercentage": 0.0,
                "GLAccount": revenue.id,
                "GLAccountDescription": revenue.description,
                "InvoiceID": invoice.id,
                "SalesOrder": order and order.id,
                "SalesOrderLine": order_line,
                "SalesOrderLineNumber": numbers.get(order_line or ""),
                "SalesOrderNumber": order and order.number,
                "StartTime": starts,
                "VATAmountDC": cents(line.vat_amount * invoice.rate),
                "VATAmountFC": line.vat_amount,
            }
        )
    taxed = next((line.vat for line in invoice.lines if line.vat_amount), None)
    if taxed is not None and invoice.number is not None and invoice.number % 2 == 0:
        rows.append(
            {
                "ID": str(uuid.UUID(int=uuid.uuid5(uuid.UUID(invoice.id), "VAT").int, version=4)),
                **stamp,
                "AmountDC": cents(sums.vat_dc),
                "AmountFC": cents(sums.vat_fc),
                "Description": invoice.description,
                "GLAccount": taxed.to_pay.id,
                "GLAccountDescription": taxed.to_pay.description,
                "InvoiceID": invoice.id,
                "LineNumber": VAT_LINE,
            }
        )
    return rows
