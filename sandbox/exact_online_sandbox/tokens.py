"""Keys in addresses and skip tokens: writing and reading them."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote

import orjson

from exact_online_sandbox import errors
from exact_online_sandbox.entities import Entity
from exact_online_sandbox.errors import bad_request
from exact_online_sandbox.formats import literal
from exact_online_sandbox.literals import guid_literal, integer_literal
from exact_online_sandbox.rows import KeyValue, Value

Key = str | int
_TEXT = re.compile(r"'(?:[^']|'')*'\Z")
_NUMBER = re.compile(r"-?\d+L?\Z")
_DATETIME = re.compile(r"datetime'([^']*)'\Z")


def parse_literal(text: str, type_: str) -> Value:
    """Read a key literal of that type.

    Raises:
        ApiError: 400, it is malformed.
    """
    text = text.strip()
    if type_ == "Edm.Guid":
        if not (text.startswith("guid'") and text.endswith("'")):
            raise bad_request(errors.SYNTAX)
        return guid_literal(text)
    if type_ == "Edm.String":
        if not _TEXT.match(text):
            raise bad_request(errors.SYNTAX)
        return text[1:-1].replace("''", "'")
    if type_ == "Edm.DateTime":
        match = _DATETIME.match(text)
        if match is None:
            raise bad_request(errors.SYNTAX)
        return match.group(1)
    return integer_literal(text)


def parse_key(text: str, key_types: tuple[tuple[str, str], ...]) -> KeyValue:
    """Read the key between the parentheses of an address: one literal, or ``Name=literal`` pairs.

    Raises:
        ApiError: 400, it is malformed.
    """
    if len(key_types) == 1:
        name, type_ = key_types[0]
        return parse_literal(text.removeprefix(f"{name}="), type_)
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    if set(parts) != {name for name, _ in key_types}:
        raise bad_request(errors.SYNTAX)
    return [parse_literal(parts[name], type_) for name, type_ in key_types]


class KeyToken:
    """Skip tokens of lists in key order: the key of the last row, ``guid'…'`` for most entities."""

    def __init__(self, entity: Entity) -> None:
        self._single = entity.columns[entity.key[0]] if len(entity.key) == 1 else None

    def write(self, key: Key) -> str:
        """The token after the row with that stored key."""
        if self._single is None:
            return literal(base64.urlsafe_b64encode(str(key).encode()).decode(), "Edm.String")
        return literal(key, self._single)

    def parse(self, text: str) -> Key:
        """The stored key of a token.

        Raises:
            ApiError: 400, it is malformed.
        """
        if self._single is not None:
            value: Key = parse_literal(text, self._single)
            return value
        try:
            return base64.urlsafe_b64decode(unquote(parse_literal(text, "Edm.String"))).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise bad_request(errors.SYNTAX) from None


@dataclass(frozen=True, slots=True)
class FeedToken:
    """Where a feed goes on."""

    after: int
    """Row version (ascending feeds) or position (shuffled ones) of the last row."""
    page: int = 0
    """Pages served so far."""
    bound: int | None = None
    """Shuffled feeds: highest row version of the pass."""

    def write(self) -> str:
        """The token; the plain row version where nothing else is to be known."""
        if self.page == 0 and self.bound is None:
            return f"{self.after}L"
        packed = orjson.dumps([self.after, self.page, self.bound])
        return literal(base64.urlsafe_b64encode(packed).decode(), "Edm.String")

    @staticmethod
    def parse(text: str) -> FeedToken:
        """Read a token.

        Raises:
            ApiError: 400, it is malformed.
        """
        if _NUMBER.match(text):
            return FeedToken(integer_literal(text))
        try:
            after, page, bound = orjson.loads(base64.urlsafe_b64decode(parse_literal(text, "Edm.String")))
            return FeedToken(after, page, bound)
        except (binascii.Error, ValueError, TypeError):
            raise bad_request(errors.SYNTAX) from None
