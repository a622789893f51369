"""What a company sets up besides its chart: VAT codes, journals, periods, conditions, cost carriers, currencies."""

from __future__ import annotations

from datetime import date
from typing import Any

from exact_online_sandbox.books.checksums import dutch_account, iban
from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.tables import CountryTables
from exact_online_sandbox.books.tables.country import JournalLine, VatLine
from exact_online_sandbox.books.timeline import business_date, midnight

VAT_CODE_WIDTH = 3
"""VAT codes are padded with blanks on the right to this width, as Exact stores them."""
CURRENCIES = (
    ("EUR", "Euro", 1.0),
    ("GBP", "Pound sterling", 0.85735),
    ("USD", "US dollar", 1.0873),
    ("JPY", "Yen", 162.4),
)
"""Code, name and about how many make a euro."""
CURRENCY_NAMES = {code: name for code, name, _ in CURRENCIES}


def national_bank_account(dice: Dice, tables: CountryTables, country: str) -> tuple[str, str]:
    """Account number and BIC at an invented bank in the country; an IBAN, except in the US and Japan."""
    bank = dice.choice(tables.bank_codes)
    bic = f"{bank}{country}2L"
    if country in ("US", "JP"):
        return dice.digits(10), bic
    if country == "GB":
        return iban("GB", f"{bank}{dice.digits(6)}{dice.digits(8)}"), bic
    return iban(country, f"{bank}{dutch_account(dice)}" if country == "NL" else dice.digits(18)), bic


def found_settings(founding: Founding) -> None:
    """Add the entities named in this module's description, given the chart of accounts."""
    for vat in founding.tables.vat_codes:
        founding.add("vat/VATCodes", _vat(founding, vat))
    for journal in founding.tables.journals:
        founding.add("financial/Journals", _journal(founding, journal))
    _periods(founding)
    _conditions(founding)
    _costs(founding)
    _warehouses_and_units(founding)
    _currencies(founding)


def _named(prefix: str, account: dict[str, Any] | None) -> Row:
    account = account or {}
    return {
        prefix: account.get("ID"),
        f"{prefix}Code": account.get("Code"),
        f"{prefix}Description": account.get("Description"),
    }


def _vat(founding: Founding, line: VatLine) -> Row:
    to_pay = {"high": "vat_to_pay_high", "low": "vat_to_pay_low"}.get(line.role or "", "vat_to_pay_other")
    return {
        "ID": founding.dice.guid(),
        **founding.setup_stamp(),
        "CalculationBasis": 0,
        "Charged": False,
        "Code": line.code.ljust(VAT_CODE_WIDTH),
        "Country": founding.tables.country.ljust(3),
        "Description": line.description,
        "EUSalesListing": "L" if line.role == "abroad" else "N",
        "ExcludeVATListing": 0,
        **_named("GLDiscountPurchase", founding.account("differences")),
        **_named("GLDiscountSales", founding.account("discounts")),
        **_named("GLToClaim", founding.account("vat_to_claim")),
        **_named("GLToPay", founding.account(to_pay)),
        "IntraStat": line.role == "abroad",
        "IsBlocked": False,
        "Percentage": line.rate,
        "Type": line.type,
        "VatDocType": "P",
        "VatMargin": 0,
        "VATPartialRatio": 0,
        "VATTransactionType": "S" if line.role in ("abroad", "export") else "B",
    }


def _journal(founding: Founding, line: JournalLine) -> Row:
    tables = founding.tables
    account = founding.account(line.account) if line.account else None
    row = {
        "ID": founding.dice.guid(),
        **founding.setup_stamp(),
        "AllowVariableCurrency": line.role in ("sales", "purchase"),
        "AllowVariableExchangeRate": line.role != "cash",
        "AllowVAT": line.role != "general",
        "AutoSave": False,
        "Code": line.code,
        "Currency": tables.currency,
        "CurrencyDescription": tables.currency_name,
        "Description": line.description,
        **_named("GLAccount", account),
        "GLAccountType": account["Type"] if account else None,
        "IsBlocked": False,
        "Type": line.type,
    }
    if line.role == "bank":
        number, bic = national_bank_account(founding.dice, tables, tables.country)
        row.update(
            Bank=founding.dice.guid(),
            BankAccountBICCode=bic,
            BankAccountCountry=tables.country.ljust(3),
            BankAccountDescription=tables.words["main bank"],
            BankAccountIBAN=number,
            BankAccountID=founding.dice.guid(),
            BankAccountIncludingMask=" ".join(number[at : at + 4] for at in range(0, len(number), 4)),
            BankAccountUseSEPA=tables.country == "NL",
            BankAccountUseSepaDirectDebit=False,
            BankName=f"{bic[:4].title()} Bank",
        )
    return row


