"""Business goes on: plausible changes after the books were filled, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exact_online_sandbox.books import bank, order_to_cash
from exact_online_sandbox.books.company import Company, User
from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.ledger import OPEN, PROCESSED, TRANSACTION_LINES, Books, Numbers, PostedLine
from exact_online_sandbox.books.masterdata import Known, Masterdata, MasterdataGoneError
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.relation_rows import INVOICE
from exact_online_sandbox.books.tables import BY_CURRENCY
from exact_online_sandbox.books.terms import FEED, PAYMENTS, RECEIVABLES, Debt, Term
from exact_online_sandbox.books.timeline import UTC, tick
from exact_online_sandbox.entities import entities
from exact_online_sandbox.store import Store

INSERTED, UPDATED, DELETED = "inserted", "updated", "deleted"
ENTRIES = (
    "financialtransaction/BankEntries",
    "generaljournalentry/GeneralJournalEntries",
    "purchaseentry/PurchaseEntries",
    "salesentry/SalesEntries",
)
STEP = timedelta(milliseconds=40)
"""Time between two changes."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row that changed."""

    entity: str
    action: str
    """inserted, updated or deleted."""
    key: str


@dataclass(frozen=True, slots=True)
class Activity:
    """What changed, in order."""

    division: int
    changes: tuple[Change, ...]

    @property
    def summary(self) -> dict[str, dict[str, int]]:
        """Number of different rows by entity and action; a row counts as inserted rather than updated."""
        inserted = {(change.entity, change.key) for change in self.changes if change.action == INSERTED}
        rows: dict[str, dict[str, set[str]]] = {}
        for change in self.changes:
            if change.action == UPDATED and (change.entity, change.key) in inserted:
                continue
            rows.setdefault(change.entity, {}).setdefault(change.action, set()).add(change.key)
        return {
            entity: {action: len(keys) for action, keys in sorted(actions.items())}
            for entity, actions in sorted(rows.items())
        }


def simulate(store: Store, *, seed: int, division: int, at: datetime, steps: int) -> Activity:
    """Make plausible changes in a division that `generate` filled.

    In turn: a new order with its invoice and postings, a changed account, a payment received, a deleted address, a
    changed item price, an open entry processed, a receipt matched with its invoice. What is not possible (no open
    invoice left, a G/L account or a journal that is gone) is passed over. An error leaves everything as it was.

    Args:
        store: the store.
        seed: any number; the same seed on the same data makes the same changes.
        division: which division.
        at: when (with a time zone); each step comes 40 ms after the one before.
        steps: how many.

    Returns:
        What changed.

    Raises:
        ValueError: `at` has no time zone.
        KeyError: there is no such division.
    """
    if at.tzinfo is None:
        raise ValueError("at needs a time zone")
    store.division(division)
    at = tick(at.astimezone(UTC))
    with store.transaction():
        business = _Business(store, division, Dice(f"{seed}:{division}:{at.isoformat()}"))
        for step in range(steps):
            business.step(step, tick(at + step * STEP))
    return Activity(division, tuple(business.changes))


