"""Order charges (freight, handling), and their lines on sales orders and sales invoices.

Nothing else in the books depends on them: they have dice of their own, and their rows come after all others, so that
those are the same with and without them. For the same reason their amounts are in no total of a header and in no entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.entry_rows import Posted
from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.ledger import SALES_CREDIT, cents
from exact_online_sandbox.books.masterdata import Account, Masterdata, Relation, Vat
from exact_online_sandbox.books.outbox import BulkStore, Row
from exact_online_sandbox.books.sales_rows import SalesOrder
from exact_online_sandbox.books.tables.country import ChargeLine
from exact_online_sandbox.books.timeline import Timeline
from exact_online_sandbox.books.trade import vat_for

CHARGED_SHARE, SECOND_SHARE = 0.15, 0.3
"""Share of the documents with a charge, and of those the share with two."""
REMARK_SHARE = 0.1
CHANGED_SHARE = 0.5
"""Share of the charges that somebody changed after the set-up."""
FACTORS = (1.0, 1.0, 1.0, 0.5, 1.35, 2.0)
"""What charges come to, as a multiple of their usual amount."""


class _Drawn(NamedTuple):
    """What a document is charged with; `amount` is in the division's currency."""

    charge: int
    amount: float
    remark: str | None


class _Charged(NamedTuple):
    """A document with its charges; `sign` is -1 for credit notes."""

    id: str
    customer: Relation
    rate: float
    sign: int
    drawn: tuple[_Drawn, ...]


@dataclass(slots=True)
class OrderCharges:
    """The order charges of one company, and the documents that have some."""

    data: Masterdata
    dice: Dice
    timeline: Timeline
    _orders: list[_Charged] = field(default_factory=list)
    _invoices: list[_Charged] = field(default_factory=list)
    _unbilled: dict[int, tuple[_Drawn, ...]] = field(default_factory=dict)
    """Charges by order number, until the first invoice for the order."""

    def charge_order(self, order: SalesOrder) -> None:
        """Charge a share of the orders, the first one among them."""
        if drawn := self._draw(always=not self._orders):
            self._orders.append(_Charged(order.id, order.customer, order.rate, 1, drawn))
            self._unbilled[order.number] = drawn

    def charge_invoice(self, posted: Posted) -> None:
        """Bill what the order was charged with; charge a share of the others, the first of each sign among them."""
        debt = posted.term.debt
        sign = -1 if debt.type == SALES_CREDIT else 1
        first = all(one.sign != sign for one in self._invoices)
        drawn = self._unbilled.pop(debt.order_number or 0, ()) or self._draw(always=first)
        if drawn:
            self._invoices.append(_Charged(posted.document, debt.relation, debt.rate, sign, drawn))

    def hand_over(self, store: BulkStore) -> None:
        """Store the charges and their lines."""
        division, ids = self.data.company.division, [self.dice.guid() for _ in self._charges]
        store.insert_many(division, "sales/OrderCharges", self._charge_rows(ids))
        for entity, header, documents in (
            ("salesorder/SalesOrderOrderChargeLines", "OrderID", self._orders),
            ("salesinvoice/SalesInvoiceOrderChargeLines", "InvoiceID", self._invoices),
        ):
            rows = (row for document in documents for row in self._line_rows(document, header, ids))
            store.insert_many(division, entity, rows)

    @property
    def _charges(self) -> tuple[ChargeLine, ...]:
        return self.data.company.tables.charges

    def _draw(self, *, always: bool) -> tuple[_Drawn, ...]:
        dice, charges = self.dice, self._charges
        if not dice.chance(CHARGED_SHARE) and not always:
            return ()
        active = [number for number, charge in enumerate(charges) if charge.active]
        remarks = self.data.company.tables.remarks
        return tuple(
            _Drawn(
                number,
                cents(charges[number].amount * dice.choice(FACTORS)),
                dice.choice(remarks) if dice.chance(REMARK_SHARE) else None,
            )
            for number in sorted(dice.sample(active, 2 if dice.chance(SECOND_SHARE) else 1))
        )

    def _charge_rows(self, ids: list[str]) -> Iterator[Row]:
        stamps = Founding(self.data.company, self.dice, self.timeline).changed_stamps(len(ids), CHANGED_SHARE)
        for charge, guid, stamp in zip(self._charges, ids, stamps, strict=True):
            yield {
                "ID": guid,
                **stamp,
                "Active": charge.active,
                "Amount": charge.amount,
                "Code": charge.code,
                "Description": charge.description,
                **self.data.accounts["revenue_services"].piece,
                **_vat_piece(self.data.vats[charge.vat]),
            }

    def _line_rows(self, document: _Charged, header: str, ids: list[str]) -> Iterator[Row]:
        customer = document.customer
        for number, drawn in enumerate(document.drawn, 1):
            charge = self._charges[drawn.charge]
            vat = vat_for(self.data, customer, self.data.vats[charge.vat])
            net = cents(document.sign * drawn.amount / document.rate)
            tax = cents(net * vat.rate)
            yield {
                "ID": self.dice.guid(),
                "Division": self.data.company.division,
                header: document.id,
                "AmountDC": cents(net * document.rate),
                "AmountFCExclVAT": net,
                "AmountFCInclVAT": cents(net + tax),
                "AmountVATFC": tax,
                **(self._revenue(customer).piece if header == "InvoiceID" else {}),
                "IsShippingCost": charge.shipping,
                "LineNumber": number,
                "OrderCharge": ids[drawn.charge],
                "OrderChargeCode": charge.code,
                "OrderChargeDescription": charge.description,
                "OrderChargesLineDescription": drawn.remark or charge.description,
                **_vat_piece(vat),
            }

    def _revenue(self, customer: Relation) -> Account:
        return self.data.accounts["revenue_abroad" if customer.abroad else "revenue_services"]


def _vat_piece(vat: Vat) -> Row:
    return {"VATCode": vat.code, "VATDescription": vat.description, "VATPercentage": vat.rate}
