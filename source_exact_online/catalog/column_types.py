"""Types of columns: how a property's JSON schema translates into what stands in Exact's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Any

BIG_INTEGERS = frozenset(
    {"Timestamp", "HID", "Hid", "ID", "ExternalIDInt", "ExternalLeaveAbsenceType", "Legislation", "FileSize"}
)
"""Names of integer properties that are Edm.Int64 somewhere: they arrive as text and leave as integers."""


class ColumnType(Enum):
    """Kinds of columns that differ on their way from Exact's JSON into a record."""

    TEXT = "text"
    INTEGER = "integer"
    BIG_INTEGER = "big integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    DATE = "date"
    OBJECT = "object"


WIRE_TYPES: Mapping[ColumnType, Any] = {
    ColumnType.TEXT: str,
    ColumnType.INTEGER: int,
    ColumnType.BIG_INTEGER: int | str,
    ColumnType.NUMBER: int | float,
    ColumnType.BOOLEAN: bool,
    ColumnType.INSTANT: str,
    ColumnType.DATE: str,
    ColumnType.OBJECT: Any,
}
"""Types in Exact's JSON: dates are text there, and whole amounts have no fraction."""


def column_type(name: str, schema: Mapping[str, Any]) -> ColumnType:
    """Return the kind of a column.

    Args:
        name: of the property.
        schema: its JSON schema.
    """
    if schema.get("format") == "date-time":
        return ColumnType.INSTANT if schema.get("airbyte_type") == "timestamp_with_timezone" else ColumnType.DATE
    types = schema.get("type", "string")
    kind = next(one for one in ([types] if isinstance(types, str) else types) if one != "null")
    if kind == "integer":
        return ColumnType.BIG_INTEGER if name in BIG_INTEGERS else ColumnType.INTEGER
    return {
        "string": ColumnType.TEXT,
        "number": ColumnType.NUMBER,
        "boolean": ColumnType.BOOLEAN,
        "object": ColumnType.OBJECT,
    }[kind]


def wire_type(name: str, schema: Mapping[str, Any]) -> type | UnionType:
    """Return the type that a property has in Exact's JSON."""
    found: type | UnionType = WIRE_TYPES[column_type(name, schema)]
    return found
