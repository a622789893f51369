"""A stream as Airbyte's catalogue shows it, built from its definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from airbyte_cdk.models import AirbyteStream, SyncMode
from airbyte_cdk.sources.streams import Stream

from source_exact_online.catalog.definitions import StreamDefinition
from source_exact_online.catalog.offer import entry
from source_exact_online.catalog.schemas import schema


class ExactStream(Stream):
    """Airbyte's view of one stream. The scheduler (sync/scheduler.py) reads the records of all streams side by side."""

    def __init__(self, definition: StreamDefinition, *, binary: bool = False) -> None:
        """Build a stream from its definition.

        Args:
            definition: facts about it.
            binary: whether its schema has pictures and files too.
        """
        self._definition = definition
        self._binary = binary

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self._definition.name

    @property
    def primary_key(self) -> list[list[str]]:
        """The entity's own key, then ``Division``."""
        return [[name] for name in self._definition.primary_key]

    @property
    def cursor_field(self) -> list[str]:
        """Cursor shown to the user; empty for streams that are read in full each time."""
        return [self._definition.cursor] if self._definition.cursor else []

    @property
    def is_resumable(self) -> bool:
        """Whether an interrupted sync goes on from its last checkpoint: always, in full refreshes too."""
        return True

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # the CDK's is cached, so is schema()
        """Return the JSON schema of the records."""
        return schema(self._definition.schema, binary=self._binary)

    def as_airbyte_stream(self) -> AirbyteStream:
        """Return the stream's entry in Airbyte's catalogue."""
        found = entry(self._definition, binary=self._binary)
        return AirbyteStream(**{**found, "supported_sync_modes": list(map(SyncMode, found["supported_sync_modes"]))})

    def read_records(self, *args: object, **kwargs: object) -> Iterable[NoReturn]:
        """Refuse to read: the scheduler does.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("streams are read side by side by source_exact_online.sync.scheduler")
