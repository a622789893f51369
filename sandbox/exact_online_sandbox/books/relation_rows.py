"""Rows of relations, their contacts, addresses and bank accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exact_online_sandbox.books.chart import search_code
from exact_online_sandbox.books.company import vat_number
from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.places import Place
from exact_online_sandbox.books.settings import CURRENCY_NAMES, VAT_CODE_WIDTH, national_bank_account
from exact_online_sandbox.books.timeline import business_date, midnight

COUNTRY_WIDTH, LANGUAGE_WIDTH, STATE_WIDTH = 3, 10, 3
"""Codes of country, language and state are padded on the right to these widths, as Exact stores them."""
VISIT, INVOICE, DELIVERY = 1, 3, 4
"""Kinds of address (Addresses.Type)."""


@dataclass(frozen=True, slots=True)
class Person:
    """A contact person."""

    id: str
    first_name: str
    last_name: str
    gender: str

    @property
    def name(self) -> str:
        """Full name."""
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class Party:
    """A relation before it is written down; `stamp` is shared by all its rows."""

    id: str
    index: int
    code: str
    name: str
    supplier: bool
    place: Place
    contact: Person
    created: datetime
    stamp: Row

    @property
    def host(self) -> str:
        """Its host name below the country's example domain."""
        name = search_code(self.name.strip()).lower().encode("ascii", "ignore").decode()
        return f"{'-'.join(name.split()) or 'firm'}{self.index}.{self.place.web_domain}"


def account_row(founding: Founding, party: Party) -> Row:
    """A row of crm/Accounts."""
    dice, tables = founding.dice, founding.tables
    place, index, supplier = party.place, party.index, party.supplier
    account_manager = founding.company.users[-1]
    since = business_date(party.created)
    return {
        "ID": party.id,
        **party.stamp,
        **_trade_terms(founding, party),
        "AccountManager": account_manager.id,
        "AccountManagerFullName": account_manager.name,
        "AccountManagerHID": 3,
        "AddressLine1": place.street,
        "AddressLine2": "Unit 4b" if index % 17 == 3 else None,
        "AddressLine3": None,
        "AutomaticProcessProposedEntry": 0,
        "Blocked": index % 37 == 36,
        "CanDropShip": False,
        "ChamberOfCommerce": dice.digits(8),
        "City": place.town.name,
        "Code": party.code,
        "ConsolidationScenario": 2,
        "CodeAtSupplier": f"K-{dice.digits(5)}" if supplier else None,
        "CostPaid": 0,
        "Country": place.country.ljust(COUNTRY_WIDTH),
        "CountryName": place.country_name,
        "CustomerSince": None if supplier else since,
        "ControlledDate": midnight(founding.timeline.notable[0].date()) if index % 9 == 4 else None,
        "DeliveryAdvice": 0,
        "Email": f"info@{party.host}",
        "EnableSalesPaymentLink": False,
        "HasWithholdingTaxSales": False,
        "IgnoreDatevWarningMessage": False,
        "InvoiceAttachmentType": 1,
        "InvoicingMethod": 2,
        "IsAccountant": 0,
        "IsAgency": 0,
        "IsAnonymised": 0,
        "IsBank": False,
        "IsCompetitor": 0,
        "IsExtraDuty": False,
        "IsMailing": 0,
        "IsMember": False,
        "IsPilot": False,
        "IsPurchase": False,
        "IsReseller": False,
        "IsSales": not supplier,
        "IsSupplier": supplier,
        "Language": place.language.ljust(LANGUAGE_WIDTH),
        "LanguageDescription": place.language_name,
        "Latitude": round(dice.uniform(50.7, 58.1), 6),
        "Longitude": round(dice.uniform(-4.9, 7.1), 6),
        "LogoThumbnailUrl": f"https://www.{tables.web_domain}/docs/images/placeholder_account_myeol.png",
        "LogoUrl": f"https://www.{tables.web_domain}/docs/images/placeholder_account_myeol.png",
        "MainContact": party.contact.id,
        "Name": party.name,
        "Phone": f"{tables.phone_prefix} {dice.digits(9)}",
        "Postcode": place.postcode,
        "RecepientOfCommissions": False,
        "Remarks": dice.choice(tables.remarks) if index % 6 == 1 else None,
        "SearchCode": search_code(party.name.strip()),
        "SecurityLevel": 10,
        "SeparateInvPerProject": 0,
        "SeparateInvPerSubscription": 0,
        "ShowRemarkForSales": index % 6 == 1,
        "Source": 0,
        "StartDate": since,
        "State": _state(place),
        "StateName": place.town.state_name or None,
        "Status": "A" if supplier else "C",
        "StatusSince": since,
        "TradeName": party.name.strip(),
        "Type": "A",
        "VATNumber": None if place.abroad else vat_number(dice, tables),
        "Website": f"https://{party.host}",
    }


