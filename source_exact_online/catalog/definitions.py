"""What streams there are: catalog.yaml read into definitions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


class Transport(Enum):
    """How the rows of a stream are fetched; catalog.yaml explains each."""

    FEED = "feed"
    LIST = "list"
    SNAPSHOT = "snapshot"


class Rows(Enum):
    """Which rows of an endpoint belong to a stream. Some feeds mix headers (line number 0) and lines."""

    ALL = "all"
    HEADERS = "headers"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Header:
    """Where changed lines are found that bear no date of their own.

    Attributes:
        path: path of the headers' endpoint, which has ``Modified``.
        lines: its navigation property that shows a header's lines, for ``$expand``.
    """

    path: str
    lines: str


@dataclass(frozen=True, slots=True)
class StreamDefinition:
    """Facts about one stream.

    Attributes:
        name: name of the stream.
        title: what its records are, in one line.
        transport: how they are fetched.
        path: path of the endpoint after the division.
        page_size: rows on a page of that endpoint.
        scope: scope of the app registration, as Exact names it; None where the reference names none.
        group: area of Exact Online that it belongs to.
        key: properties that identify a row within its division.
        cursor: property shown as cursor; None for snapshots.
        rows: which rows of the endpoint belong to the stream.
        per_login: whether the listing is one of the login rather than one of each division.
        entity_type: number of the entity in the deletion log; None if it has none.
        sync_timestamp: name under which the row version look-up knows the feed; None if it does not.
        filter_required: whether the endpoint refuses listings without a filter.
        header_key: property besides the key under which headers and lines find each other.
        division_from: property that ``Division`` is copied from; None where it is the division in the URL.
        year: property with the year, for listings that are read a year at a time.
        whole: path of an endpoint with larger pages and the same rows that cannot be filtered; None if there is none.
        header: where its changed rows are found; None where they are found at `path`.
        lacks: properties that `path` does not have although the stream does.
        key_from: property that the key is copied from; None where the rows have it.
        stand_in: the same stream served by another endpoint, for divisions in which Exact does not know this one.
    """

    name: str
    title: str
    transport: Transport
    path: str
    page_size: int
    scope: str | None
    group: str
    key: tuple[str, ...]
    cursor: str | None
    rows: Rows = Rows.ALL
    per_login: bool = False
    entity_type: int | None = None
    sync_timestamp: str | None = None
    filter_required: bool = False
    header_key: str | None = None
    division_from: str | None = None
    year: str | None = None
    whole: str | None = None
    header: Header | None = None
    lacks: frozenset[str] = frozenset()
    key_from: str | None = None
    stand_in: StreamDefinition | None = None

    @property
    def always_read(self) -> tuple[str, ...]:
        """Properties of every record, whatever the user selected."""
        return tuple(name for name in (*self.key, self.header_key, self.cursor, self.division_from) if name)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Properties that identify a record among all divisions."""
        return ("Division", *(name for name in self.key if name != "Division"))


@cache
def catalog() -> dict[str, StreamDefinition]:
    """All streams by name, in the order of catalog.yaml."""
    table: dict[str, Any] = yaml.load(
        files(__package__).joinpath("catalog.yaml").read_text("utf-8"),
        Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
    )
    return {entry["name"]: _definition(entry) for entry in table["streams"]}


def _definition(entry: dict[str, Any]) -> StreamDefinition:
    definition = StreamDefinition(
        name=entry["name"],
        title=entry["title"],
        transport=Transport(entry["transport"]),
        path=entry["path"],
        page_size=entry["page_size"],
        scope=entry.get("scope"),
        group=entry["group"],
        key=tuple(entry["key"]),
        cursor=entry.get("cursor"),
        rows=Rows(entry.get("rows", "all")),
        per_login=entry.get("partition") == "login",
        entity_type=entry.get("entity_type"),
        sync_timestamp=entry.get("sync_timestamp"),
        filter_required=entry.get("filter_required", False),
        header_key=entry.get("header_key"),
        division_from=entry.get("division_from"),
        year=entry.get("year"),
        whole=entry.get("whole"),
        header=Header(**entry["header"]) if "header" in entry else None,
    )
    return replace(definition, stand_in=_stand_in(definition, entry["stand_in"])) if "stand_in" in entry else definition


def _stand_in(definition: StreamDefinition, entry: dict[str, Any]) -> StreamDefinition:
    return replace(
        definition,
        transport=Transport.LIST,
        path=entry["path"],
        page_size=entry["page_size"],
        rows=Rows.ALL,
        header=Header(**entry["header"]) if "header" in entry else None,
        lacks=frozenset(entry["lacks"]),
        key_from=entry.get("key_from"),
    )
