"""What differs between a Dutch and a British company: words, codes, rates and places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Town(NamedTuple):
    """A town, its province or county, and the area part of its postal codes."""

    name: str
    state: str
    state_name: str
    area: str


class ChartLine(NamedTuple):
    """A G/L account of the standard chart. `type` is GLAccounts.Type; `role` is how the generator finds it."""

    code: str
    description: str
    type: int
    role: str | None = None


class VatLine(NamedTuple):
    """A VAT code. `rate` is a fraction; `type` is VATCodes.Type; `role` is high, low, zero, abroad or None."""

    code: str
    description: str
    rate: float
    type: str
    role: str | None


class ClassificationLine(NamedTuple):
    """A node of the classification scheme and the GLAccounts.Type values that fall under it."""

    code: str
    name: str
    parent: str | None
    side: str
    types: tuple[int, ...] = ()


class JournalLine(NamedTuple):
    """A journal. `type` is Journals.Type; `account` is the role of its G/L account."""

    code: str
    description: str
    type: int
    role: str
    account: str | None


class ConditionLine(NamedTuple):
    """A payment condition; `discount` is a fraction that applies within `discount_days`."""

    code: str
    description: str
    days: int
    discount: float = 0.0
    discount_days: int = 0


class GroupLine(NamedTuple):
    """An item group, its kind of revenue and the articles it holds (noun, unit code, lowest and highest price)."""

    code: str
    description: str
    service: bool
    vat: str
    articles: tuple[tuple[str, str, float, float], ...]


class ChargeLine(NamedTuple):
    """An order charge; `amount` is without VAT, `vat` is the role of its VAT code."""

    code: str
    description: str
    amount: float
    vat: str
    shipping: bool = False
    active: bool = True


@dataclass(frozen=True, slots=True)
class CountryTables:
    """All facts and words of one country."""

    country: str
    country_name: str
    currency: str
    currency_name: str
    language: str
    language_name: str
    legislation: str
    first_month: int
    """Month in which the financial year begins."""
    phone_prefix: str
    web_domain: str
    company_names: tuple[str, ...]
    legal_forms: tuple[str, ...]
    business_words: tuple[str, ...]
    trades: tuple[str, ...]
    first_names: tuple[tuple[str, str], ...]
    last_names: tuple[str, ...]
    job_titles: tuple[str, ...]
    streets: tuple[str, ...]
    towns: tuple[Town, ...]
    bank_codes: tuple[str, ...]
    chart: tuple[ChartLine, ...]
    classifications: tuple[ClassificationLine, ...]
    vat_codes: tuple[VatLine, ...]
    journals: tuple[JournalLine, ...]
    conditions: tuple[ConditionLine, ...]
    cost_centers: tuple[tuple[str, str], ...]
    cost_units: tuple[tuple[str, str], ...]
    groups: tuple[GroupLine, ...]
    charges: tuple[ChargeLine, ...]
    units: tuple[tuple[str, str, str], ...]
    warehouses: tuple[tuple[str, str], ...]
    type_names: dict[int, str]
    expenses: tuple[tuple[str, str], ...]
    words: dict[str, str]
    remarks: tuple[str, ...]

    def unit_name(self, code: str) -> str:
        """Description of the unit with this code."""
        return next(description for unit, description, _ in self.units if unit == code)
