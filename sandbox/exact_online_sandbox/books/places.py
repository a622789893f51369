"""Where relations are: mostly in the company's own country, some abroad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from exact_online_sandbox.books.company import postcode
from exact_online_sandbox.books.dice import Dice
from exact_online_sandbox.books.tables import CountryTables
from exact_online_sandbox.books.tables.country import Town

ABROAD_SHARE = 0.1


class Abroad(NamedTuple):
    """A foreign country with a firm in it."""

    country: str
    name: str
    currency: str
    language: str
    language_name: str
    in_union: bool
    firm: str
    town: Town


# fmt: off
ABROAD = (
    Abroad("DE", "Deutschland", "EUR", "DE", "Deutsch", True, "Bäckerei Groß & Söhne GmbH",
           Town("Köln", "NW", "", "506")),
    Abroad("BE", "België", "EUR", "NL-BE", "Nederlands (België)", True, "Brouwerij 't Hemelrijk BV",
           Town("Gent", "", "", "90")),
    Abroad("FR", "France", "EUR", "FR", "Français", True, "Crêperie de l'Été SARL", Town("Besançon", "", "", "250")),
    Abroad("IE", "Ireland", "EUR", "EN", "English", True, "Siopa an Chúinne Teo.",
           Town("Dún Laoghaire", "", "", "A96 ")),
    Abroad("US", "United States", "USD", "EN", "English", False, 'Tall "Pines" Lumber, Inc.',
           Town("Duluth", "MN", "Minnesota", "558")),
    Abroad("JP", "日本", "JPY", "EN", "English", False, "みなと木材 K.K.", Town("神戸市", "", "", "650-00")),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Place:
    """Country and address of a relation."""

    country: str
    country_name: str
    currency: str
    language: str
    language_name: str
    in_union: bool
    """Whether the country is in the European Union."""
    town: Town
    postcode: str
    street: str
    abroad: bool
    firm: str | None
    """Name of the firm there, None where any name will do."""
    web_domain: str


def draw_place(dice: Dice, tables: CountryTables) -> Place:
    """A place at home or, now and then, abroad."""
    street = f"{dice.choice(tables.streets)} {dice.randrange(1, 250)}"
    if dice.chance(ABROAD_SHARE):
        abroad = dice.choice(ABROAD)
        code = f"{abroad.town.area}{dice.randrange(10, 100)}"
        return Place(*abroad[:6], abroad.town, code, street, True, abroad.firm, tables.web_domain)
    town = dice.choice(tables.towns)
    return Place(
        country=tables.country,
        country_name=tables.country_name,
        currency=tables.currency,
        language=tables.language,
        language_name=tables.language_name,
        in_union=tables.country == "NL",
        town=town,
        postcode=postcode(dice, tables, town),
        street=street,
        abroad=False,
        firm=None,
        web_domain=tables.web_domain,
    )
