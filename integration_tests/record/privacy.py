"""What is personal or confidential in an answer, replaced by something of the same form.

Kept are facts about the API: names, types, nulls, code numbers, dates in the books, row versions, the order of rows,
and which GUIDs are the same. All else becomes a text of the same length and kind, another number, another GUID.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable
from typing import Any

from integration_tests.record.exchanges import Exchange
from tools.reference import load_reference

HOST = "https://start.exactonline.nl"
HEADERS = re.compile(r"(date|content-type|reason|retry-after|www-authenticate|x-ratelimit-.*)\Z")
"""Headers that are kept."""

CODES = frozenset(
    {"Country", "Currency", "Language", "LanguageCode", "API", "ServerTime", "BalanceSide", "BalanceType", "PeriodType"}
)
"""Texts from public lists of codes, or about the server alone."""

KEPT_NUMBERS = frozenset({"ServerUtcOffset"})
"""Numbers about the server alone."""

PERSONAL_DATES = frozenset({"BirthDate", "LastLogin"})
CONSONANTS = "bcdfghjklmnpqrstvwxz"
"""Letters that replace others: without a vowel they never make one of the words that are looked for."""

STRUCTURE = """body code headers interactions message method null request response results status string version true
false https start exactonline skiptoken select filter expand metadata deferred guid datetime application charset"""
"""Words of the form in which answers are kept."""

LONG_ENOUGH = 5
"""Letters from which on a replaced word is looked for in what is written."""

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIVISION = re.compile(r"(?<=/api/v1/)\d+(?=/)|(?<=Divisions\()\d+(?=\))")
_ORIGIN = re.compile(r"https?://[^/\s\"']+(?=/)")
_WORD = re.compile(rf"[^\W\d_]{{{LONG_ENOUGH},}}")
_VOWEL = re.compile("[aeiouy]")


class Leak(Exception):  # noqa: N818 - what it is
    """Something that was to be replaced is still there."""


class Privacy:
    """Replaces consistently: what was the same is still the same, and nobody can find back what it was."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        self._divisions: dict[str, str] = {}
        self._words: set[str] = set()
        reference = load_reference().values()
        self._coded = {prop.name for one in reference for prop in one.properties if prop.values} | CODES
        self._amounts = {prop.name for one in reference for prop in one.properties if prop.type == "Edm.Double"}
        self._known = {prop.name.lower() for one in reference for prop in one.properties}
        texts = [
            STRUCTURE,
            *(one.path for one in reference),
            *(prop.name for one in reference for prop in one.properties),
        ]
        self._known |= {word.lower() for text in texts for word in _WORD.findall(text)}

    def scrubbed(self, exchange: Exchange) -> Exchange:
        """Return an exchange without anything personal."""
        document = exchange.document
        if isinstance(document, dict) and "d" in document:
            body = json.dumps(self._value("", document), ensure_ascii=False, indent=1).encode()
        else:
            body = self._message(exchange.body.decode("utf-8", "replace")).encode()
        headers = {name: value for name, value in exchange.headers.items() if HEADERS.match(name)}
        return Exchange(self._address(exchange.url), exchange.status, headers, body)

    def check(self, texts: Iterable[str]) -> None:
        """Look for words that were replaced in what is to be written.

        Raises:
            Leak: one of them is there.
        """
        for text in texts:
            left = sorted({word.lower() for word in _WORD.findall(text)} & self._words - self._known)
            if left:
                raise Leak(f"{len(left)} words that were to be replaced are still there, such as {left[0]!r}")

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(key, part) for key, part in value.items()}
        if isinstance(value, list):
            return [self._value(name, part) for part in value]
        if isinstance(value, str):
            return self._text(name, value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        if name in ("Code", "Division", "CurrentDivision"):
            return int(self._division(str(value)))
        return self._number(value) if isinstance(value, float) or name in self._amounts - KEPT_NUMBERS else value

    def _text(self, name: str, text: str) -> str:
        if name in ("type", "__next", "uri", "media_src", "edit_media", "content_type"):
            return text if name in ("type", "content_type") else self._address(text)
        if text.startswith("/Date("):
            return "/Date(946684800000)/" if name in PERSONAL_DATES else text
        if _GUID.fullmatch(text):
            return self._guid(text)
        if name in self._coded or name in ("Timestamp", "TimeStampAsBigInt", "__count") or not text.strip():
            return text
        self._words |= {word.lower() for word in _WORD.findall(text) if _VOWEL.search(word.lower())}
        return self._shaped(text)

    def _shaped(self, text: str) -> str:
        """Return letters for letters and digits for digits, the rest as it stands: padding and length stay."""
        digest = self._digest(text)
        return "".join(
            CONSONANTS[digest[at % 32] % len(CONSONANTS)].upper()
            if one.isupper()
            else CONSONANTS[digest[at % 32] % len(CONSONANTS)]
            if one.isalpha()
            else str(digest[at % 32] % 10)
            if one.isdigit()
            else one
            for at, one in enumerate(text)
        )

    def _number(self, value: float) -> float:
        """Return another amount: sign, zero and the number of digits stay."""
        digest = self._digest(repr(value))
        return type(value)(re.sub(r"[1-9]", lambda found: str(1 + digest[found.start() % 32] % 9), repr(value)))

    def _guid(self, text: str) -> str:
        if not text.strip("0-"):
            return text
        digest = self._digest(text.lower()).hex()
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"

    def _division(self, code: str) -> str:
        return self._divisions.setdefault(code, str(100_001 + len(self._divisions)))

    def _address(self, url: str) -> str:
        url = _ORIGIN.sub(HOST, url)
        url = _GUID.sub(lambda found: self._guid(found[0]), url)
        return _DIVISION.sub(lambda found: self._division(found[0]), url)

    def _message(self, text: str) -> str:
        """Return an error's words: Exact's own, without addresses, GUIDs and numbers of divisions."""
        text = self._address(text)
        text = re.sub(r"[\w.+-]+@[\w.-]+", "someone@example.com", text)
        for code, other in self._divisions.items():
            text = re.sub(rf"\b{code}\b", other, text)
        return text

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._salt, digest_size=32).digest()
