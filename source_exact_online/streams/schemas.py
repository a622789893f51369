"""The JSON schemas of the streams (schemas/*.json, generated from Exact's reference)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

DELETED_AT = "_ab_cdc_deleted_at"
"""Property that marks the record of a deleted row; Airbyte's name for it."""


@cache
def schema(stream: str) -> dict[str, Any]:
    """JSON schema of a stream."""
    document: dict[str, Any] = orjson.loads(
        files("source_exact_online").joinpath(f"schemas/{stream}.json").read_bytes()
    )
    return document


def properties(stream: str) -> dict[str, Any]:
    """Schemas of a stream's properties by name."""
    found: dict[str, Any] = schema(stream)["properties"]
    return found


def column_order(stream: str, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Properties of a stream in the order of its schema: all, or those named (unknown names are left out)."""
    wanted = properties(stream).keys() if names is None else set(names)
    return tuple(name for name in properties(stream) if name in wanted)
