"""The state of a sync: what Airbyte keeps for us between two runs, per stream and division."""

from __future__ import annotations

import logging
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

from source_exact_online.state.position import Position

logger = logging.getLogger("airbyte.exact_online")

_TOLERANCE = timedelta(days=1)
"""How far ahead of this machine's clock a position may be: clocks differ."""

VERSION = 1
"""Version of the state's form."""


@dataclass(slots=True)
class StreamState:
    """The state of one stream: positions by division, those of divisions not read now included."""

    stream: str
    positions: dict[str, Position] = field(default_factory=dict)

    @classmethod
    def load(cls, stream: str, document: Mapping[str, Any], now: datetime | None = None) -> StreamState:
        """Read a stream's state.

        A state of another form is ignored with a warning, and so is a position of one division that is damaged or from
        the future: reading too much is safe, skipping rows is not.

        Args:
            stream: name of the stream.
            document: the state.
            now: current time, aware; without it, no position counts as from the future.

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
        loaded = {division: _load_position(stream, division, position, now) for division, position in divisions.items()}
        state.positions = {division: position for division, position in loaded.items() if position is not None}
        return state

    def forget_finished_passes(self) -> None:
        """Drop what only a broken-off full refresh has to know: which divisions it had done with."""
        done = [
            key for key, position in self.positions.items() if position.under_way and not position.under_way.next_url
        ]
        for key in done:
            del self.positions[key]

    def message(self) -> AirbyteMessage:
        """STATE message of the stream."""
        divisions = {division: position.dump() for division, position in self.positions.items()}
        return AirbyteMessage(
            type=Type.STATE,
            state=AirbyteStateMessage(
                type=AirbyteStateType.STREAM,
                stream=AirbyteStreamState(
                    stream_descriptor=StreamDescriptor(name=self.stream),
                    stream_state=AirbyteStateBlob({"version": VERSION, "divisions": divisions}),
                ),
            ),
        )


def _load_position(stream: str, division: str, document: object, now: datetime | None) -> Position | None:
    try:
        position = Position.load(document)
        if now is not None and position.is_later_than(now + _TOLERANCE):
            raise ValueError("it is from the future")
        return position
    except ValueError as error:
        logger.warning(
            "The state of stream %s in division %s is damaged (%s); reading it from the start.", stream, division, error
        )
        return None


def load_states(
    messages: Iterable[AirbyteStateMessage] | None, streams: Iterable[str], now: datetime | None = None
) -> dict[str, StreamState]:
    """States of some streams out of what Airbyte passes in; an empty state for a stream that has none.

    Args:
        messages: what Airbyte passes in.
        streams: names of the streams.
        now: current time, aware; without it, no position counts as from the future.

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


def known_divisions(states: Iterable[StreamState]) -> tuple[int, ...]:
    """Numbers of all divisions that some states speak of, in ascending order."""
    keys = {key for state in states for key in state.positions if key.isdecimal()}
    return tuple(sorted(map(int, keys)))