def contact_row(founding: Founding, party: Party, person: Person, number: int) -> Row:
    """A row of crm/Contacts; the party's own contact is the main one."""
    dice, tables = founding.dice, founding.tables
    place, index, supplier = party.place, party.index, party.supplier
    email = f"{person.first_name[0].lower()}{number}@{party.host}"
    born = midnight(founding.timeline.start.date().replace(year=1960 + index % 40))
    street, _, house = place.street.rpartition(" ")
    return {
        "ID": person.id,
        **party.stamp,
        "Account": party.id,
        "AccountIsCustomer": not supplier,
        "AccountIsSupplier": supplier,
        "AccountMainContact": party.contact.id,
        "AccountName": party.name,
        "BusinessEmail": email,
        "BusinessMobile": f"{tables.phone_prefix} 7{dice.digits(8)}",
        "BusinessPhone": f"{tables.phone_prefix} {dice.digits(9)}",
        "City": place.town.name,
        "Country": place.country.ljust(COUNTRY_WIDTH),
        "Email": email,
        "FirstName": person.first_name,
        "FullName": person.name,
        "Gender": person.gender,
        "HID": number,
        "Initials": f"{person.first_name[0]}.",
        "IsAnonymised": 0,
        "IsMailingExcluded": index % 4 == 0,
        "IsMainContact": person is party.contact,
        "JobTitleDescription": dice.choice(tables.job_titles),
        "Language": place.language.ljust(LANGUAGE_WIDTH),
        "LastName": person.last_name,
        "Nationality": place.country,
        "Notes": dice.choice(tables.remarks) if index % 8 == 2 else None,
        "Person": dice.guid(),
        "PictureUrl": None,
        "Postcode": place.postcode,
        "StartDate": business_date(founding.founded),
        "BirthDate": born if index % 10 == 7 else None,
        "AddressStreet": street,
        "AddressStreetNumber": house,
        "State": _state(place),
    }


def address_row(founding: Founding, party: Party, kind: int) -> Row:
    """A row of crm/Addresses of this kind."""
    dice, tables, place = founding.dice, founding.tables, party.place
    street = place.street if kind == VISIT else f"{dice.choice(tables.streets)} {dice.randrange(1, 250)}"
    return {
        "ID": dice.guid(),
        **party.stamp,
        "Account": party.id,
        "AccountIsSupplier": party.supplier,
        "AccountName": party.name,
        "AddressLine1": street,
        "AddressLine2": None,
        "AddressLine3": None,
        "City": place.town.name,
        "Contact": party.contact.id,
        "ContactName": party.contact.name,
        "Country": place.country.ljust(COUNTRY_WIDTH),
        "CountryName": place.country_name,
        "FreeBoolField_01": kind == DELIVERY,
        "FreeDateField_01": business_date(dice.choice(founding.timeline.notable)) if kind == INVOICE else None,
        "FreeNumberField_01": dice.choice((0.1 + 0.2, 1e-05, 1234.5678)) if kind == DELIVERY else None,
        "FreeTextField_01": dice.choice(tables.remarks) if kind == INVOICE else None,
        "Main": True,
        "Notes": dice.choice(tables.remarks) if dice.chance(0.1) else None,
        "Phone": f"{tables.phone_prefix} {dice.digits(9)}",
        "Postcode": place.postcode,
        "Source": 0,
        "Type": kind,
        "State": _state(place),
        "StateDescription": place.town.state_name or None,
    }


def bank_account_row(founding: Founding, party: Party) -> Row:
    """A row of crm/BankAccounts."""
    number, bic = national_bank_account(founding.dice, founding.tables, party.place.country)
    return {
        "ID": founding.dice.guid(),
        **party.stamp,
        "Account": party.id,
        "AccountName": party.name,
        "BankAccount": number,
        "BankAccountHolderName": party.name.strip(),
        "BankName": f"{bic[:4].title()} Bank",
        "BICCode": bic,
        "Blocked": False,
        "Description": founding.tables.words["main bank"],
        "IBAN": number,
        "Main": True,
        "Type": "A",
    }


def _trade_terms(founding: Founding, party: Party) -> Row:
    """Conditions, currencies, VAT codes and G/L accounts that documents of the relation start from."""
    dice, tables = founding.dice, founding.tables
    place, index, supplier = party.place, party.index, party.supplier
    condition = dice.choice(tables.conditions[1:])
    role = "high" if not place.abroad else "abroad" if place.in_union else "export"
    vat = next(line for line in tables.vat_codes if line.role == role)
    side = "Purchase" if supplier else "Sales"
    currency = CURRENCY_NAMES[place.currency]
    return {
        "CreditLinePurchase": 0.0,
        "CreditLineSales": 0.0 if supplier else float(dice.choice((0, 2500, 10_000, 125_000.55))),
        "DiscountPurchase": 0.0,
        "DiscountSales": 0.0 if supplier or index % 7 else 0.025,
        "GLAP": founding.account("payable")["ID"] if supplier else None,
        "GLAR": None if supplier else founding.account("receivable")["ID"],
        f"PaymentCondition{side}": condition.code,
        f"PaymentCondition{side}Description": condition.description,
        "PurchaseCurrency": place.currency,
        "PurchaseCurrencyDescription": currency,
        "PurchaseLeadDays": dice.randrange(0, 15) if supplier else 0,
        f"{side}VATCode": vat.code.ljust(VAT_CODE_WIDTH),
        f"{side}VATCodeDescription": vat.description,
        "SalesCurrency": place.currency,
        "SalesCurrencyDescription": currency,
        "ShippingLeadDays": 0 if supplier else dice.randrange(0, 4),
    }


def _state(place: Place) -> str | None:
    return place.town.state.ljust(STATE_WIDTH) if place.town.state else None
