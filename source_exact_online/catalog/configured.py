"""Configured catalogues: which streams to read, and how. Made for a user, and understood as users have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from source_exact_online.catalog.definitions import StreamDefinition, catalog
from source_exact_online.catalog.offer import entry
from source_exact_online.words import counted

INCREMENTAL, FULL_REFRESH = SYNC_MODES = ("incremental", "full_refresh")

_HOW = "`source-exact-online catalog --streams core > catalog.json` prints one to start with"


class NotACatalogError(ValueError):
    """A document is no catalogue; the text says what it is and what to do."""


def configured_catalog(streams: Iterable[StreamDefinition], sync_mode: str, *, binary: bool = False) -> dict[str, Any]:
    """Return a configured catalogue.

    Args:
        streams: to read.
        sync_mode: one of `SYNC_MODES`; streams without a cursor are refreshed in full anyway.
        binary: whether pictures and files are columns.
    """
    return {
        "streams": [
            _complete({} if sync_mode == INCREMENTAL else {"sync_mode": sync_mode}, entry(stream, binary=binary))
            for stream in streams
        ]
    }


def understood_catalog(document: object) -> tuple[dict[str, Any], list[str]]:
    """Return the configured catalogue that a document means.

    It may be one already, and lack what can be told without asking; the catalogue that `discover` prints, bare, as
    its message, or among other messages; or a list of the streams of either. Whatever is not configured is read
    incrementally where that can be.

    Args:
        document: of the catalogue's file; a list of messages if it held messages.

    Returns:
        The configured catalogue, and what the user should know of the way it was understood.

    Raises:
        NotACatalogError: it cannot be understood.
    """
    streams = _streams(document)
    if not streams:
        raise NotACatalogError(f"it names no stream, so nothing would be read; {_HOW}")
    notes = []
    if not all(isinstance(one, Mapping) and "stream" in one for one in streams):
        notes.append(
            f"The catalogue does not say how to read its {counted(len(streams), 'stream')}: all are read, "
            f"incrementally where that can be. To choose: {_HOW}."
        )
    return {"streams": [_configured(one) for one in streams]}, notes


def _streams(document: object) -> list[Any]:
    """Return the streams in a document, each as it stands there."""
    if isinstance(document, list) and any(map(_is_message, document)):
        catalogs = [one for one in document if _is_message(one) and one["type"] == "CATALOG"]
        if not catalogs:
            raise NotACatalogError(f"none of the messages in it is a catalogue; {_HOW}")
        document = catalogs[-1]
    if isinstance(document, Mapping):
        document = document.get("catalog", document)
    streams = document.get("streams") if isinstance(document, Mapping) else document
    if not isinstance(streams, list):
        raise NotACatalogError(f"it has no list of streams; {_HOW}")
    return streams


def _is_message(document: object) -> bool:
    return isinstance(document, Mapping) and isinstance(document.get("type"), str)


def _configured(stream: object) -> dict[str, Any]:
    """Return a stream with all that a configured catalogue has to say of it."""
    if isinstance(stream, str):
        stream = {"name": stream}
    if isinstance(stream, Mapping):
        chosen: Mapping[str, Any] = stream if "stream" in stream else {"stream": stream}
        described = chosen["stream"]
        if isinstance(described, Mapping) and isinstance(described.get("name"), str):
            definition = catalog().get(described["name"])
            known = entry(definition, binary=False) if definition is not None else _unknown(described["name"])
            given = {name: value for name, value in described.items() if value is not None}
            return _complete(chosen, {**known, "json_schema": {}, **given})  # no schema: all columns
    raise NotACatalogError(f"one of its streams has no name; {_HOW}")


def _complete(chosen: Mapping[str, Any], stream: Mapping[str, Any]) -> dict[str, Any]:
    can = INCREMENTAL if INCREMENTAL in stream["supported_sync_modes"] else FULL_REFRESH
    sync_mode = chosen.get("sync_mode") or can
    if sync_mode not in SYNC_MODES:
        raise NotACatalogError(f"the sync_mode of stream {stream['name']} must be {' or '.join(SYNC_MODES)}")
    return {
        "cursor_field": stream.get("default_cursor_field", []),
        "primary_key": stream.get("source_defined_primary_key", []),
        "destination_sync_mode": "append_dedup" if sync_mode == INCREMENTAL else "overwrite",
        **{name: value for name, value in chosen.items() if value is not None},
        "stream": dict(stream),
        "sync_mode": sync_mode,
    }


def _unknown(name: str) -> dict[str, Any]:
    """Return as much as there is to say of a stream that the connector does not have; it is refused by its name."""
    return {"name": name, "supported_sync_modes": list(SYNC_MODES)}
