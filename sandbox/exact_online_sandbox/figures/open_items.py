"""Open items: the lists of receivables and payables, their ages, the overview of outstanding invoices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.figures.options import FigureOptions
from exact_online_sandbox.figures.summary import PAYABLE, RECEIVABLE, OpenItem, Summary

IN_TRANSIT = 40
"""Status of a term whose payment the bank has been asked for."""
NOT_APPLICABLE = 1
AGE_GROUPS = ((1, "<= 30"), (2, "31 - 60"), (3, "61 - 90"), (4, "> 90"))
_LAST_DAYS = (30, 60, 90)


def open_item_list(books: Summary, options: FigureOptions, kind: int) -> Iterator[Row]:
    """A row for each open term: what is owed is positive, what was paid in excess negative."""
    for item in books.open_items:
        if item.kind != kind:
            continue
        foreign = options.lists_in_invoice_currency
        amount = _owed(item, item.amount_fc if foreign else item.amount)
        if kind == PAYABLE and options.payables_list_negative:
            amount = -amount + 0.0
        term = item.term
        row: Row = {
            "HID": hid(term["ID"]),
            "AccountCode": term["AccountCode"],
            "AccountId": term["Account"],
            "AccountName": term["AccountName"],
            "Amount": amount,
            "AmountInTransit": amount if term["Status"] == IN_TRANSIT else 0.0,
            "CurrencyCode": term["Currency"] if foreign else books.currency,
            "Description": term["Description"],
            "DueDate": term["DueDate"],
            "EntryNumber": term["EntryNumber"],
            "Id": term["ID"],
            "InvoiceDate": term["InvoiceDate"],
            "InvoiceNumber": term["InvoiceNumber"] or 0,
            "JournalCode": term["Journal"],
            "JournalDescription": term["JournalDescription"],
            "YourRef": term["YourRef"],
        }
        if kind == PAYABLE:
            row["ApprovalStatus"] = NOT_APPLICABLE
        yield row


def hid(term: str) -> int:
    """The number by which the lists know a term: made from its GUID, so that it stays the same."""
    return int(term.replace("-", "")[:13], 16)


def age_group(options: FigureOptions, invoiced: datetime | None, due: datetime | None, today: datetime) -> int:
    """The group (1 to 4) of an open item by its age in days; what is not due yet is in the first."""
    begin = due if options.age_from_due_date else invoiced
    days = 0 if begin is None else (today - begin).days
    return 1 + sum(days > last for last in _LAST_DAYS)


def ageing(books: Summary, options: FigureOptions, today: datetime, kind: int) -> Iterator[Row]:
    """What each relation owes, by age; in the division's currency."""
    found: dict[str, tuple[OpenItem, list[int]]] = {}
    for item in books.open_items:
        if item.kind == kind:
            _, amounts = found.setdefault(item.term["Account"], (item, [0, 0, 0, 0]))
            group = age_group(options, item.term["InvoiceDate"], item.term["DueDate"], today)
            amounts[group - 1] += item.amount
    for account, (first, amounts) in found.items():
        row: Row = {
            "AccountId": account,
            "AccountCode": first.term["AccountCode"],
            "AccountName": first.term["AccountName"],
            "CurrencyCode": books.currency,
            "TotalAmount": _owed(first, sum(amounts)),
        }
        for (group, description), amount in zip(AGE_GROUPS, amounts, strict=True):
            row[f"AgeGroup{group}"] = group
            row[f"AgeGroup{group}Amount"] = _owed(first, amount)
            row[f"AgeGroup{group}Description"] = description
        yield row


def ageing_overview(
    books: Summary, options: FigureOptions, today: datetime, account: str | None = None
) -> Iterator[Row]:
    """What is to be received and paid, of all relations or of one, by age."""
    amounts = {(kind, group): 0 for kind in (RECEIVABLE, PAYABLE) for group, _ in AGE_GROUPS}
    for item in books.open_items:
        if account in (None, item.term["Account"]):
            group = age_group(options, item.term["InvoiceDate"], item.term["DueDate"], today)
            amounts[item.kind, group] += item.amount
    for group, description in AGE_GROUPS:
        yield {
            "AgeGroup": group,
            "AgeGroupDescription": description,
            "AmountPayable": -amounts[PAYABLE, group] / 100 + 0.0,
            "AmountReceivable": amounts[RECEIVABLE, group] / 100,
            "CurrencyCode": books.currency,
        }


def outstanding(books: Summary, today: datetime) -> Iterator[Row]:
    """How many open items there are, what they come to, and how much of that is overdue."""
    row: Row = {"CurrencyCode": books.currency}
    for kind, name in ((RECEIVABLE, "Receivable"), (PAYABLE, "Payable")):
        items = [item for item in books.open_items if item.kind == kind]
        overdue = [item for item in items if item.term["DueDate"] and item.term["DueDate"] < today]
        for state, chosen in (("Outstanding", items), ("Overdue", overdue)):
            amount = sum(item.amount for item in chosen)
            row[f"{state}{name}InvoiceAmount"] = (amount if kind == RECEIVABLE else -amount) / 100 + 0.0
            row[f"{state}{name}InvoiceCount"] = float(len(chosen))
    yield row


def _owed(item: OpenItem, amount: int) -> float:
    """An amount of the ledger as what is owed."""
    return (amount if item.kind == RECEIVABLE else -amount) / 100 + 0.0