class _Business:
    """One division at work. It is also the sink for the rows of new documents."""

    def __init__(self, store: Store, division: int, dice: Dice) -> None:
        self._store = store
        self._division = division
        self.changes: list[Change] = []
        self._documents: list[tuple[str, Row, datetime]] = []
        data = Masterdata.of(_company(store, division), lambda entity: store.rows(division, entity))
        self._books = Books(data, dice, self, _numbers(store, data))
        self._kinds: tuple[Callable[[datetime], None], ...] = (
            self._sell,
            self._change_account,
            self._receive_payment,
            self._delete_address,
            self._change_price,
            self._process_entry,
            self._match_receipt,
        )

    def step(self, number: int, at: datetime) -> None:
        """Make the nth change, unless master data that it needs is gone."""
        try:
            self._kinds[number % len(self._kinds)](at)
        except MasterdataGoneError:
            self._documents.clear()
        self._insert_documents()

    def put(self, entity: str, row: Row, at: datetime) -> None:
        """Take a row of a document, to be inserted, or changed if it is known, once all of it is there."""
        self._documents.append((entity, row, at))

    def _insert_documents(self) -> None:
        for entity, row, at in self._documents:
            key = row[entities()[entity].record_id]
            try:
                self._store.row(self._division, entity, key)
            except KeyError:
                self._store.insert(self._division, entity, row, at=at)
                self._note(entity, INSERTED, row)
            else:
                self._store.update(self._division, entity, key, row, at=at)
                self._note(entity, UPDATED, row)
        self._documents.clear()

    def _note(self, entity: str, action: str, row: Row) -> None:
        self.changes.append(Change(entity, action, str(row[entities()[entity].record_id])))

    def _rows(self, entity: str) -> list[dict[str, Any]]:
        return list(self._store.rows(self._division, entity))

    def _update(self, entity: str, row: dict[str, Any], changes: Row, at: datetime) -> None:
        self._insert_documents()
        stamp = self._books.stamp(at)
        who = {name: stamp[name] for name in ("Modifier", "ModifierFullName")}
        self._change(entity, row["ID"], {**changes, **who}, at)

    def _change(self, entity: str, key: str, changes: Row, at: datetime) -> None:
        self._store.update(self._division, entity, key, changes, at=at)
        self.changes.append(Change(entity, UPDATED, key))

    def _sell(self, at: datetime) -> None:
        data = self._books.data
        if not (data.items and data.customers and data.warehouses):
            return
        order = order_to_cash.draw_order(self._books, at)
        delivery = order_to_cash.Delivery(order, order.lines, at)
        order_to_cash.record_order(self._books, order, [delivery], at, at)
        order_to_cash.invoice_delivery(self._books, delivery, at, at).term.put(self, at)

    def _change_account(self, at: datetime) -> None:
        dice, tables = self._books.dice, self._books.data.company.tables
        rows = self._rows("crm/Accounts")
        if not rows:
            return
        row = dice.choice(rows)
        changes: Row = {
            "Phone": f"{tables.phone_prefix} {dice.digits(9)}",
            "Remarks": dice.choice(tables.remarks),
            "CreditLineSales": round(dice.uniform(100, 90_000), 2),
        }
        self._update("crm/Accounts", row, changes, at)

    def _receive_payment(self, at: datetime) -> None:
        unpaid = [row for row in self._rows(RECEIVABLES) if row["Status"] == OPEN and row["AmountDC"] > 0]
        if not unpaid:
            return
        row = self._books.dice.choice(unpaid)
        statements = self._rows("financialtransaction/BankEntries")
        latest = max(statements, key=lambda entry: (entry["Created"], entry["EntryNumber"]), default=None)
        term = self._term(row, at)
        if term is None:
            return
        payment = bank.draw_payment(self._books, term)
        opening = latest["ClosingBalanceFC"] if latest else 0.0
        statement = bank.book_statement(self._books, [payment], [], opening, at)
        for rest in statement.rests:
            rest.put(self, at)
        for unmatched in statement.unmatched:
            unmatched.payment.put(self, at)

    def _process_entry(self, at: datetime) -> None:
        """Process an open entry: its lines in the ledger and its payment terms show that too."""
        entries = [(entity, row) for entity in ENTRIES for row in self._rows(entity) if row["Status"] == OPEN]
        if not entries:
            return
        entity, entry = self._books.dice.choice(entries)
        word = self._books.status_word(PROCESSED)
        self._change(entity, entry["EntryID"], {"Status": PROCESSED, "StatusDescription": word}, at)
        for line in self._rows(TRANSACTION_LINES):
            if line["EntryID"] == entry["EntryID"]:
                self._change(TRANSACTION_LINES, line["ID"], {"Status": PROCESSED}, at)
        for terms in (RECEIVABLES, PAYMENTS, FEED):
            for term in self._rows(terms):
                if term["TransactionEntryID"] == entry["EntryID"]:
                    self._change(terms, term["ID"], {"TransactionStatus": PROCESSED}, at)

    def _match_receipt(self, at: datetime) -> None:
        """Match a receipt of which nobody knew what it pays with an open invoice of that amount."""
        rows = [row for row in self._rows(RECEIVABLES) if row["Status"] == OPEN]
        unpaid = {(row["Account"], row["AmountDC"]): row for row in rows if row["AmountDC"] > 0}
        pairs = [(row, unpaid.get((row["Account"], -row["AmountDC"]))) for row in rows if row["AmountDC"] < 0]
        found = [(invoice, receipt) for receipt, invoice in pairs if invoice and not receipt["InvoiceNumber"]]
        if found:
            invoice, receipt = (self._term(row, at) for row in self._books.dice.choice(found))
            if invoice and receipt:
                bank.match(self._books, bank.Unmatched(invoice, receipt), at)

    def _term(self, row: dict[str, Any], at: datetime) -> Term | None:
        """The term of a row; None where its transaction line is gone."""
        try:
            line = self._store.row(self._division, TRANSACTION_LINES, row["TransactionID"])
        except KeyError:
            return None
        return Term(self._debt(row), row, PostedLine(line, at))

    def _debt(self, row: dict[str, Any]) -> Debt:
        journals = Known((journal.code, journal) for journal in self._books.data.journals.values())
        return Debt(
            receivable=True,
            entry=row["TransactionEntryID"],
            line=row["TransactionID"],
            journal=journals[row["Journal"]],
            entry_number=row["EntryNumber"],
            invoice_number=row["InvoiceNumber"],
            relation=self._books.data.relations[row["Account"]],
            account=self._books.data.by_code[row["GLAccountCode"]],
            amount=row["TransactionAmountDC"],
            amount_fc=row["TransactionAmountFC"],
            currency=row["Currency"],
            rate=row["RateFC"],
            day=row["EntryDate"],
            due=row["DueDate"],
            type=row["TransactionType"],
            status=row["TransactionStatus"],
            description=row["Description"],
            payment_reference=row["PaymentReference"],
            your_ref=row["YourRef"],
            order_number=row["OrderNumber"],
        )

    def _delete_address(self, at: datetime) -> None:
        """Delete an invoice address: no document refers to those."""
        rows = [row for row in self._rows("crm/Addresses") if row["Type"] == INVOICE]
        if rows:
            row = self._books.dice.choice(rows)
            self._store.delete(self._division, "crm/Addresses", row["ID"], at=at)
            self._note("crm/Addresses", DELETED, row)

    def _change_price(self, at: datetime) -> None:
        items = self._rows("logistics/Items")
        if not items:
            return
        item = self._books.dice.choice(items)
        factor = 1 + self._books.dice.choice((-0.05, 0.02, 0.031, 0.1))
        self._update("logistics/Items", item, {"StandardSalesPrice": item["StandardSalesPrice"] * factor}, at)
        for price in self._rows("logistics/SalesItemPrices"):
            if price["Item"] == item["ID"]:
                self._update("logistics/SalesItemPrices", price, {"Price": price["Price"] * factor}, at)


