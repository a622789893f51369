"""Endpoints that the connector itself needs: current user, divisions, deletion log, SyncTimestamp."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from source_exact_online.api.errors import RequestContext
from source_exact_online.api.page import PageDecoder, RowShape


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of endpoints.yaml.

    Attributes:
        path: after version and division.
        scope: as Exact names it in the app registration; None where the reference names none.
        columns: properties to ask for.
        key: those of them that no row may lack.
    """

    path: str
    scope: str | None
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()

    def context(self, division: int | None) -> RequestContext:
        """Return what a request to it is about, for messages."""
        return RequestContext(self.path, self.scope, division)

    def decoder(self) -> PageDecoder:
        """Return what turns its answers into rows; a property that Exact did not send is UNSET there."""
        columns: dict[str, Any] = dict.fromkeys(self.columns, Any)
        return PageDecoder(RowShape.of(columns | dict.fromkeys(self.key, int), self.key), None)


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
        me=_endpoint(table["me"]),
        divisions=tuple(_endpoint(entry) for entry in table["divisions"]),
        deleted=_endpoint(table["deleted"]),
        sync_timestamp=_endpoint(table["sync_timestamp"]),
    )


def _endpoint(entry: dict[str, Any]) -> Endpoint:
    return Endpoint(entry["path"], entry.get("scope"), tuple(entry["columns"]), tuple(entry.get("key", ())))
