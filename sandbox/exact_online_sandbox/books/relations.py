"""Customers and suppliers with their contacts, addresses and bank accounts."""

from __future__ import annotations

from datetime import datetime, timedelta

from exact_online_sandbox.books.company import account_code
from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.places import ABROAD, draw_place
from exact_online_sandbox.books.relation_rows import (
    DELIVERY,
    INVOICE,
    VISIT,
    Party,
    Person,
    account_row,
    address_row,
    bank_account_row,
    contact_row,
)
from exact_online_sandbox.books.timeline import tick

BATCH_SHARE = 0.6
"""Share of the ordinary changes that were one import: all at the same instant."""
FIRST_CUSTOMER, FIRST_SUPPLIER, FIRST_CONTACT = 1001, 60_001, 100_001
LONG_CODE = "353359132963905731"
"""A code that fills the column, as some relations have in practice."""
# fmt: off
AWKWARD_NAMES = (
    "  Jansen & Zn.  ", "Café 't Vooronder", "Smørrebrød & Co", "O'Hanrahan \"The Yard\" Stores", "Ünal Döner €5",
    "Zagerij <Zilver>", "Emoji 🪵 Timber", "Ångström; Handel", "A & B's \\ C/D", "Dvojtečka Łódź",
)
# fmt: on


def found_relations(founding: Founding, customers: int, suppliers: int) -> None:
    """Add crm/Accounts, Contacts, Addresses and BankAccounts, given chart and settings."""
    total = customers + suppliers
    timeline, dice = founding.timeline, founding.dice
    span = timeline.end - timeline.start
    imported = tick(timeline.start + span * 0.61 + timedelta(hours=3, milliseconds=127))
    changes = timeline.instants(dice, total)
    dice.shuffle(changes)
    for index in range(total):
        modified = changes[index]
        if modified not in timeline.notable and dice.chance(BATCH_SHARE):
            modified = imported
        created = _created(dice, founding.founded, timeline.start + span / 4, modified)
        _relation(founding, index, created, modified, supplier=index >= customers)


def _created(dice: Dice, earliest: datetime, latest: datetime, modified: datetime) -> datetime:
    """Most relations are there from the beginning, so that documents of any date can refer to them."""
    if dice.chance(0.75):
        return earliest
    return tick(min(modified, earliest + (latest - earliest) * dice.random()))


def _relation(founding: Founding, index: int, created: datetime, modified: datetime, *, supplier: bool) -> None:
    dice = founding.dice
    place = draw_place(dice, founding.tables)
    number = FIRST_SUPPLIER + index if supplier else FIRST_CUSTOMER + index
    party = Party(
        id=dice.guid(),
        index=index,
        code=LONG_CODE if index == 2 else account_code(number),
        name=_firm_name(founding, index, place.firm),
        supplier=supplier,
        place=place,
        contact=_person(founding),
        created=created,
        stamp=founding.company.stamp(dice, created, modified),
    )
    people = [party.contact] if index % 4 else [party.contact, _person(founding)]
    for person in people:
        contacts = len(founding.rows("crm/Contacts"))
        founding.add("crm/Contacts", contact_row(founding, party, person, FIRST_CONTACT + contacts))
    for kind in (VISIT, DELIVERY) if index % 5 else (VISIT, DELIVERY, INVOICE):
        founding.add("crm/Addresses", address_row(founding, party, kind))
    if supplier or index % 3 == 0:
        founding.add("crm/BankAccounts", bank_account_row(founding, party))
    founding.add("crm/Accounts", account_row(founding, party))


def _person(founding: Founding) -> Person:
    first_name, gender = founding.dice.choice(founding.tables.first_names)
    return Person(founding.dice.guid(), first_name, founding.dice.choice(founding.tables.last_names), gender)


def _firm_name(founding: Founding, index: int, given: str | None) -> str:
    dice, tables = founding.dice, founding.tables
    if given is not None:
        return f"{given} {index}" if index > len(ABROAD) else given
    if index % 12 == 5:
        return AWKWARD_NAMES[index // 12 % len(AWKWARD_NAMES)]
    words = (dice.choice(tables.business_words), dice.choice(tables.trades), dice.choice(tables.legal_forms))
    return " ".join(word for word in words if word)