def _periods(founding: Founding) -> None:
    company, timeline = founding.company, founding.timeline
    first_year, last_year = (company.fiscal(business_date(at))[0] for at in (timeline.start, timeline.end))
    # The year after is set up as well: business goes on.
    for year in range(first_year, last_year + 2):
        for period in range(1, 13):
            first, last = company.period(year, period)
            founding.add(
                "financial/FinancialPeriods",
                {
                    "ID": founding.dice.guid(),
                    **founding.setup_stamp(),
                    "EndDate": midnight(last),
                    "FinPeriod": period,
                    "FinYear": year,
                    "StartDate": midnight(first),
                },
            )


def _conditions(founding: Founding) -> None:
    for line in founding.tables.conditions:
        founding.add(
            "cashflow/PaymentConditions",
            {
                "ID": founding.dice.guid(),
                **founding.setup_stamp(),
                "Code": line.code,
                "Description": line.description,
                "DiscountCalculation": "I",
                "DiscountPaymentDays": line.discount_days,
                "DiscountPercentage": line.discount,
                "PaymentDays": line.days,
                "PaymentDiscountType": "B",
                "PaymentEndOfMonths": 0,
                "PaymentMethod": "B" if line.days else "K",
                "Percentage": 1.0,
                "VATCalculation": "E",
            },
        )


def _costs(founding: Founding) -> None:
    for entity, lines in (
        ("hrm/Costcenters", founding.tables.cost_centers),
        ("hrm/Costunits", founding.tables.cost_units),
    ):
        stamps = founding.changed_stamps(len(lines), 0.8)
        for (code, description), stamp in zip(lines, stamps, strict=True):
            row = {"ID": founding.dice.guid(), **stamp, "Code": code, "Description": description, "EndDate": None}
            founding.add(entity, {**row, "Active": True} if entity == "hrm/Costcenters" else row)


def _warehouses_and_units(founding: Founding) -> None:
    tables = founding.tables
    for index, (code, description) in enumerate(tables.warehouses):
        founding.add(
            "inventory/Warehouses",
            {
                "ID": founding.dice.guid(),
                **founding.setup_stamp(),
                "Code": code,
                "Description": description,
                "EMail": f"stock{index + 1}@{tables.web_domain}",
                "Main": int(index == 0),
                "ManagerUser": founding.company.users[0].id,
                "UseStorageLocations": 0,
            },
        )
    for index, (code, description, kind) in enumerate(tables.units):
        founding.add(
            "logistics/Units",
            {
                "ID": founding.dice.guid(),
                "Division": founding.company.division,
                "Active": True,
                "Code": code,
                "Description": description,
                "Main": int(index == 0),
                "TimeUnit": {"uur": "h", "hour": "h", "maand": "m", "month": "m"}.get(code),
                "Type": kind,
            },
        )


def _currencies(founding: Founding) -> None:
    tables, dice = founding.tables, founding.dice
    own = next(worth for code, _, worth in CURRENCIES if code == tables.currency)
    for code, name, worth in CURRENCIES:
        founding.add(
            "general/Currencies",
            {
                "Code": code,
                "AmountPrecision": 1.0 if code == "JPY" else 0.01,
                "Created": founding.founded,
                "Description": name,
                "Modified": founding.founded,
                "PricePrecision": 0.001,
            },
        )
        if code == tables.currency:
            continue
        for year in founding.timeline.years:
            for month in (1, 4, 7, 10):
                if date(year, month, 1) > founding.timeline.end.date():
                    break
                founding.add(
                    "financial/ExchangeRates",
                    {
                        "ID": dice.guid(),
                        **founding.setup_stamp(),
                        "Rate": round(own / worth * dice.uniform(0.97, 1.03), 9),
                        "SourceCurrency": code,
                        "SourceCurrencyDescription": name,
                        "StartDate": midnight(date(year, month, 1)),
                        "TargetCurrency": tables.currency,
                        "TargetCurrencyDescription": tables.currency_name,
                    },
                )
