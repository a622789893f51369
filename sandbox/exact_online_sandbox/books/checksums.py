"""Numbers with a checksum: bank accounts, VAT numbers, bar codes. All invented, all formally valid."""

from __future__ import annotations

from exact_online_sandbox.books.dice import Dice


def _as_number(text: str) -> int:
    """Digits stay, A is 10 to Z is 35 (ISO 13616, ISO 7064)."""
    return int("".join(str(int(character, 36)) for character in text))


def iban(country: str, account: str) -> str:
    """IBAN of a national account number (ISO 13616, modulo 97)."""
    check = 98 - _as_number(f"{account}{country}00") % 97
    return f"{country}{check:02d}{account}"


def valid_iban(text: str) -> bool:
    """Whether the check digits of an IBAN are right."""
    return _as_number(text[4:] + text[:4]) % 97 == 1


def dutch_account(dice: Dice) -> str:
    """Ten digits that pass the eleven test of Dutch account numbers."""
    while True:
        digits = f"0{dice.digits(9)}"
        if sum(int(digit) * weight for digit, weight in zip(digits, range(10, 0, -1), strict=True)) % 11 == 0:
            return digits


def dutch_vat_number(dice: Dice) -> str:
    """NL, nine digits, B and two check digits for which the whole is 1 modulo 97 (form since 2020)."""
    body = f"{dice.digits(9)}B"
    check = (98 - _as_number(f"NL{body}00")) % 97
    return f"NL{body}{check:02d}"


def british_vat_number(dice: Dice) -> str:
    """GB and nine digits; weights 8 to 2 and the two check digits add up to a multiple of 97."""
    digits = dice.digits(7)
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(8, 1, -1), strict=True))
    return f"GB{digits}{-total % 97:02d}"


def barcode(dice: Dice) -> str:
    """EAN-13 from the range for use inside a company (prefix 20 to 29)."""
    digits = f"2{dice.digits(11)}"
    total = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(digits))
    return f"{digits}{-total % 10}"
