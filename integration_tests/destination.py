"""A destination in a few lines: appends, removes duplicates by primary key and cursor, replaces tables when told to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from integration_tests.protocol import Message
from integration_tests.truth import primary_key

Key = tuple[Any, ...]
Record = dict[str, Any]

DELETED_AT = "_ab_cdc_deleted_at"


@dataclass(slots=True)
class Table:
    """One stream's table: for each primary key the record with the latest ``Modified``; of equal ones the last to come.

    A record without ``Modified`` is older than any with one.
    """

    stream: str
    records: dict[Key, Record] = field(default_factory=dict)

    def append(self, record: Record) -> None:
        """Take a record in."""
        key = primary_key(self.stream, record)
        known = self.records.get(key)
        if known is None or (record.get("Modified") or "") >= (known.get("Modified") or ""):
            self.records[key] = record

    @property
    def rows(self) -> dict[Key, Record]:
        """What people query: ``where _ab_cdc_deleted_at is null``."""
        return {key: record for key, record in self.records.items() if record.get(DELETED_AT) is None}


class Destination:
    """Tables of a connection, and the state that the platform keeps for it.

    Records and states count from the moment they arrive, however the run that sent them ends. A stream that is read in
    full fills a new table, which takes the old one's place when the stream is complete.
    """

    def __init__(self) -> None:
        self.states: dict[str, Message] = {}
        self._tables: dict[str, Table] = {}
        self._new: dict[str, Table] = {}

    def table(self, stream: str) -> Table:
        """Table of a stream."""
        return self._tables.setdefault(stream, Table(stream))

    def reset(self, stream: str) -> None:
        """Empty a stream's table and forget its state, as platforms do when a user asks for it."""
        for kept in (self.states, self._tables, self._new):
            kept.pop(stream, None)

    def begin_full(self, stream: str) -> None:
        """The stream is to be read in full from now on: its state is dropped, records go to a new table."""
        if stream not in self._new:
            self._new[stream] = Table(stream)
            self.states.pop(stream, None)

    def states_of(self, streams: Mapping[str, object]) -> dict[str, Message]:
        """States to hand to the next run."""
        return {stream: self.states[stream] for stream in streams if stream in self.states}

    def take(self, message: Message) -> None:
        """Take a message of the connector."""
        if message["type"] == "RECORD":
            stream = message["record"]["stream"]
            (self._new.get(stream) or self.table(stream)).append(message["record"]["data"])
        elif message["type"] == "STATE":
            self.states[message["state"]["stream"]["stream_descriptor"]["name"]] = message["state"]
        elif message["type"] == "TRACE" and message["trace"].get("stream_status", {}).get("status") == "COMPLETE":
            stream = message["trace"]["stream_status"]["stream_descriptor"]["name"]
            if stream in self._new:
                self._tables[stream] = self._new.pop(stream)
                self.states.pop(stream, None)
