"""Fills a store with the books of some companies, in the order things happened."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from exact_online_sandbox.books import bank, closing, entries, ledger, memorials, order_to_cash, purchase_to_pay
from exact_online_sandbox.books.catalogue import found_catalogue
from exact_online_sandbox.books.charges import OrderCharges
from exact_online_sandbox.books.chart import found_chart
from exact_online_sandbox.books.company import Company, division_row, invent_company
from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.entry_rows import Posted
from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.ledger import Books, Numbers
from exact_online_sandbox.books.masterdata import Masterdata
from exact_online_sandbox.books.order_to_cash import Delivery
from exact_online_sandbox.books.outbox import BulkStore, Outbox
from exact_online_sandbox.books.projects import found_documents, found_projects
from exact_online_sandbox.books.purchase_to_pay import Receipt
from exact_online_sandbox.books.relations import found_relations
from exact_online_sandbox.books.settings import found_settings
from exact_online_sandbox.books.size import Size, size_of
from exact_online_sandbox.books.terms import Term, chosen_for_payment, payment_moment
from exact_online_sandbox.books.timeline import AMSTERDAM, Timeline, business_date, local, tick

LINES_PER_WINDOW, MOST_WINDOWS = 150, 104
PAYMENTS_PER_STATEMENT, LONGEST_STATEMENT_GAP = 4, 14
REVISITED = ("sales order", "sales invoice", "purchase order", "purchase invoice", "entry")
"""Kinds of document of which some are saved again at each notable instant, so that every core entity has them."""
OPEN_FOR = timedelta(days=45)
"""How long before the end an entry was made that may still be open, and an invoice that is not processed."""
ADVANCE_SHARE = 0.06
"""Share of the statements with a payment in advance."""
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
    late = timeline.end - OPEN_FOR
    books = Books(Masterdata.of(company, founding.rows), dice, outbox, Numbers(), revisits, open_from=late)
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
    _due: dict[datetime, list[bank.Payment]] = field(default_factory=dict)
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
        for at in self.timeline.instants(dice, -(-size.purchase_entries // 40)):
            self._at(at, self._rejected_entry)
        for number in range(-(-size.direct_invoices // 5)):
            status = (ledger.DRAFT, ledger.OPEN)[number % 2]
            self._at(tick(self.timeline.end - OPEN_FOR * dice.random()), partial(self._prepared_invoice, status))
        for at in self._month_ends():
            self._at(at, self._month_end)
        first, last = (self.books.fiscal(business_date(at))[0] for at in (self.timeline.start, self.timeline.end))
        for year in range(first, last):
            day = (closing.last_day(self.books, year) + closing.CLOSED_AFTER).date()
            self._at(local(day, 17, 45), partial(self._year_end, year))
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
        self.charges.charge_invoice(posted)
        self._posted(posted, at)

    def _prepared_invoice(self, status: int, at: datetime) -> None:
        order_to_cash.prepare_invoice(self.books, at, self.timeline.end, status)

    def _purchase_order(self, at: datetime) -> None:
        order = purchase_to_pay.draw_order(self.books, at)
        receipts = purchase_to_pay.plan_receipts(self.books, order, at)
        purchase_to_pay.record_order(self.books, order, receipts, at, self.timeline.end)
        for receipt in receipts:
            self._at(receipt.invoiced, partial(self._purchase_invoice, receipt))

    def _purchase_invoice(self, receipt: Receipt, at: datetime) -> None:
        posted = purchase_to_pay.invoice_receipt(self.books, receipt, at)
        if posted is not None:
            self._posted(posted, at)

    def _rejected_entry(self, at: datetime) -> None:
        entries.reject_purchase(self.books, at)

    def _year_end(self, year: int, at: datetime) -> None:
        self._rows += closing.close_year(self.books, year, at)

    def _purchase_entry(self, at: datetime) -> None:
        self._posted(entries.enter_purchase(self.books, at), at)

    def _sales_entry(self, at: datetime) -> None:
        self._posted(entries.enter_sale(self.books, at), at)

    def _posted(self, posted: Posted, at: datetime) -> None:
        """Count the rows of an invoice and plan its payment."""
        self._rows += posted.rows
        self._expect(posted.term, payment_moment(self.books, posted.term, at), at)

    def _expect(self, term: Term, paid: datetime | None, at: datetime) -> None:
        """Plan a payment with the first statement after it; what nobody pays before the end is left as it is."""
        index = len(self._statements) if paid is None else bisect_left(self._statements, paid)
        if index == len(self._statements):
            chosen_for_payment(self.books, term).put(self.books.sink, at)
            return
        statement = self._statements[index]
        if statement not in self._due:
            self._due[statement] = []
            self._at(statement, self._statement)
        self._due[statement].append(bank.draw_payment(self.books, term))

    def _statement(self, at: datetime) -> None:
        dice, customers = self.books.dice, self.books.data.customers
        advances = []
        if dice.chance(ADVANCE_SHARE):
            own = self.books.data.company.tables.currency
            customer = dice.choice([one for one in customers if one.currency == own] or customers)
            advances.append(bank.Advance(customer, float(dice.randrange(2, 40) * 25)))
        statement = bank.book_statement(self.books, self._due.pop(at), advances, self._balance, at)
        self._balance = statement.closing
        self._rows += statement.rows
        for term in statement.rests:
            self._expect(term, at + timedelta(days=dice.uniform(8, 40)), at)
        for unmatched in statement.unmatched:
            found = tick(at + timedelta(days=dice.uniform(5, 50)))
            if unmatched.term is not None and found <= self.timeline.end:
                self._at(found, partial(bank.match, self.books, unmatched))
                continue
            unmatched.payment.put(self.books.sink, at)
            if unmatched.term is not None:
                unmatched.term.put(self.books.sink, at)

    def _month_end(self, at: datetime) -> None:
        if self._target(at) - self._rows > 3 * memorials.LARGEST:
            self._rows += memorials.payroll(self.books, at) + memorials.depreciation(self.books, at)

    def _target(self, at: datetime) -> int:
        """How many transaction lines there should be at this instant, with room left for documents until the end."""
        total = self.size.transaction_lines
        if at >= self.timeline.end:
            return total
        share = (at - self.timeline.start) / (self.timeline.end - self.timeline.start)
        return round((total - min(total // 7, 150 + total // 100)) * share)

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
