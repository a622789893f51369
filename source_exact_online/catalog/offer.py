"""Airbyte's catalogue: what streams are offered, and how each is described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from source_exact_online.catalog.definitions import UNDOCUMENTED, StreamDefinition, catalog, with_full_columns
from source_exact_online.catalog.schemas import schema
from source_exact_online.words import nearest

_NO_NAMES: frozenset[str] = frozenset()


def definitions(full_columns: frozenset[str]) -> Mapping[str, StreamDefinition]:
    """Return all streams by name, some of them as they are read with all columns that Exact has for them.

    Args:
        full_columns: names of these streams. One that has no more columns anywhere stays as it is.

    Raises:
        ValueError: there is no stream of that name; the text names the one that was probably meant.
    """
    unknown = ", ".join(name + meant(name) for name in sorted(full_columns - set(catalog())))
    if unknown:
        raise ValueError(f"there is no stream {unknown}")
    full = {name: definition for name, definition in with_full_columns().items() if name in full_columns}
    return {**catalog(), **full}


def offered(groups: frozenset[str], full_columns: frozenset[str] = _NO_NAMES) -> list[StreamDefinition]:
    """Return the streams to offer.

    Args:
        groups: their groups; "all", or none at all, for those that Exact documents.
        full_columns: names of those to offer with all columns.

    Raises:
        ValueError: as `definitions` does.
    """
    documented = not groups or "all" in groups
    return [
        definition
        for definition in definitions(full_columns).values()
        if definition.group in groups or (documented and definition.group != UNDOCUMENTED)
    ]


def named(text: str, groups: frozenset[str], full_columns: frozenset[str] = _NO_NAMES) -> list[StreamDefinition]:
    """Return the streams that a person has named on a command line.

    Args:
        text: names of streams separated by commas; "core" and "all" stand for many.
        groups: groups of streams to offer, see `offered`; streams that are named do not have to be in them.
        full_columns: names of those to offer with all columns.

    Raises:
        ValueError: there is no such stream; the text names the one that was probably meant.
    """
    names = []
    for name in filter(None, map(str.strip, text.split(","))):
        if name in ("core", "all"):
            names += [one.name for one in offered(groups, full_columns) if name == "all" or one.core]
        else:
            names.append(name)
    if not names and text.strip(" ,"):
        return []  # the groups have none of the core
    unknown = ", ".join(name + meant(name) for name in names if name not in catalog())
    if unknown or not names:
        raise ValueError(
            f"There is no stream {unknown or repr(text)}; say core, all, or names separated by commas "
            "(docs/streams.md lists them)."
        )
    known = definitions(full_columns)
    return [known[name] for name in dict.fromkeys(names)]


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
        "json_schema": schema(definition.schema, binary=binary),
        "supported_sync_modes": ["full_refresh"],
        **(incremental if definition.cursor else {}),
        "source_defined_primary_key": [[name] for name in definition.primary_key],
        "is_resumable": True,
    }
