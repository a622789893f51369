"""The company that keeps the books: its division, users and facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from exact_online_sandbox.books.checksums import british_vat_number, dutch_vat_number
from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.tables import BRITISH, DUTCH, CountryTables
from exact_online_sandbox.books.tables.country import Town
from exact_online_sandbox.books.timeline import Timeline, midnight, tick

ACCOUNT_CODE_WIDTH = 18
"""Account codes are padded with blanks on the left to this width, as Exact stores them."""
FIRST_WIDE_HID = 2**53 + 1
"""The first integer a JSON reader with doubles gets wrong."""


@dataclass(frozen=True, slots=True)
class User:
    """A person who logs in and changes rows."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Company:
    """One division and what its rows have in common."""

    division: int
    name: str
    tables: CountryTables
    users: tuple[User, ...]
    carries_over: bool = False
    """Whether closing a year also empties the balance sheet and fills it anew in the next one."""

    def fiscal(self, day: date) -> tuple[int, int]:
        """Financial year, called after the calendar year in which it begins, and period (1 to 12) of a date."""
        year, month = divmod(day.year * 12 + day.month - self.tables.first_month, 12)
        return year, month + 1

    def period(self, year: int, period: int) -> tuple[date, date]:
        """First and last day of a period of a financial year."""
        year, month = divmod(year * 12 + self.tables.first_month - 1 + period - 1, 12)
        following = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
        return date(year, month + 1, 1), following - timedelta(days=1)

    def stamp(self, dice: Dice, created: datetime, modified: datetime | None = None) -> Row:
        """The columns that say who created and changed a row, and the division."""
        creator = dice.skewed(self.users)
        modifier = creator if modified is None else dice.choice(self.users)
        return {
            "Division": self.division,
            "Created": created,
            "Creator": creator.id,
            "CreatorFullName": creator.name,
            "Modified": modified or created,
            "Modifier": modifier.id,
            "ModifierFullName": modifier.name,
        }


def account_code(number: int | str) -> str:
    """A relation's code, padded as Exact stores it."""
    return str(number).rjust(ACCOUNT_CODE_WIDTH)


def division_code(index: int) -> int:
    """The number of the nth division (0, 1, ...): six digits at first, seven later on; independent of seed and size."""
    return 412_873 + 371_019 * index + 17 * index * index


def invent_company(dice: Dice, index: int) -> Company:
    """The nth company: Dutch for even, British for odd numbers."""
    tables = (DUTCH, BRITISH)[index % 2]
    name = tables.company_names[index // 2 % len(tables.company_names)]
    if index >= 2 * len(tables.company_names):
        name = f"{name} ({index + 1})"
    people = dice.sample(range(len(tables.first_names)), 3)
    users = tuple(
        User(dice.guid(), f"{tables.first_names[person][0]} {dice.choice(tables.last_names)}") for person in people
    )
    return Company(division_code(index), name, tables, users, carries_over=index % 3 == 2)


def postcode(dice: Dice, tables: CountryTables, town: Town) -> str:
    """A postal code in the form of the country, in the town's area."""
    letters = "ABDEGHJLNPQRSTUWXYZ"
    tail = dice.choice(letters) + dice.choice(letters)
    if tables.country == "GB":
        return f"{town.area}{dice.randrange(1, 20)} {dice.randrange(1, 10)}{tail}"
    return f"{town.area}{dice.randrange(10, 100)} {tail}"


def vat_number(dice: Dice, tables: CountryTables) -> str:
    """A formally valid VAT number of the country."""
    return british_vat_number(dice) if tables.country == "GB" else dutch_vat_number(dice)


def division_row(dice: Dice, company: Company, timeline: Timeline, index: int) -> Row:
    """The row of system/Divisions, with all its properties."""
    tables = company.tables
    town = dice.choice(tables.towns)
    dutch = tables.country == "NL"
    created = tick(timeline.start - timedelta(days=40, minutes=13, milliseconds=643))
    modified = dice.choice(timeline.notable) if timeline.notable else timeline.end
    return {
        "Code": company.division,
        **{key: value for key, value in company.stamp(dice, created, modified).items() if key != "Division"},
        "AddressLine1": f"{dice.choice(tables.streets)} {dice.randrange(1, 200)}",
        "AddressLine2": None,
        "AddressLine3": None,
        "ArchiveDate": None,
        "BlockingStatus": 0,
        "BusinessTypeCode": "10" if dutch else "LTD",
        "BusinessTypeDescription": "Besloten vennootschap" if dutch else "Private limited company",
        "ChamberOfCommerceEstablishment": f"0000{dice.digits(8)}" if dutch else None,
        "ChamberOfCommerceNumber": dice.digits(8),
        "City": town.name,
        **{f"Class_{number:02d}": None for number in range(1, 6)},
        "CompanySizeCode": "2",
        "CompanySizeDescription": "10 - 49",
        "Country": tables.country.ljust(3),
        "Currency": tables.currency,
        "Current": index == 0,
        "Customer": dice.guid(),
        "CustomerCode": account_code(90_000 + index),
        "CustomerName": company.name,
        "DatevAccountantNumber": None,
        "DatevClientNumber": None,
        "Description": company.name,
        "DivisionHRLinkUnlinkDate": None,
        "DivisionMoveDate": None,
        "Email": f"info{index + 1}@{tables.web_domain}",
        "Fax": None,
        "Hid": FIRST_WIDE_HID + 2 * index,
        "IsDossierDivision": False,
        "IsHRDivision": False,
        "IsMainDivision": index == 0,
        "IsPracticeDivision": False,
        "Legislation": tables.legislation,
        "OBNumber": dice.digits(9) if dutch else None,
        "Phone": f"{tables.phone_prefix} {dice.digits(9)}",
        "Postcode": postcode(dice, tables, town),
        "SbiCode": "4673" if dutch else None,
        "SbiDescription": "Groothandel in hout, verf en bouwmaterialen" if dutch else None,
        "SectorCode": "G",
        "SectorDescription": "Groot- en detailhandel" if dutch else "Wholesale & retail trade",
        "ShareCapital": 18_000.0 if dutch else 100.0,
        "SiretNumber": None,
        "StartDate": midnight(timeline.start.date().replace(day=1)),
        "State": town.state.ljust(3),
        "Status": 1,
        "SubsectorCode": "G46",
        "SubsectorDescription": "Groothandel" if dutch else "Wholesale trade",
        "TaxOfficeNumber": None,
        "TaxReferenceNumber": dice.digits(9),
        "TemplateCode": None,
        "VATNumber": vat_number(dice, tables),
        "Website": f"https://www.{tables.web_domain}",
    }
