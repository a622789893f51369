"""General journal entries: opening balance, payroll, depreciation, reallocation of costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from exact_online_sandbox.books import ledger
from exact_online_sandbox.books.ledger import Books, Entry, Posting, cents
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.timeline import business_date

SMALLEST = 3
"""Transaction lines of the smallest entry: header, debit, credit."""
LARGEST = 12
OPENING_BALANCE = (
    ("fixed_assets", 84_350.0),
    ("accumulated_depreciation", -21_080.0),
    ("stock", 61_905.37),
    ("bank", 250_000.05),
    ("equity", -18_000.0),
    ("reserves", -257_175.42),
    ("loan", -100_000.0),
)
PAYROLL_SHARES = (("wages", 1.0), ("social_charges", 0.18), ("pension", 0.09))
REALLOCATED = ("rent", "energy", "advertising", "office", "telephone", "software", "cars", "insurance", "travel")


def opening_bank_balance() -> float:
    """What is on the bank account when the books start."""
    return dict(OPENING_BALANCE)["bank"]


def opening_balance(books: Books, at: datetime) -> int:
    """Post the opening balance; returns the number of transaction lines."""
    lines = [Posting(books.data.accounts[role], amount, amount) for role, amount in OPENING_BALANCE]
    return _book(books, ledger.OPENING, books.word("opening"), lines, at)


def payroll(books: Books, at: datetime) -> int:
    """Post a month's wages; returns the number of transaction lines."""
    gross = cents(books.dice.uniform(9_000, 64_000))
    lines = [_cost(books, role, cents(gross * share)) for role, share in PAYROLL_SHARES]
    tax, pension = cents(-gross * 0.39), cents(-gross * 0.15)
    net = cents(-sum(line.amount for line in lines) - tax - pension)
    due = (("wage_tax", tax), ("pension_due", pension), ("net_wages", net))
    lines += [Posting(books.data.accounts[role], amount, amount) for role, amount in due]
    day = business_date(at)
    return _book(books, ledger.OTHER, f"{books.word('payroll')} {day:%m-%Y}", lines, at)


def depreciation(books: Books, at: datetime) -> int:
    """Post a month's depreciation; returns the number of transaction lines."""
    amount = cents(books.dice.uniform(200, 4_000))
    lines = [
        _cost(books, "depreciation", amount),
        Posting(books.data.accounts["accumulated_depreciation"], -amount, -amount),
    ]
    return _book(books, ledger.OTHER, f"{books.word('depreciation')} {business_date(at):%m-%Y}", lines, at)


def reallocation(books: Books, rows: int, at: datetime) -> int:
    """Post a reallocation of costs over cost centers with exactly this many transaction lines (at least 3)."""
    role = books.dice.choice(REALLOCATED)
    lines = [_cost(books, role, cents(books.dice.lognormvariate(4.2, 1.1))) for _ in range(rows - 2)]
    total = cents(-sum(line.amount for line in lines))
    lines.append(_cost(books, role, total))
    return _book(books, ledger.OTHER, books.word("reallocation"), lines, at)


def _cost(books: Books, role: str, amount: float) -> Posting:
    account = books.data.accounts[role]
    return Posting(account, amount, amount, books.cost_pieces(account))


def _book(books: Books, kind: int, description: str, lines: Sequence[Posting], at: datetime) -> int:
    data, day = books.data, business_date(at)
    entry_id, number, stamp = books.dice.guid(), books.new_entry_number("general", day), books.stamp(at)
    currency, journal = data.company.tables.currency, data.journals["general"]
    (year, period), status = books.fiscal(day), ledger.PROCESSED if kind == ledger.OPENING else books.entry_status(at)
    books.sink.put(
        "generaljournalentry/GeneralJournalEntries",
        {
            "EntryID": entry_id,
            "Created": at,
            "Currency": currency,
            "Division": data.company.division,
            "EntryNumber": number,
            "ExchangeRate": 1.0,
            "FinancialPeriod": period,
            "FinancialYear": year,
            **journal.piece,
            "Modified": at,
            "Reversal": False,
            "Status": status,
            "StatusDescription": books.status_word(status),
            "Type": ledger.OPENING if kind == ledger.OPENING else ledger.OTHER,
            "TypeDescription": books.word("opening" if kind == ledger.OPENING else "other"),
        },
        at,
    )
    described: list[Posting] = []
    for line_number, line in enumerate(lines, 1):
        described.append(replace(line, piece={**line.piece, "Description": description}))
        books.sink.put(
            "generaljournalentry/GeneralJournalEntryLines",
            _line_row(books, entry_id, number, line_number, described[-1], stamp, day),
            at,
        )
    entry = Entry(entry_id, number, journal, kind, day, at, stamp, description, currency, 1.0, status=status)
    return books.post_journal(entry, described)


def _line_row(
    books: Books, entry_id: str, number: int, line_number: int, posting: Posting, stamp: Row, day: datetime
) -> Row:
    return {
        "ID": books.dice.guid(),
        **stamp,
        **posting.account.piece,
        **posting.piece,
        "AmountDC": posting.amount,
        "AmountFC": posting.amount_fc,
        "AmountVATDC": 0.0,
        "AmountVATFC": 0.0,
        "Date": day,
        "EntryID": entry_id,
        "EntryNumber": number,
        "LineNumber": line_number,
        "OurRef": number,
        "Quantity": 0.0,
        "VATBaseAmountDC": 0.0,
        "VATBaseAmountFC": 0.0,
    }
