"""Values that do not fit, and text that is no strict JSON: what is repaired, what becomes null, what is damage."""

from __future__ import annotations

import contextlib
import json
import re
from codecs import BOM_UTF8
from math import isfinite
from types import UnionType
from typing import Any

from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets

from source_exact_online.api.errors import shortened


class DamagedPageError(ValueError):
    """A body that is not the page that was asked for; the text has Exact's own words where there are any."""


class NotAPageError(DamagedPageError):
    """A body that is not JSON at all, such as a page for people."""


_RAW_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_LONGEST_INTEGER = len(str(-(2**63)))
ODD_TEXT = re.compile("[\x00\ufffd\ud800-\udfff]")


def lenient_json(body: bytes) -> object:
    """Return the value of a JSON text with raw control characters, stray bytes, NaN or a byte order mark in it.

    What stands for no character becomes U+FFFD. That is a matter of values: a page with a damaged name, which might be
    that of the link to the next page, proves nothing.

    Raises:
        NotAPageError: it is not JSON.
        DamagedPageError: it breaks off, an error stands in its middle, or a name is damaged.
    """
    text = _RAW_CONTROL.sub("\ufffd", body.removeprefix(BOM_UTF8).decode(errors="replace"))
    try:
        return _LENIENT.decode(text)
    except DamagedPageError:
        raise
    except (ValueError, RecursionError) as error:
        if not text.lstrip().startswith(("{", "[")):
            raise NotAPageError(f"the body is not JSON ({len(body)} bytes)") from error
        raise DamagedPageError(words_in(body) or f"the JSON breaks off ({len(body)} bytes)") from error


def _named(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        DamagedPageError: a name in it is damaged.
    """
    for name, _ in members:
        if ODD_TEXT.search(name):
            raise DamagedPageError(f"a property's name is {shown(_clean(name)[0])}")
    return dict(members)


def _integer(digits: str) -> int | float:
    """Return an integer; a float where it has more digits than 64 bits: Python refuses thousands of them."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


_LENIENT = json.JSONDecoder(strict=False, object_pairs_hook=_named, parse_int=_integer)


def fit(value: object, kind: type | UnionType) -> tuple[Any, bool]:
    """Return a value as a column takes it, None if it does not; and whether the value was odd.

    Args:
        value: what was sent. Null fits no column but one of any type.
        kind: type of the column.
    """
    if kind is Any:
        return _clean_all(value)
    if isinstance(value, bool):
        return (value, False) if kind is bool else (None, True)
    if isinstance(value, str):
        if issubclass(str, kind):
            return _clean(value)
        return fit(_number(value), kind)
    if kind is bool or not isinstance(value, int | float):
        return None, True
    if issubclass(int, kind) and isfinite(value) and value == int(value) and -(2**63) <= value < 2**63:
        return (value if issubclass(float, kind) else int(value)), False
    return (float(value), False) if issubclass(float, kind) and isfinite(value) else (None, True)


def _number(text: str) -> int | float | None:
    """Return the number that a text spells, which is as good as the number itself; None if it spells none."""
    if re.fullmatch(r"-?[0-9]{1,300}", text):
        return _integer(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,300}\.?[0-9]{0,300}([eE][+-]?[0-9]{1,3})?", text) else None


def _clean(text: str) -> tuple[str, bool]:
    """Return a text without NUL, which PostgreSQL refuses, and with U+FFFD for half a surrogate pair."""
    if not ODD_TEXT.search(text):
        return text, False
    clean = _HALF_PAIR.sub("\ufffd", text)
    return clean.replace("\0", ""), "\ufffd" in clean


def _clean_all(value: object) -> tuple[Any, bool]:
    """Return a value of any type with clean text and null for NaN in it; and whether it was odd."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, list):
        members = [_clean_all(member) for member in value]
        return [member for member, _ in members], any(is_odd for _, is_odd in members)
    if isinstance(value, dict):
        fields = {_clean(name)[0]: _clean_all(member) for name, member in value.items()}
        return {name: member for name, (member, _) in fields.items()}, any(is_odd for _, is_odd in fields.values())
    return (None, True) if isinstance(value, float) and not isfinite(value) else (value, False)


def shown(value: object) -> str:
    """Return a value as a log line may show it: on one line, without secrets, and then cut."""
    return filter_secrets(repr(value))[:60]


_FORGIVING = json.JSONDecoder(strict=False)

_ERROR_VALUE = re.compile(
    rb'"error"\s*:\s*\{[^{}]{0,300}"message"\s*:\s*(?:\{[^{}]{0,300}?"value"\s*:\s*)?'
    rb'"((?:[^"\\]|\\.){1,2000})"'
)


def words_in(body: bytes) -> str:
    """Return Exact's own words in a body with an error object somewhere; empty where there are none."""
    found = _ERROR_VALUE.search(body)
    if found is None:
        return ""
    text = found[1].decode(errors="replace")
    with contextlib.suppress(ValueError):
        text = _FORGIVING.decode(f'"{text}"')
    return shortened(text)
