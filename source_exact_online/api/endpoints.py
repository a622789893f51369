"""Endpoints that the connector itself needs: current user, divisions, deletion log, SyncTimestamp."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from source_exact_online.api.errors import RequestContext


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of endpoints.yaml.

    Attributes:
        path: after version and division.
        scope: as Exact names it in the app registration; None where the reference names none.
        columns: properties to ask for.
    """

    path: str
    scope: str | None
    columns: tuple[str, ...]

    def subject(self, division: int | None) -> RequestContext:
        """Return what a request to it is about, for messages."""
        return RequestContext(self.path, self.scope, division)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """All of endpoints.yaml."""

    me: Endpoint
    divisions: tuple[Endpoint, ...]
    deleted: Endpoint
    sync_timestamp: Endpoint


@cache
def endpoints() -> Endpoints:
    """Return the endpoints of endpoints.yaml."""
    table: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("endpoints.yaml").read_text("utf-8"))
    return Endpoints(
        me=_service(table["me"]),
        divisions=tuple(_service(entry) for entry in table["divisions"]),
        deleted=_service(table["deleted"]),
        sync_timestamp=_service(table["sync_timestamp"]),
    )


def _service(entry: dict[str, Any]) -> Endpoint:
    return Endpoint(entry["path"], entry.get("scope"), tuple(entry["columns"]))
