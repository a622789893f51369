"""How one row is kept: a JSON array of its values in the order of the entity's columns, without trailing nulls.

An array instead of an object saves the names, and picking the columns of a page out of it is one call of
``operator.itemgetter``. Dates are kept as milliseconds since 1970: instants in UTC, business dates as they read.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from typing import Any
from uuid import UUID

import orjson

from exact_online_sandbox.entities import Entity
from exact_online_sandbox.reference import is_instant
from exact_online_sandbox.wallclock import WallClock, instant_from_ms, naive_from_ms, to_ms

Value = Any
"""One kept value: text, number, boolean, object or null."""
Values = list[Value]
KeyValue = Any
"""A key as callers write it: one value, or a list or tuple of values where the key is composite."""
_INTEGERS = frozenset({"Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Byte"})


class RowError(ValueError):
    """A row that does not fit its entity: unknown property or a value of the wrong type."""


class RowCodec:
    """Turns rows of one entity into what the store keeps, and back."""

    def __init__(self, entity: Entity, wall: WallClock) -> None:
        self.entity = entity
        self.names = tuple(entity.columns)
        slots = {name: i for i, name in enumerate(self.names)}
        self.index: Mapping[str, int] = {**slots, **{name: slots[one] for name, one in entity.synonyms.items()}}
        self.width = len(self.names)
        self._wall = wall
        self._encoders = tuple(self._encoder(name, type_) for name, type_ in entity.columns.items())
        self._decoders = tuple(_decoder(name, type_) for name, type_ in entity.columns.items())
        self._nulls = [None] * self.width
        self._blank: Values = [_blank(type_, name in entity.never_null) for name, type_ in entity.columns.items()]

    def encode(self, row: Mapping[str, Any]) -> Values:
        """Turn a row of Python values into kept values.

        Raises:
            RowError: the row has a property the entity lacks, or a value of the wrong type.
        """
        values: Values = list(self._blank)
        index, encoders = self.index, self._encoders
        for name, value in row.items():
            if value is None:
                continue
            at = index.get(name)
            if at is None:
                if name == "Timestamp":
                    continue
                raise RowError(f"{self.entity.name} has no property {name!r}")
            try:
                values[at] = encoders[at](value)
            except (TypeError, ValueError) as error:
                raise RowError(f"{self.entity.name}.{name}: {value!r} is no {self.entity.columns[name]}") from error
        return values

    def decode(self, values: Values) -> dict[str, Any]:
        """Turn kept values into a row of Python values: every column, in the reference's order."""
        return {
            name: None if value is None else decode(value)
            for name, decode, value in zip(self.names, self._decoders, values, strict=True)
        }

    @staticmethod
    def dump(values: Values) -> bytes:
        """Serialise kept values."""
        end = len(values)
        while end and values[end - 1] is None:
            end -= 1
        return orjson.dumps(values[:end])

    def load(self, body: bytes) -> Values:
        """Read kept values, padded to the entity's width."""
        values: Values = orjson.loads(body)
        missing = self.width - len(values)
        if missing:
            values += self._nulls[:missing]
        return values

    def _encoder(self, name: str, type_: str) -> Callable[[Any], Any]:
        if type_ == "Edm.DateTime":
            return self._instant if is_instant(name) else self._business_time
        if type_ in _INTEGERS:
            return _integer
        if type_ == "Edm.Double":
            return _double
        if type_ == "Edm.Boolean":
            return _boolean
        if type_ == "Edm.Guid":
            return _guid
        if type_ == "Edm.Binary":
            return _binary
        if type_ == "Edm.String":
            return _text
        return _anything

    def _instant(self, value: Value) -> int:
        moment = _moment(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return to_ms(moment)

    def _business_time(self, value: Value) -> int:
        moment = _moment(value)
        ms = to_ms(moment)
        return ms if moment.tzinfo is None else self._wall.to_wall_ms(ms)


def key_of(facts: Entity, row: Mapping[str, Value]) -> KeyValue:
    """Key of a row: one value, or a list where the key is composite."""
    return row.get(facts.key[0]) if len(facts.key) == 1 else [row.get(name) for name in facts.key]


def stored_key(facts: Entity, key: KeyValue) -> str | int:
    """The key as the store keeps it: GUIDs in lower case, composite keys as JSON."""
    if len(facts.key) != 1:
        return orjson.dumps(list(key)).decode()
    type_ = facts.columns.get(facts.key[0])
    if type_ == "Edm.Guid":
        return str(key).lower()
    if type_ == "Edm.String":
        return str(key)
    return int(key)


def _blank(type_: str, never_null: bool) -> Value:
    """What a column holds where nothing is given."""
    if not never_null:
        return None
    return False if type_ == "Edm.Boolean" else 0


def _decoder(name: str, type_: str) -> Callable[[Any], Any]:
    if type_ == "Edm.DateTime":
        return instant_from_ms if is_instant(name) else naive_from_ms
    if type_ == "Edm.Double":
        return float
    return _anything


def _moment(value: Value) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a business date has no zone
    raise TypeError(value)


def _integer(value: Value) -> int:
    if isinstance(value, str):
        return int(value)
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


def _double(value: Value) -> int | float:
    number = float(value)
    # Exact writes whole amounts without decimals (9075, not 9075.0).
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _boolean(value: Value) -> bool:
    if not isinstance(value, bool | int):
        raise TypeError(value)
    return bool(value)


def _guid(value: Value) -> str:
    return str(UUID(str(value)))


def _binary(value: Value) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else _text(value)


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _anything(value: Value) -> Value:
    return value
