"""The end of a financial year: its result goes to the reserves; some companies carry their balances over as well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from exact_online_sandbox.books import ledger
from exact_online_sandbox.books.ledger import Books, Entry, Posting
from exact_online_sandbox.books.timeline import midnight

CLOSED_AFTER = timedelta(days=75)
"""How long after its end a year is closed."""


def last_day(books: Books, year: int) -> datetime:
    """The last business date of a financial year."""
    return midnight(books.data.company.period(year, 12)[1])


def close_year(books: Books, year: int, at: datetime) -> int:
    """Post what closes a year, dated on its last day; returns the number of transaction lines.

    Each account of profit and loss is posted against itself, and the result goes to the reserves. Companies that carry
    their balances over post it as net result, empty the balance sheet and fill it anew on the day after.
    """
    data, end = books.data, last_day(books, year)
    long = data.company.carries_over
    results = {
        code: amount
        for (posted, code), amount in sorted(books.balances.items())
        if posted == year and amount and data.by_code[code].profit_and_loss
    }
    lines = [_posting(books, code, -amount) for code, amount in results.items()]
    lines.append(_posting(books, data.accounts["reserves"].code, sum(results.values())))
    kind = ledger.NET_RESULT if long else ledger.PERIOD_CLOSING
    rows = _post(books, kind, books.word("year end"), lines, end, at)
    if not long:
        return rows
    balances: dict[str, int] = {}
    for (posted, code), amount in sorted(books.balances.items()):
        if posted <= year and not data.by_code[code].profit_and_loss:
            balances[code] = balances.get(code, 0) + amount
    carried = {code: amount for code, amount in balances.items() if amount}
    emptied = [_posting(books, code, -amount) for code, amount in carried.items()]
    filled = [_posting(books, code, amount) for code, amount in carried.items()]
    rows += _post(books, ledger.CLOSING_BALANCE, books.word("year end"), emptied, end, at)
    return rows + _post(books, ledger.OPENING_NEXT, books.word("year start"), filled, end + timedelta(days=1), at)


def _posting(books: Books, code: str, cents: int) -> Posting:
    return Posting(books.data.by_code[code], cents / 100, cents / 100)


def _post(books: Books, kind: int, description: str, lines: Sequence[Posting], day: datetime, at: datetime) -> int:
    if not any(line.amount for line in lines):
        return 0
    entry = Entry(
        id=books.dice.guid(),
        number=books.new_entry_number("general", day),
        journal=books.data.journals["general"],
        type=kind,
        day=day,
        at=at,
        stamp=books.stamp(at),
        description=description,
        currency=books.data.company.tables.currency,
        rate=1.0,
    )
    return len(books.post_lines(entry, lines, at=at))
