"""The JSON schemas of the streams (schemas/*.json, generated from Exact's reference).

A schema goes by the name of its stream, or of its variant with all columns (`StreamDefinition.schema`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

DELETED_AT = "_ab_cdc_deleted_at"
"""Property that marks the record of a deleted row; Airbyte's name for it."""

_BINARY = "binaryProperties"
"""Member of a schema file with pictures and files: columns only where they are asked for, as they make pages heavy."""

_ABSENT = "absentProperties"
"""Member of a schema file with columns that its endpoint does not have: another one has, from which the stream may have
been read before, so they stay in the schema, and empty."""


@cache
def _document(stream: str) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(
        files("source_exact_online").joinpath(f"schemas/{stream}.json").read_bytes()
    )
    return document


def schema(stream: str, *, binary: bool = False) -> dict[str, Any]:
    """Return the JSON schema of a stream.

    Args:
        stream: name of the stream.
        binary: whether pictures and files are among its properties.

    Raises:
        FileNotFoundError: there is no such stream.
    """
    document = _document(stream)
    found = {name: value for name, value in document.items() if name not in (_BINARY, _ABSENT)}
    columns = properties(stream) if binary else document["properties"]
    return {**found, "properties": {**columns, **document.get(_ABSENT, {})}}


def properties(stream: str) -> dict[str, Any]:
    """Return the schemas of the properties that a stream's endpoint has by name, pictures and files included.

    Args:
        stream: name of the stream.

    Raises:
        FileNotFoundError: there is no such stream.
    """
    document = _document(stream)
    return {**document["properties"], **document.get(_BINARY, {})}


def column_order(stream: str, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return names of a stream's properties in the order of its schema.

    Args:
        stream: name of the stream.
        names: properties to return, unknown ones ignored; None means those offered by default, without pictures and
            files.

    Raises:
        FileNotFoundError: there is no such stream.
    """
    if names is None:
        return tuple(_document(stream)["properties"])
    wanted = set(names)
    return tuple(name for name in properties(stream) if name in wanted)
