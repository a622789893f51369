"""Airbyte's catalogue: what streams are offered, and how each is described."""

from __future__ import annotations

from typing import Any

from source_exact_online.catalog.definitions import StreamDefinition, definitions
from source_exact_online.catalog.schemas import schema


def offered(groups: frozenset[str] | None, full_columns: frozenset[str] = frozenset()) -> list[StreamDefinition]:
    """Return the streams to offer.

    Args:
        groups: their groups; None for all.
        full_columns: names of those to offer with all columns.

    Raises:
        ValueError: a name is no stream's.
    """
    found = definitions(full_columns).values()
    return [definition for definition in found if groups is None or definition.group in groups]


def entry(definition: StreamDefinition, *, binary: bool) -> dict[str, Any]:
    """Return a stream's entry: any read goes on where it was broken off; incremental ones have a cursor of their own.

    Args:
        definition: the stream.
        binary: whether its schema has pictures and files too.
    """
    incremental = {
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": True,
        "default_cursor_field": [definition.cursor],
    }
    return {
        "name": definition.name,
        "json_schema": schema(definition.schema, binary=binary),
        "supported_sync_modes": ["full_refresh"],
        **(incremental if definition.cursor else {}),
        "source_defined_primary_key": [[name] for name in definition.primary_key],
        "is_resumable": True,
    }
