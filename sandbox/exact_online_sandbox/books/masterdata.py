"""Master data as documents use it: objects built from stored rows, with ready-made pieces of other rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from exact_online_sandbox.books.company import Company
from exact_online_sandbox.books.outbox import Row

Rows = Callable[[str], Iterable[dict[str, Any]]]
"""Gives the rows of an entity."""
Key = TypeVar("Key")
Value = TypeVar("Value")


class MasterdataGoneError(Exception):
    """Somebody has deleted the row that a document would refer to."""


class Known(dict[Key, Value]):
    """Master data by what it is referred to with; to look for what is gone raises `MasterdataGoneError`."""

    def __missing__(self, key: Key) -> NoReturn:
        raise MasterdataGoneError(key)


@dataclass(frozen=True, slots=True)
class Account:
    """A G/L account."""

    id: str
    code: str
    description: str
    profit_and_loss: bool
    piece: Row

    @classmethod
    def of(cls, row: dict[str, Any]) -> Account:
        """From a row of financial/GLAccounts."""
        piece = {
            "GLAccount": row["ID"],
            "GLAccountCode": row["Code"],
            "GLAccountDescription": row["Description"],
        }
        return cls(row["ID"], row["Code"], row["Description"], row["BalanceType"] == "W", piece)


NO_ACCOUNT = Account("", "", "", False, {})
"""What line 0 of a general journal entry is booked on."""


@dataclass(frozen=True, slots=True)
class Vat:
    """A VAT code; `rate` is a fraction."""

    code: str
    description: str
    rate: float
    to_pay: Account
    to_claim: Account
    piece: Row


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal."""

    code: str
    description: str
    account: Account | None
    piece: Row
    """JournalCode and JournalDescription."""
    short_piece: Row
    """Journal and JournalDescription."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A payment condition."""

    code: str
    description: str
    days: int
    discount: float
    discount_days: int
    piece: Row


@dataclass(frozen=True, slots=True)
class Project:
    """A project."""

    id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Item:
    """An article or service."""

    id: str
    code: str
    description: str
    barcode: str | None
    unit: str
    unit_name: str
    service: bool
    fractions: bool
    price: float
    cost: float
    vat: Vat
    revenue: Account
    purchase: Account
    piece: Row


@dataclass(frozen=True, slots=True)
class Relation:
    """A customer or supplier."""

    id: str
    code: str
    name: str
    customer: bool
    supplier: bool
    abroad: bool
    currency: str
    condition: Condition
    discount: float
    contact: str | None
    contact_name: str | None
    address: str | None
    bank: str | None
    bank_number: str | None
    country: str
    piece: Row


@dataclass(frozen=True, slots=True)
class Masterdata:
    """Everything documents refer to."""

    company: Company
    accounts: Known[str, Account]
    """By role, see the charts in tables."""
    by_code: Known[str, Account]
    vats: Known[str, Vat]
    """By role: high, low, zero, abroad, export."""
    journals: Known[str, Journal]
    """By role: cash, bank, purchase, sales, general."""
    conditions: tuple[Condition, ...]
    cost_centers: tuple[Row, ...]
    """Pieces of rows: CostCenter and CostCenterDescription."""
    cost_units: tuple[Row, ...]
    warehouses: tuple[tuple[str, str, str], ...]
    """GUID, code, description; the main one first."""
    projects: tuple[Project, ...]
    customers: tuple[Relation, ...]
    suppliers: tuple[Relation, ...]
    relations: Known[str, Relation]
    """By GUID."""
    items: tuple[Item, ...]
    rates: dict[tuple[str, int, int], float]
    """Value of one unit of a currency in the division's currency, by currency, year and quarter."""
    bank: tuple[str | None, str | None]
    """GUID and number of the company's own bank account; nothing where its journal is gone."""

    @classmethod
    def of(cls, company: Company, rows: Rows) -> Masterdata:
        """From the stored rows of a division; what refers to something that is gone is left out."""
        tables = company.tables
        by_code = Known((row["Code"], Account.of(row)) for row in rows("financial/GLAccounts"))
        by_id = Known((account.id, account) for account in by_code.values())
        vats = Known((vat.code.strip(), vat) for vat in _complete(rows("vat/VATCodes"), lambda row: _vat(row, by_id)))
        journals = {row["Code"]: _journal(row, by_id) for row in rows("financial/Journals")}
        conditions = {row["Code"]: _condition(row) for row in rows("cashflow/PaymentConditions")}
        relations = _relations(rows, company, conditions)
        banks = (
            (row["BankAccountID"], row["BankAccountIBAN"]) for row in rows("financial/Journals") if row["Type"] == 12
        )
        return cls(
            company=company,
            accounts=Known(
                (line.role, by_code[line.code]) for line in tables.chart if line.role and line.code in by_code
            ),
            by_code=by_code,
            vats=Known((line.role, vats[line.code]) for line in tables.vat_codes if line.role and line.code in vats),
            journals=Known((line.role, journals[line.code]) for line in tables.journals if line.code in journals),
            conditions=tuple(conditions.values()),
            cost_centers=tuple(_cost(row, "CostCenter") for row in rows("hrm/Costcenters")),
            cost_units=tuple(_cost(row, "CostUnit") for row in rows("hrm/Costunits")),
            warehouses=tuple((row["ID"], row["Code"], row["Description"]) for row in rows("inventory/Warehouses")),
            projects=tuple(Project(row["ID"], row["Code"], row["Description"]) for row in rows("project/Projects")),
            customers=tuple(relation for relation in relations.values() if relation.customer),
            suppliers=tuple(relation for relation in relations.values() if relation.supplier),
            relations=relations,
            items=tuple(
                _complete(rows("logistics/Items"), lambda row: _item(row, by_id, vats, tables.unit_name(row["Unit"])))
            ),
            rates={
                (row["SourceCurrency"], *_quarter(row["StartDate"])): row["Rate"]
                for row in rows("financial/ExchangeRates")
            },
            bank=next(banks, (None, None)),
        )

    def rate(self, currency: str, day: datetime) -> float:
        """What one unit of the currency is worth in the division's currency at that business date."""
        quarters = [key for key in self.rates if key[0] == currency and key[1:] <= _quarter(day)]
        return self.rates[max(quarters)] if quarters else 1.0


