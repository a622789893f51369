"""Airbyte's catalogue: what streams are offered, and how each is described."""

from __future__ import annotations

from typing import Any

from source_exact_online.catalog.definitions import StreamDefinition, catalog
from source_exact_online.catalog.schemas import schema
from source_exact_online.words import nearest


def offered(groups: frozenset[str] | None) -> list[StreamDefinition]:
    """Return the streams to offer: those of some groups, or all if it is None."""
    return [definition for definition in catalog().values() if groups is None or definition.group in groups]


def named(text: str, groups: frozenset[str] | None) -> list[StreamDefinition]:
    """Return the streams that a person has named on a command line.

    Args:
        text: "core", "all", or names of streams separated by commas.
        groups: groups of streams to offer, None for all; streams that are named do not have to be in them.

    Raises:
        ValueError: there is no such stream; the text names the one that was probably meant.
    """
    if text in ("core", "all"):
        return [definition for definition in offered(groups) if text == "all" or definition.core]
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = ", ".join(name + meant(name) for name in names if name not in catalog())
    if unknown or not names:
        raise ValueError(
            f"There is no stream {unknown or repr(text)}; say core, all, or names separated by commas "
            "(docs/streams.md lists them)."
        )
    return [catalog()[name] for name in dict.fromkeys(names)]


def meant(name: str) -> str:
    """Return words in brackets that name the stream that was probably meant by a wrong name, if any is near."""
    found = nearest(name, catalog())
    return f" (did you mean {found}?)" if found else ""


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
