"""The state file of `read`: the list that Airbyte's platform passes in, or what a person has at hand instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WITHOUT = "leave --state out to read everything"


class NotAStateError(ValueError):
    """A document is no state; the text says what to do."""


def understood_state(document: object) -> list[dict[str, Any]]:
    """Return the states that a document means, in the form of Airbyte's platform: one for each stream, the last one.

    It may be that list, the messages of a run, a STATE message alone, or what is inside of one.

    Args:
        document: of the state's file; a list of the STATE messages if it held messages.

    Raises:
        NotAStateError: it cannot be understood. Only an empty object or list is taken for the state before a first
            run: a file that has lost its content must not cause a full read in silence.
    """
    if document in ({}, []):
        return []
    entries = document if isinstance(document, list) else [document]
    states = [state for one in entries if (state := _state(one)) is not None]
    if not states:
        raise NotAStateError(f"none of the messages in it is a STATE; {_WITHOUT}")
    last = {_key(state, number): state for number, state in enumerate(states)}
    return list(last.values())


def _state(document: object) -> dict[str, Any] | None:
    """Return the state in a document; None for a message of another type."""
    if isinstance(document, Mapping):
        kind = document.get("type")
        if kind == "STATE" and isinstance(document.get("state"), Mapping):
            return _state(document["state"])
        if isinstance(document.get("stream_descriptor"), Mapping):
            return {"type": "STREAM", "stream": dict(document)}
        if isinstance(document.get("stream"), Mapping) or isinstance(document.get("global"), Mapping):
            return {"type": "GLOBAL" if "global" in document else "STREAM", **document}
        if kind in ("RECORD", "LOG", "TRACE", "CONTROL", "CATALOG", "SPEC", "CONNECTION_STATUS"):
            return None
    raise NotAStateError(
        "it is neither a list of states nor the messages of a run. Give --state what the last run printed, or "
        + _WITHOUT
    )


def _key(state: Mapping[str, Any], number: int) -> object:
    """Return what tells states apart: the stream's name; each state that has none stands for itself."""
    stream = state.get("stream")
    descriptor = stream.get("stream_descriptor") if isinstance(stream, Mapping) else None
    return str(descriptor.get("name")) if isinstance(descriptor, Mapping) else number
