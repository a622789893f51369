"""Endpoints that the connector itself needs: current user, divisions, deletion log, row version look-up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from source_exact_online.api.errors import Subject


@dataclass(frozen=True, slots=True)
class Service:
    """An endpoint of services.yaml."""

    path: str
    scope: str | None
    columns: tuple[str, ...]

    def subject(self, division: int | None) -> Subject:
        """What a request to it is about, for messages."""
        return Subject(self.path, self.scope, division)


@dataclass(frozen=True, slots=True)
class Services:
    """All of services.yaml."""

    me: Service
    divisions: tuple[Service, ...]
    deleted: Service
    sync_timestamp: Service


@cache
def services() -> Services:
    """The endpoints of services.yaml."""
    table: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("services.yaml").read_text("utf-8"))
    return Services(
        me=_service(table["me"]),
        divisions=tuple(_service(entry) for entry in table["divisions"]),
        deleted=_service(table["deleted"]),
        sync_timestamp=_service(table["sync_timestamp"]),
    )


def _service(entry: dict[str, Any]) -> Service:
    return Service(entry["path"], entry.get("scope"), tuple(entry["columns"]))