def _company(store: Store, division: int) -> Company:
    row = store.division(division)
    users = {one["Modifier"]: one["ModifierFullName"] for one in store.rows(division, "crm/Accounts")}
    users = users or {row["Modifier"]: row["ModifierFullName"]}
    people = tuple(User(guid, name) for guid, name in sorted(users.items()))
    return Company(division, row["Description"], BY_CURRENCY[row["Currency"]], people)


def _numbers(store: Store, data: Masterdata) -> Numbers:
    numbers = Numbers()
    codes = {line.role: line.code for line in data.company.tables.journals}
    sales, bankbook = codes["sales"], codes["bank"]
    for entity in ("salesinvoice/SalesInvoices", "salesentry/SalesEntries"):
        for row in store.rows(data.company.division, entity):
            day = row["InvoiceDate"] if "InvoiceDate" in row else row["EntryDate"]
            if row["InvoiceNumber"] is not None:
                numbers.seen(sales, data.company.fiscal(day)[0], row["InvoiceNumber"])
    for row in store.rows(data.company.division, "financialtransaction/BankEntries"):
        numbers.seen(bankbook, row["FinancialYear"], row["EntryNumber"])
    orders = (row["OrderNumber"] for row in store.rows(data.company.division, "salesorder/SalesOrders"))
    numbers.orders["sales"] = max(orders, default=0)
    return numbers
