"""Check figures: balances, open items and overviews, added up from the ledger and the payment terms when asked for."""

from __future__ import annotations
