"""How to read what Exact's reference leaves open about check figures and payment terms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class FigureOptions:
    """One value per open question; the default is the reading with the better evidence."""

    receivables_negative: bool = True
    """Whether ``AmountDC`` and ``AmountFC`` of a receivable are negative where the customer owes.
    ``TransactionAmountDC`` is positive for an invoice either way."""
    matched_terms_zero: bool = False
    """Whether ``AmountDC`` and ``AmountFC`` of a payment term are what is left of it: 0 once it is matched. Otherwise
    they are the term's size."""
    opening_in_period_0: bool = False
    """Whether ReportingBalance repeats the opening balances of each year as its period 0."""
    opening_ledger_signs: bool = False
    """Whether opening balances have the ledger's sign. Otherwise they are positive on the side in ``BalanceSide``."""
    age_from_due_date: bool = False
    """Whether the age of an open item counts from its due date. Otherwise it counts from its invoice date."""
    payables_list_negative: bool = False
    """Whether the list of payables has what is owed with a negative amount."""
    lists_in_invoice_currency: bool = False
    """Whether the lists of open items are in the currency of the invoice. Otherwise they are in the division's."""
