"""Answers of the real API, captured by Exact itself, loaded as divisions of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

import orjson

from exact_online_sandbox.entities import entities
from exact_online_sandbox.reference import is_instant
from exact_online_sandbox.store import Store
from exact_online_sandbox.wallclock import EPOCH, WallClock, instant_from_ms, naive_from_ms

CAPTURES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "Response_Json_Array_Account_Long.json": (102, "crm/Accounts"),
        "Response_Json_Array_GLAccount.json": (499156, "financial/GLAccounts"),
        "Response_Json_Object_Account.json": (499156, "crm/Accounts"),
    }
)
"""Division and entity of each file; the divisions are those that the rows themselves name."""
CAPTURED_DIVISIONS = frozenset(code for code, _ in CAPTURES.values())
_DATE = re.compile(r"/Date\((-?\d+)\)/\Z")


def captured(name: str) -> dict[str, Any]:
    """One captured answer, as it was."""
    answer: dict[str, Any] = orjson.loads((resources.files(__package__) / "real_payloads" / name).read_bytes())
    return answer


def captured_rows(name: str) -> list[dict[str, Any]]:
    """Rows of one captured answer, as they were."""
    answer = captured(name)
    rows: list[dict[str, Any]] = answer["d"]["results"] if "d" in answer else [answer]
    return rows


def load_captured(store: Store) -> list[int]:
    """Add the divisions with the captured rows; gives their codes."""
    codes = sorted(CAPTURED_DIVISIONS)
    for code in codes:
        row = {"Description": f"Captured answers {code}", "Hid": code, "Created": EPOCH, "Status": 1}
        store.add_division(code, row)
    for name, (code, entity) in CAPTURES.items():
        store.insert_many(code, entity, [kept_row(entity, row, store.wall) for row in captured_rows(name)])
    return codes


def kept_row(entity: str, row: Mapping[str, Any], wall: WallClock) -> dict[str, Any]:
    """Turn a captured row into one for the store: dates read, links and metadata left out."""
    columns, found = entities()[entity].columns, {}
    for name, value in row.items():
        if name not in columns:
            continue
        if columns[name] == "Edm.DateTime" and value is not None:
            match = _DATE.match(value)
            if match is None:
                raise ValueError(f"{name}: {value!r} is no date")
            ms = int(match.group(1))
            # What reads as UTC is local time; the offset is that of the moment an offset earlier.
            utc_ms = ms - wall.offset_ms(ms - wall.offset_ms(ms))
            value = instant_from_ms(utc_ms) if is_instant(name) else naive_from_ms(ms)
        found[name] = value
    return found
