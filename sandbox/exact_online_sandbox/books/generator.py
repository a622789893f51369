"""Fills a store with the books of some companies, in the order things happened."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from exact_online_sandbox.books import bank, entries, memorials, order_to_cash, purchase_to_pay
from exact_online_sandbox.books.catalogue import found_catalogue
from exact_online_sandbox.books.charges import OrderCharges
from exact_online_sandbox.books.chart import found_chart
from exact_online_sandbox.books.company import Company, division_row, invent_company
from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.ledger import Books, Numbers
from exact_online_sandbox.books.masterdata import Masterdata
from exact_online_sandbox.books.order_to_cash import Delivery, Posted
from exact_online_sandbox.books.outbox import BulkStore, Outbox
from exact_online_sandbox.books.projects import found_documents, found_projects
from exact_online_sandbox.books.purchase_rows import PurchaseOrder
from exact_online_sandbox.books.relations import found_relations
from exact_online_sandbox.books.settings import found_settings
from exact_online_sandbox.books.size import Size, size_of
from exact_online_sandbox.books.terms import Term, payment_moment, put_term, settlement
from exact_online_sandbox.books.timeline import AMSTERDAM, Timeline, business_date, local, tick

LINES_PER_WINDOW, MOST_WINDOWS = 150, 104
PAYMENTS_PER_STATEMENT, LONGEST_STATEMENT_GAP = 4, 14
REVISITED = ("sales order", "sales invoice", "purchase order", "purchase invoice", "entry")
"""Kinds of document of which some are saved again at each notable instant, so that every core entity has them."""
IMPORTED_SHARE = 0.5
"""Share of the general journal entries of a window that are imported in one go, with one and the same Modified."""


def generate(store: BulkStore, *, seed: int, divisions: int, size: Size | str, until: datetime) -> list[int]:
    """Fill a store with coherent bookkeeping.

    The same seed, size and `until` give the same rows. Division n has the same rows however many divisions there are.

    Args:
        store: where the rows go.
        seed: any number.
        divisions: how many companies; Dutch and British ones alternate.
        size: counts per division, the name of a preset, or a number of transaction lines.
        until: now, with a time zone; the books cover about two years up to it.

    Returns:
        The codes of the divisions.

    Raises:
        ValueError: the size is unknown, or `until` has no time zone.
    """
    timeline, counts = Timeline.until(until), size_of(size)
    charges = [_generate(store, seed, index, counts, timeline) for index in range(divisions)]
    # Last of all: the store draws row versions for all divisions from one source of chance.
    for charged in charges:
        charged.hand_over(store)
    return [charged.data.company.division for charged in charges]


def _generate(store: BulkStore, seed: int, index: int, size: Size, timeline: Timeline) -> OrderCharges:
    dice = Dice(f"{seed}:{index}")
    company = invent_company(dice, index)
    store.add_division(company.division, division_row(dice, company, timeline, index))
    founding = _found(company, dice, timeline, size)
    outbox = Outbox(store, company.division, timeline.start, timeline.end, _windows(size))
    revisits = {kind: list(timeline.notable) for kind in REVISITED}
    books = Books(Masterdata.of(company, founding.rows), dice, outbox, Numbers(), revisits)
    charges = OrderCharges(books.data, Dice(f"{seed}:{index}:order charges"), timeline)
    founding.hand_over(outbox)
    Calendar(books, outbox, timeline, size, charges).run()
    outbox.close()
    return charges


def _windows(size: Size) -> int:
    return max(1, min(MOST_WINDOWS, size.transaction_lines // LINES_PER_WINDOW))


def _found(company: Company, dice: Dice, timeline: Timeline, size: Size) -> Founding:
    founding = Founding(company, dice, timeline)
    found_chart(founding)
    found_settings(founding)
    found_relations(founding, size.customers, size.suppliers)
    found_catalogue(founding, size.items)
    found_projects(founding, size.projects)
    found_documents(founding, size.documents)
    return founding


Event = Callable[[datetime], None]


@dataclass(slots=True)
class Calendar:
    """What happens when: events lead to later events until the books are closed."""

    books: Books
    outbox: Outbox
    timeline: Timeline
    size: Size
    charges: OrderCharges
    _events: list[tuple[datetime, int, Event]] = field(default_factory=list)
    _scheduled: int = 0
    _rows: int = 0
    _statements: list[datetime] = field(default_factory=list)
    _due: dict[datetime, list[Term]] = field(default_factory=dict)
    _balance: float = 0.0

    def run(self) -> None:
        """Let everything happen, in order."""
        self._plan()
        while self._events:
            at, _, event = heapq.heappop(self._events)
            self.outbox.flush_before(at)
            event(at)

    @property
    def _fill_every(self) -> timedelta:
        return (self.timeline.end - self.timeline.start) / _windows(self.size)

    def _at(self, at: datetime, event: Event) -> None:
        if at <= self.timeline.end:
            self._scheduled += 1
            heapq.heappush(self._events, (at, self._scheduled, event))

    def _plan(self) -> None:
        size, dice = self.size, self.books.dice
        self._statements = self._statement_moments()
        self._balance = memorials.opening_bank_balance()
        self._at(self.timeline.start, self._opening)
        for count, event in (
            (size.sales_orders, self._sales_order),
            (size.direct_invoices, self._direct_invoice),
            (size.purchase_orders, self._purchase_order),
            (size.purchase_entries, self._purchase_entry),
            (size.sales_entries, self._sales_entry),
        ):
            for at in self.timeline.instants(dice, count):
                self._at(at, event)
        for at in self._month_ends():
            self._at(at, self._month_end)
        at = self.timeline.end
        while at > self.timeline.start:
            self._at(at, self._fill)
            at = tick(at - self._fill_every)

    def _statement_moments(self) -> list[datetime]:
        """Mornings on which a bank statement is read in, spaced so that each has some payments."""
        size, days = self.size, (self.timeline.end - self.timeline.start).days
        payments = size.sales_orders + size.direct_invoices + size.purchase_orders + size.purchase_entries
        gap = min(LONGEST_STATEMENT_GAP, max(1, days * PAYMENTS_PER_STATEMENT // max(1, payments)))
        first = self.timeline.start.astimezone(AMSTERDAM).date() + timedelta(days=1)
        moments = [local(first + timedelta(days=day), 7, 30) for day in range(0, days, gap)]
        return [moment for moment in moments if moment <= self.timeline.end]

    def _month_ends(self) -> list[datetime]:
        moments = []
        for year in self.timeline.years:
            for month in range(1, 13):
                at = local(business_date(self.timeline.end).date().replace(year=year, month=month, day=25), 16, 5)
                if self.timeline.start < at <= self.timeline.end:
                    moments.append(at)
        return moments

    def _opening(self, at: datetime) -> None:
        self._rows += memorials.opening_balance(self.books, at)

    def _sales_order(self, at: datetime) -> None:
        order = order_to_cash.draw_order(self.books, at)
        self.charges.charge_order(order)
        deliveries = order_to_cash.plan_deliveries(self.books, order, at)
        order_to_cash.record_order(self.books, order, deliveries, at, self.timeline.end)
        for delivery in deliveries:
            self._at(delivery.at, partial(self._delivery, delivery))

    def _delivery(self, delivery: Delivery, at: datetime) -> None:
        self._invoiced(order_to_cash.invoice_delivery(self.books, delivery, at, self.timeline.end), at)

    def _direct_invoice(self, at: datetime) -> None:
        self._invoiced(order_to_cash.invoice_directly(self.books, at, self.timeline.end), at)

    def _invoiced(self, posted: Posted, at: datetime) -> None:
        self.charges.charge_invoice(posted.term.debt)
        self._posted(posted, at)

    def _purchase_order(self, at: datetime) -> None:
        order = purchase_to_pay.draw_order(self.books, at)
        invoiced = purchase_to_pay.plan_invoice(self.books, at)
        purchase_to_pay.record_order(self.books, order, invoiced, at, self.timeline.end)
        if invoiced is not None:
            self._at(invoiced, partial(self._purchase_invoice, order))

    def _purchase_invoice(self, order: PurchaseOrder, at: datetime) -> None:
        self._posted(purchase_to_pay.invoice_order(self.books, order, at), at)

    def _purchase_entry(self, at: datetime) -> None:
        self._posted(entries.enter_purchase(self.books, at), at)

    def _sales_entry(self, at: datetime) -> None:
        self._posted(entries.enter_sale(self.books, at), at)

    def _posted(self, posted: Posted, at: datetime) -> None:
        """Count the rows of an invoice and plan its payment with the first statement after it is paid."""
        self._rows += posted.rows
        paid = payment_moment(self.books, posted.term, at)
        index = len(self._statements) if paid is None else bisect_left(self._statements, paid)
        if index == len(self._statements):
            put_term(self.books.sink, posted.term, posted.term.row, at)
            return
        statement = self._statements[index]
        if statement not in self._due:
            self._due[statement] = []
            self._at(statement, self._statement)
        self._due[statement].append(posted.term)

    def _statement(self, at: datetime) -> None:
        terms = self._due.pop(at)
        statement = bank.book_statement(self.books, terms, self._balance, at)
        self._balance = statement.closing
        self._rows += statement.rows
        stamp = self.books.stamp(at)
        for term in terms:
            changed = {name: stamp[name] for name in ("Modified", "Modifier", "ModifierFullName")}
            row = {**term.row, **settlement(term, business_date(at), statement.entry[:8]), **changed}
            put_term(self.books.sink, term, row, at)

    def _month_end(self, at: datetime) -> None:
        if self._target(at) - self._rows > 3 * memorials.LARGEST:
            self._rows += memorials.payroll(self.books, at) + memorials.depreciation(self.books, at)

    def _target(self, at: datetime) -> int:
        """How many transaction lines there should be at this instant, with room left for documents until the end."""
        total = self.size.transaction_lines
        if at >= self.timeline.end:
            return total
        share = (at - self.timeline.start) / (self.timeline.end - self.timeline.start)
        return round((total - min(total // 10, 60 + total // 200)) * share)

    def _fill(self, at: datetime) -> None:
        """Post reallocations until the ledger has as many lines as it should have by now.

        Some are spread over the time since the last fill, some come in one import: all with the same Modified.
        """
        missing = self._target(at) - self._rows
        while missing >= memorials.SMALLEST:
            rows = self.books.dice.randrange(memorials.SMALLEST, memorials.LARGEST)
            if missing - rows < memorials.SMALLEST:
                rows = missing if missing <= memorials.LARGEST + 2 else memorials.SMALLEST
            spread = not self.books.dice.chance(IMPORTED_SHARE)
            moment = tick(at - self._fill_every * self.books.dice.random()) if spread else at
            self._rows += memorials.reallocation(self.books, rows, moment)
            missing = self._target(at) - self._rows
