"""Rows of purchase orders and purchase invoices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exact_online_sandbox.books.ledger import Books, cents
from exact_online_sandbox.books.masterdata import Relation
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.trade import Totals, TradeLine

OPEN, PARTIAL, COMPLETE, CANCELLED = 10, 20, 30, 40
"""States of a purchase order."""
AUTOMATIC, MANUAL, FROM_ORDER = 1, 1, 4
INVOICE, DIRECT_INVOICE, DIRECT_CREDIT_NOTE = 8033, 8030, 8031


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """A purchase order with its lines."""

    id: str
    number: int
    supplier: Relation
    lines: tuple[TradeLine, ...]
    day: datetime
    rate: float
    your_ref: str | None


@dataclass(frozen=True, slots=True)
class OrderState:
    """How far an order has come: quantities by line."""

    received: Mapping[str, float]
    invoiced: Mapping[str, float]
    cancelled: bool

    def status(self, done: Mapping[str, float], lines: Sequence[TradeLine]) -> int:
        """The state of receiving or invoicing."""
        if self.cancelled:
            return CANCELLED
        if all(done.get(line.id) == line.quantity for line in lines):
            return COMPLETE
        return PARTIAL if done else OPEN

    def order_status(self, lines: Sequence[TradeLine]) -> int:
        """The state of the whole order."""
        states = {self.status(done, lines) for done in (self.received, self.invoiced)}
        return states.pop() if len(states) == 1 else PARTIAL


@dataclass(frozen=True, slots=True)
class PurchaseInvoice:
    """The invoice for a purchase order, or for a part of it."""

    id: str
    number: int | None
    """Number of its entry; None for a draft."""
    order: PurchaseOrder
    lines: tuple[TradeLine, ...]
    day: datetime
    due: datetime
    rate: float
    description: str
    payment_reference: str
    status: int


def order_row(books: Books, order: PurchaseOrder, sums: Totals, state: OrderState, stamp: Row) -> Row:
    """A row of purchaseorder/PurchaseOrders."""
    supplier, agent = order.supplier, books.data.company.users[-1]
    warehouse = books.data.warehouses[0]
    return {
        "PurchaseOrderID": order.id,
        **stamp,
        "AmountDC": sums.gross_dc,
        "AmountDiscount": 0.0,
        "AmountDiscountExclVat": 0.0,
        "AmountFC": sums.gross_fc,
        "AmountFCExclVat": sums.net_fc,
        "ApprovalStatus": AUTOMATIC,
        "ApprovalStatusDescription": books.word("automatic"),
        "Currency": supplier.currency,
        "Description": f"{books.word('purchase order')} {order.number}",
        "Discount": 0.0,
        "DropShipment": False,
        "ExchangeRate": order.rate,
        "InvoiceStatus": state.status(state.invoiced, order.lines),
        "OrderDate": order.day,
        "OrderNumber": order.number,
        "OrderStatus": state.order_status(order.lines),
        **supplier.condition.piece,
        "PurchaseAgent": agent.id,
        "PurchaseAgentFullName": agent.name,
        "PurchaseOrderLineCount": len(order.lines),
        "ReceiptDate": order.day + timedelta(days=7),
        "ReceiptStatus": state.status(state.received, order.lines),
        "Remarks": order.lines[0].notes,
        "Source": MANUAL,
        "Supplier": supplier.id,
        "SupplierCode": supplier.code,
        "SupplierContact": supplier.contact,
        "SupplierContactPersonFullName": supplier.contact_name,
        "SupplierName": supplier.name,
        "VATAmount": sums.vat_fc,
        "Warehouse": warehouse[0],
        "WarehouseCode": warehouse[1],
        "WarehouseDescription": warehouse[2],
        "YourRef": order.your_ref,
    }


def order_line_row(order: PurchaseOrder, line: TradeLine, state: OrderState, stamp: Row) -> Row:
    """A row of purchaseorder/PurchaseOrderLines.

    The standard endpoint has the code in CostCenter, the feed a GUID there and the code in CostCenterCode; only the
    latter, which cannot be mistaken, is filled. The same goes for cost units.
    """
    received, invoiced = state.received.get(line.id, 0.0), state.invoiced.get(line.id, 0.0)
    costs = {name if name.endswith("Description") else f"{name}Code": value for name, value in line.costs.items()}
    return {
        "ID": line.id,
        **stamp,
        **line.item.piece,
        **costs,
        "AmountDC": cents(line.amount * order.rate),
        "AmountFC": line.amount,
        "Description": line.item.description,
        "Discount": line.discount,
        "InStock": 0.0,
        "InvoicedQuantity": invoiced,
        "IsBatchNumberItem": 0,
        "IsSerialNumberItem": 0,
        "ItemBarcode": line.item.barcode,
        "ItemDivisable": line.item.fractions,
        "LineNumber": line.number,
        "NetPrice": line.net_price,
        "Notes": line.notes,
        "ProjectedStock": line.quantity - received,
        "PurchaseOrderID": order.id,
        "Quantity": line.quantity,
        "QuantityInPurchaseUnits": line.quantity,
        "Rebill": False,
        "ReceiptDate": order.day + timedelta(days=7),
        "ReceivedQuantity": received,
        "SupplierItemCode": f"S/{line.item.code}",
        "SupplierItemCopyRemarks": 0,
        "Unit": line.item.unit,
        "UnitDescription": line.item.unit_name,
        "UnitPrice": line.price,
        "VATAmount": line.vat_amount,
        "VATCode": line.vat.code,
        "VATDescription": line.vat.description,
        "VATPercentage": line.vat.rate,
    }


def invoice_row(books: Books, invoice: PurchaseInvoice, sums: Totals, modified: datetime) -> Row:
    """A row of purchase/PurchaseInvoices (it has neither Created nor Division)."""
    supplier, (year, period) = invoice.order.supplier, books.fiscal(invoice.day)
    return {
        "ID": invoice.id,
        "Amount": sums.gross_fc,
        "AmountDC": sums.gross_dc,
        "AmountDiscount": 0.0,
        "AmountDiscountExclVat": 0.0,
        "AmountFCExclVat": sums.net_fc,
        "ContactPerson": supplier.contact,
        "Currency": supplier.currency,
        "Description": invoice.description,
        "Discount": 0.0,
        "DueDate": invoice.due,
        "EntryNumber": invoice.number,
        "ExchangeRate": invoice.rate,
        "FinancialPeriod": period,
        "FinancialYear": year,
        "InvoiceDate": invoice.day,
        "Journal": books.data.journals["purchase"].code,
        "Modified": modified,
        "PaymentCondition": supplier.condition.code,
        "PaymentReference": invoice.payment_reference,
        "Remarks": invoice.lines[0].notes,
        "Source": FROM_ORDER,
        "Status": invoice.status,
        "Supplier": supplier.id,
        "Type": INVOICE,
        "VATAmount": sums.vat_fc,
        "Warehouse": books.data.warehouses[0][0],
        "YourRef": invoice.order.your_ref,
    }


def invoice_line_rows(books: Books, invoice: PurchaseInvoice, modified: datetime) -> Sequence[Row]:
    """Rows of purchase/PurchaseInvoiceLines (they have neither Created nor Division)."""
    return [
        {
            "ID": books.dice.guid(),
            "Amount": line.amount,
            "AmountDC": cents(line.amount * invoice.rate),
            **{name: value for name, value in line.costs.items() if not name.endswith("Description")},
            "Currency": invoice.order.supplier.currency,
            "Description": line.item.description,
            "Discount": line.discount,
            "InvoiceID": invoice.id,
            "InvoiceType": INVOICE,
            "Item": line.item.id,
            "ItemUnit": line.item.unit,
            "LineNumber": number,
            "Modified": modified,
            "NetPrice": line.net_price,
            "Notes": line.notes,
            "PurchaseOrderLine": line.id,
            "Quantity": line.quantity,
            "QuantityInDefaultUnits": line.quantity,
            "Rebill": False,
            "Unit": line.item.unit,
            "UnitPrice": line.price,
            "VATAmount": line.vat_amount,
            "VATCode": line.vat.code,
            "VATPercentage": line.vat.rate,
        }
        for number, line in enumerate(invoice.lines, 1)
    ]
