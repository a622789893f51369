"""Lines of goods and services, the same for orders and invoices, sales and purchases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exact_online_sandbox.books.ledger import Books, cents
from exact_online_sandbox.books.masterdata import Account, Item, Masterdata, Project, Relation, Vat
from exact_online_sandbox.books.outbox import Row

DEAR, COSTLY = 50_000.0, 1_000.0
"""Items above the one price sell rarely, those above the other by one or two."""
CHEAP = 0.05
"""Items below this price sell by the ten thousand."""
DISCOUNTS = (0.0, 0.0, 0.0, 0.05, 0.1, 0.125, 1 / 3)


@dataclass(frozen=True, slots=True)
class TradeLine:
    """One line: amounts are in the document's currency, without VAT."""

    id: str
    number: int
    item: Item
    quantity: float
    price: float
    discount: float
    net_price: float
    amount: float
    vat: Vat
    vat_amount: float
    costs: Row
    project: Project | None
    notes: str | None

    def returned(self) -> TradeLine:
        """The line of a credit note: for one piece of the goods, or for all where a piece costs next to nothing."""
        quantity = min(self.quantity, 1.0) if self.net_price >= 1 else self.quantity
        amount = cents(self.net_price * quantity)
        return replace(self, quantity=-quantity, amount=-amount + 0.0, vat_amount=-cents(amount * self.vat.rate) + 0.0)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over lines in the document's currency and in the division's."""

    net_fc: float
    vat_fc: float
    net_dc: float
    vat_dc: float
    gross_fc: float
    gross_dc: float


def totals(books: Books, lines: Sequence[TradeLine], rate: float) -> Totals:
    """Add lines up: each amount is converted and rounded by itself, then added."""
    net_fc, vat_fc = [line.amount for line in lines], [line.vat_amount for line in lines]
    net_dc, vat_dc = [cents(amount * rate) for amount in net_fc], [cents(amount * rate) for amount in vat_fc]
    return Totals(
        books.total(net_fc),
        books.total(vat_fc),
        books.total(net_dc),
        books.total(vat_dc),
        books.total(net_fc + vat_fc),
        books.total(net_dc + vat_dc),
    )


def draw_lines(books: Books, relation: Relation, rate: float, *, purchase: bool = False) -> list[TradeLine]:
    """One to eight lines that this relation might order."""
    dice, data = books.dice, books.data
    count = 1 + min(7, int(dice.expovariate(0.55)))
    project = dice.choice(data.projects) if data.projects and not purchase and dice.chance(0.12) else None
    lines = []
    for number in range(1, count + 1):
        item = dice.choice(data.items)
        if item.price > DEAR and dice.chance(0.8):
            item = dice.choice(data.items)
        discount = dice.choice(DISCOUNTS) if relation.discount and not purchase else relation.discount
        listed = item.cost if purchase else item.price
        price = listed if rate == 1.0 else round(listed / rate, 5)
        quantity = _quantity(books, item)
        net_price = price * (1 - discount)
        amount = cents(net_price * quantity)
        vat = vat_for(data, relation, item.vat)
        lines.append(
            TradeLine(
                id=dice.guid(),
                number=number,
                item=item,
                quantity=quantity,
                price=price,
                discount=discount,
                net_price=net_price,
                amount=amount,
                vat=vat,
                vat_amount=cents(amount * vat.rate),
                costs=books.cost_pieces(item.purchase if purchase else item.revenue),
                project=project,
                notes=dice.choice(data.company.tables.remarks) if dice.chance(0.07) else None,
            )
        )
    return lines


def revenue_account(books: Books, customer: Relation, line: TradeLine) -> Account:
    """Where the revenue of a sales line goes: abroad has an account of its own."""
    return books.data.accounts["revenue_abroad"] if customer.abroad else line.item.revenue


def vat_for(data: Masterdata, relation: Relation, domestic: Vat) -> Vat:
    """The VAT of what is sold to or bought from this relation: abroad has codes of its own."""
    if not relation.abroad:
        return domestic
    return data.vats["export" if relation.country in ("US", "JP") else "abroad"]


def _quantity(books: Books, item: Item) -> float:
    dice = books.dice
    if item.price < CHEAP:
        return float(dice.randrange(10, 500) * 1_000)
    if item.price > DEAR:
        return 1.0
    if item.price > COSTLY:
        return 2.0 if dice.chance(0.2) else 1.0
    if item.fractions and dice.chance(0.6):
        return round(dice.uniform(0.125, 40.0), 3)
    return float(1 + int(dice.expovariate(0.12)))
