"""Write docs/columns/ anew: a page for each area, with every column of its streams, its type and its meaning.

`python -m tools.column_pages` writes the pages from the schemas that the connector itself offers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from source_exact_online.catalog.definitions import StreamDefinition, catalog, with_full_columns
from source_exact_online.catalog.schemas import DELETED_AT, properties, schema
from tools.reference import REPOSITORY
from tools.stream_tables import GROUP_TITLES, table

FOLDER = REPOSITORY / "docs" / "columns"

_TYPES = {"boolean": "true or false", "integer": "whole number", "number": "number", "object": "object"}
_MOMENTS = {"timestamp_with_timezone": "moment (UTC)", "timestamp_without_timezone": "date or time"}


def pages() -> dict[Path, str]:
    """Return the text of each page by its file."""
    return {FOLDER / f"{group}.md": _page(group, title) for group, title in GROUP_TITLES.items()}


def _page(group: str, title: str) -> str:
    streams = sorted(
        (one for one in catalog().values() if one.group == group), key=lambda one: (not one.core, one.name)
    )
    parts = [
        f"# Columns: {title}\n\n"
        "Written by `make docs` from the schemas in `source_exact_online/schemas/`. [All streams](../streams.md) has\n"
        "their keys, scopes and endpoints. Names and meanings are Exact's. Every column may be empty but those marked\n"
        "*key*. A *moment* is an instant in UTC; a *date or time* is what Exact shows, without a zone.\n"
    ]
    parts += (
        f"\n## {one.name}\n\n{one.title}.\n\n{table(('Column', 'Type', 'Meaning'), _rows(one))}" for one in streams
    )
    return "".join(parts)


def _rows(stream: StreamDefinition) -> Iterator[tuple[str, str, str]]:
    usual, offered = properties(stream.name), schema(stream.name)["properties"]
    full = with_full_columns().get(stream.name)
    every = {**usual, **({} if full is None else properties(full.schema))}
    for name, column in every.items():
        meaning = column["description"].rstrip(".")
        if name == DELETED_AT:
            meaning = "When the row was deleted in Exact Online; empty as long as it is there"
        if name not in usual:
            meaning += " (only if `full_columns` names the stream)"
        elif name not in offered:
            meaning += " (only with `include_binary`)"
        key = ", *key*" if name in stream.primary_key else ""
        yield f"`{name}`", f"{_type(column)}{key}", meaning


def _type(column: Mapping[str, Any]) -> str:
    if "airbyte_type" in column:
        return _MOMENTS[column["airbyte_type"]]
    if "contentEncoding" in column:
        return "file (base64)"
    types = [column["type"]] if isinstance(column["type"], str) else column["type"]
    (name,) = (one for one in types if one != "null")
    return _TYPES.get(name, "text")


def main() -> None:
    """Write all pages anew."""
    FOLDER.mkdir(exist_ok=True)
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