def _complete(rows: Iterable[dict[str, Any]], make: Callable[[dict[str, Any]], Value]) -> Iterator[Value]:
    """Yield what is made of those rows that refer to nothing that is gone."""
    for row in rows:
        with suppress(MasterdataGoneError):
            yield make(row)


def _vat(row: dict[str, Any], accounts: dict[str, Account]) -> Vat:
    piece = {"VATCode": row["Code"], "VATCodeDescription": row["Description"], "VATPercentage": row["Percentage"]}
    to_pay, to_claim = accounts[row["GLToPay"]], accounts[row["GLToClaim"]]
    return Vat(row["Code"], row["Description"], row["Percentage"], to_pay, to_claim, piece)


def _journal(row: dict[str, Any], accounts: dict[str, Account]) -> Journal:
    code, description = row["Code"], row["Description"]
    return Journal(
        code,
        description,
        accounts.get(row.get("GLAccount") or ""),
        {"JournalCode": code, "JournalDescription": description},
        {"Journal": code, "JournalDescription": description},
    )


def _condition(row: dict[str, Any]) -> Condition:
    piece = {"PaymentCondition": row["Code"], "PaymentConditionDescription": row["Description"]}
    discount, days = row["DiscountPercentage"], row["DiscountPaymentDays"]
    return Condition(row["Code"], row["Description"], row["PaymentDays"], discount, days, piece)


def _cost(row: dict[str, Any], kind: str) -> Row:
    return {kind: row["Code"], f"{kind}Description": row["Description"]}


def _quarter(day: datetime) -> tuple[int, int]:
    return day.year, (day.month + 2) // 3


def _item(row: dict[str, Any], accounts: dict[str, Account], vats: dict[str, Vat], unit_name: str) -> Item:
    service = not row["IsStockItem"]
    return Item(
        id=row["ID"],
        code=row["Code"],
        description=row["Description"],
        barcode=row.get("Barcode"),
        unit=row["Unit"],
        unit_name=unit_name,
        service=service,
        fractions=row["IsFractionAllowedItem"],
        price=row["StandardSalesPrice"],
        cost=row["CostPriceStandard"],
        vat=vats[row["SalesVatCode"].strip()],
        revenue=accounts[row["GLRevenue"]],
        purchase=accounts[row["GLCosts"] if service else row["GLStock"]],
        piece={"Item": row["ID"], "ItemCode": row["Code"], "ItemDescription": row["Description"]},
    )


def _relations(rows: Rows, company: Company, conditions: dict[str, Condition]) -> Known[str, Relation]:
    contacts = {row["ID"]: row["FullName"] for row in rows("crm/Contacts")}
    addresses = {row["Account"]: row["ID"] for row in rows("crm/Addresses") if row["Type"] == 4}
    banks = {row["Account"]: (row["ID"], row["BankAccount"]) for row in rows("crm/BankAccounts")}
    found = Known[str, Relation]()
    if not conditions:
        return found
    default = next(iter(conditions.values()))
    for row in rows("crm/Accounts"):
        bank, number = banks.get(row["ID"], (None, None))
        contact = row.get("MainContact")
        code = row.get("PaymentConditionSales") or row.get("PaymentConditionPurchase") or ""
        country = row["Country"].strip()
        found[row["ID"]] = Relation(
            id=row["ID"],
            code=row["Code"],
            name=row["Name"],
            customer=row["IsSales"],
            supplier=row["IsSupplier"],
            abroad=country != company.tables.country,
            currency=row["SalesCurrency"] if row["IsSales"] else row["PurchaseCurrency"],
            condition=conditions.get(code, default),
            discount=row["DiscountSales"],
            contact=contact,
            contact_name=contacts.get(contact or ""),
            address=addresses.get(row["ID"]),
            bank=bank,
            bank_number=number,
            country=country,
            piece={"Account": row["ID"], "AccountCode": row["Code"], "AccountName": row["Name"]},
        )
    return found
