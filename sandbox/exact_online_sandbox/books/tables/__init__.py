"""The tables the generator draws from. All persons and firms in them are invented."""

from __future__ import annotations

from exact_online_sandbox.books.tables.british import BRITISH
from exact_online_sandbox.books.tables.country import CountryTables
from exact_online_sandbox.books.tables.dutch import DUTCH

BY_CURRENCY = {tables.currency: tables for tables in (DUTCH, BRITISH)}

__all__ = ["BRITISH", "BY_CURRENCY", "DUTCH", "CountryTables"]
