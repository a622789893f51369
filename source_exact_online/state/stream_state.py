"""The state of a sync: what Airbyte keeps for us between two runs, per stream and division."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    FailureType,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.exact_time import AMSTERDAM, WallClock
from source_exact_online.state import transitions
from source_exact_online.state.position import Position

logger = logging.getLogger("airbyte.exact_online")

_TOLERANCE = timedelta(days=1)
"""How far ahead of this machine's clock a position may be: clocks differ."""

_HALF_PAIR = re.compile("[\ud800-\udfff]")
"""Text that no message can bear."""

VERSION = 1
"""Version of the state's form."""

LOGIN = "login"
"""Name of the one partition of a stream whose listing is the login's, in place of a division's number."""


@dataclass(slots=True)
class StreamState:
    """The state of one stream. The scheduler alone changes it.

    Attributes:
        stream: name of the stream.
        positions: position by division, those of divisions that are not read now included.
        columns: columns that the last run read; None where it is not known.
    """

    stream: str
    positions: dict[str, Position] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None

    @classmethod
    def load(cls, stream: str, document: Mapping[str, Any], now: datetime, clock: WallClock = AMSTERDAM) -> StreamState:
        """Read a stream's state.

        A state of another form is ignored with a warning, and so is a position of one division that is damaged or from
        the future: reading too much is safe, skipping rows is not.

        Args:
            stream: name of the stream.
            document: the state.
            now: current time, aware.
            clock: of the site.

        Raises:
            AirbyteTracedException: the state was written by a newer version of the connector.
        """
        state = cls(stream)
        if not document:
            return state
        version = document.get("version")
        if isinstance(version, int) and version > VERSION:
            raise AirbyteTracedException(
                message=f"The state of stream {stream} was written by a newer version of this connector: upgrade the "
                "connector, or reset the stream.",
                failure_type=FailureType.config_error,
            )
        divisions = document.get("divisions")
        if version != VERSION or not isinstance(divisions, Mapping):
            logger.warning("The state of stream %s was not written by this connector; reading from the start.", stream)
            return state
        columns = document.get("columns")
        if isinstance(columns, list) and all(isinstance(name, str) and not _HALF_PAIR.search(name) for name in columns):
            state.columns = tuple(columns)
        for division, position in divisions.items():
            loaded = _load_position(stream, division, position, now, clock)
            if loaded is not None:
                state.positions[division] = loaded
        return state

    @property
    def divisions(self) -> frozenset[int]:
        """Numbers of the divisions that it has positions of."""
        return division_numbers(self.positions)

    def message(self) -> AirbyteMessage:
        """Return the STATE message of the stream."""
        document: dict[str, Any] = {"version": VERSION}
        if self.columns is not None:
            document["columns"] = list(self.columns)
        document["divisions"] = {division: position.to_json() for division, position in self.positions.items()}
        return AirbyteMessage(
            type=Type.STATE,
            state=AirbyteStateMessage(
                type=AirbyteStateType.STREAM,
                stream=AirbyteStreamState(
                    stream_descriptor=StreamDescriptor(name=self.stream), stream_state=AirbyteStateBlob(document)
                ),
            ),
        )


def _load_position(stream: str, division: str, document: object, now: datetime, clock: WallClock) -> Position | None:
    try:
        if _HALF_PAIR.search(division):
            raise ValueError("the division's name is no text")
        position = Position.from_json(document)
        if transitions.is_from_the_future(position, now + _TOLERANCE, clock):
            raise ValueError("it is from the future")
        return position
    except ValueError as error:
        logger.warning(
            "The state of stream %s in division %s is damaged (%s); reading it from the start.",
            stream,
            ascii(division[:20])[1:-1],
            str(error)[:200],
        )
        return None


def load_states(
    messages: Iterable[AirbyteStateMessage] | None, streams: Iterable[str], now: datetime
) -> dict[str, StreamState]:
    """Return the states of some streams out of what Airbyte passes in; an empty state for a stream that has none.

    Args:
        messages: what Airbyte passes in.
        streams: names of the streams.
        now: current time, aware.

    Raises:
        AirbyteTracedException: a state is of a newer version of the connector.
    """
    documents: dict[str, Mapping[str, Any]] = {}
    for message in messages or ():
        if message.global_ is not None:
            parts = message.global_.stream_states
        elif message.stream is not None:
            parts = [message.stream]
        else:
            logger.warning("A state message without streams was ignored; reading from the start.")
            continue
        for part in parts:
            blob = part.stream_state
            documents[part.stream_descriptor.name] = dict(vars(blob)) if blob is not None else {}
    return {stream: StreamState.load(stream, documents.get(stream, {}), now) for stream in streams}


def division_numbers(keys: Iterable[str]) -> frozenset[int]:
    """Return the divisions among the keys of a state's positions."""
    return frozenset(int(key) for key in keys if key.isascii() and key.isdigit() and len(key) < 12)


def known_divisions(states: Iterable[StreamState]) -> tuple[int, ...]:
    """Return the numbers of all divisions that some states have positions of, in ascending order."""
    return tuple(sorted(frozenset[int]().union(*(state.divisions for state in states))))
