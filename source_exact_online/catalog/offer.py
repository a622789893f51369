"""Airbyte's catalogue: what streams are offered, and how each is described."""

from __future__ import annotations

from typing import Any

from source_exact_online.catalog.definitions import StreamDefinition, catalog
from source_exact_online.catalog.schemas import schema


def offered(groups: frozenset[str] | None) -> list[StreamDefinition]:
    """Return the streams to offer: those of some groups, or all if it is None."""
    return [definition for definition in catalog().values() if groups is None or definition.group in groups]


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
        "json_schema": schema(definition.name, binary=binary),
        "supported_sync_modes": ["full_refresh"],
        **(incremental if definition.cursor else {}),
        "source_defined_primary_key": [[name] for name in definition.primary_key],
        "is_resumable": True,
    }
