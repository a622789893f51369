"""Literals of the filter language, and its functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import isfinite
from types import MappingProxyType
from typing import Any
from uuid import UUID

from exact_online_sandbox import errors
from exact_online_sandbox.errors import bad_request
from exact_online_sandbox.wallclock import WallClock, naive_from_ms, to_ms

NUMBER, TEXT, GUID, MOMENT, BOOLEAN, NULL = "number", "text", "guid", "datetime", "boolean", "null"
"""Kinds of values in filters."""

_INTEGER = re.compile(r"(-?[0-9]{1,40})[LlDdMmFf]?\Z")
_DATETIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?)?(Z|[-+]\d\d:\d\d)?\Z")


def integer_literal(text: str) -> int:
    """Read digits with a sign and an ``L``, if need be, into a number of 64 bits.

    Raises:
        ApiError: 400, it is none.
    """
    match = _INTEGER.match(text)
    number = int(match.group(1)) if match is not None else None
    if number is None or not -(2**63) <= number < 2**63:
        raise bad_request(errors.SYNTAX)
    return number


def number_literal(text: str) -> int | float:
    """Read a number of a filter.

    Raises:
        ApiError: 400, it is too large.
    """
    if not any(mark in text for mark in ".eE"):
        return integer_literal(text)
    number = float(text.rstrip("LlDdMmFf"))
    if not isfinite(number):
        raise bad_request(errors.SYNTAX)
    return number


def guid_literal(text: str, position: int = 0) -> str:
    """Read ``guid'…'`` into lower-case text.

    Raises:
        ApiError: 400, it is not a GUID.
    """
    try:
        return str(UUID(text[5:-1]))
    except ValueError:
        raise bad_request(errors.bad_guid(text, position)) from None


def datetime_literal(text: str, wall: WallClock) -> int:
    """Read ``datetime'…'`` into milliseconds of the wall clock; one with ``Z`` or an offset is shifted to it.

    Raises:
        ApiError: 400, it is not a date.
    """
    match = _DATETIME.match(text[9:-1])
    if match is None:
        raise bad_request(errors.SYNTAX)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(  # noqa: DTZ001 - wall clock
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
    except ValueError:
        raise bad_request(errors.SYNTAX) from None
    ms = to_ms(moment) + int((fraction or "0").ljust(3, "0")[:3])
    if zone is None:
        return ms
    if zone != "Z":
        sign = -1 if zone[0] == "-" else 1
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * sign
        ms -= offset // timedelta(milliseconds=1)
    try:
        return wall.to_wall_ms(ms)
    except OverflowError:
        raise bad_request(errors.SYNTAX) from None


def _part(name: str) -> Callable[[int], int]:
    return lambda ms: int(getattr(naive_from_ms(ms), name))


FUNCTIONS: Mapping[str, tuple[tuple[str, ...], str, Callable[..., Any]]] = MappingProxyType(
    {
        "startswith": ((TEXT, TEXT), BOOLEAN, lambda text, part: text.startswith(part)),
        "endswith": ((TEXT, TEXT), BOOLEAN, lambda text, part: text.endswith(part)),
        "substringof": ((TEXT, TEXT), BOOLEAN, lambda part, text: part in text),
        "trim": ((TEXT,), TEXT, str.strip),
        "tolower": ((TEXT,), TEXT, str.lower),
        "toupper": ((TEXT,), TEXT, str.upper),
        "length": ((TEXT,), NUMBER, len),
        "year": ((MOMENT,), NUMBER, _part("year")),
        "month": ((MOMENT,), NUMBER, _part("month")),
        "day": ((MOMENT,), NUMBER, _part("day")),
        "hour": ((MOMENT,), NUMBER, _part("hour")),
        "minute": ((MOMENT,), NUMBER, _part("minute")),
        "second": ((MOMENT,), NUMBER, _part("second")),
    }
)
"""Kinds of arguments, kind of the result, and what it does, by name."""
