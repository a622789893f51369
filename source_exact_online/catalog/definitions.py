"""What streams there are: the facts of catalog.yaml as typed definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

UNDOCUMENTED = "undocumented"
"""Group of streams whose endpoints Exact does not document (any more), and which may not answer."""


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
    """The headers of lines that have no ``Modified`` of their own.

    Attributes:
        path: path of the headers' endpoint, which has ``Modified``.
        navigation: property of a header that holds its lines, for ``$expand``.
    """

    path: str
    navigation: str


@dataclass(frozen=True, slots=True)
class StreamDefinition:
    """The facts about one stream.

    Attributes:
        name: name of the stream.
        title: what its records are, in one line.
        transport: how they are fetched.
        path: path of the endpoint after the division.
        page_size: rows on a page of that endpoint.
        scope: scope of the app registration, as Exact names it; None where the reference names none.
        group: area of Exact Online that it belongs to.
        key: properties that identify a row within its division, without ``Division``.
        core: whether it is one of the streams that most people start with.
        cursor: property shown as cursor; None where the entity has neither ``Modified`` nor ``Timestamp``.
        rows: which rows of the endpoint belong to the stream.
        per_login: whether there is one listing for the login rather than one for each division.
        entity_type: number of the entity in the deletion log; None if its deletions are not logged.
        sync_timestamp: name under which SyncTimestamp knows the feed; None if it does not.
        header_key: property besides the key by which headers and lines are joined.
        division_from: property that ``Division`` is copied from; None where it is the division in the URL.
        split_by_year: property with the year, for listings that are read a year at a time.
        bulk_path: path of an endpoint with the same rows on larger pages and no filter; None if there is none.
        header: headers through which changed lines are found; None where changed rows are found at `path`.
        demands_filter: whether Exact refuses to list all rows without a filter.
        full_columns: whether this is the stream as `full_columns` has it read: from the endpoint with all columns.
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
    core: bool = False
    rows: Rows = Rows.ALL
    per_login: bool = False
    entity_type: int | None = None
    sync_timestamp: str | None = None
    header_key: str | None = None
    division_from: str | None = None
    split_by_year: str | None = None
    bulk_path: str | None = None
    header: Header | None = None
    demands_filter: bool = False
    full_columns: bool = False

    @property
    def schema(self) -> str:
        """Name of the schema with its columns."""
        return f"{self.name}.full" if self.full_columns else self.name

    @property
    def always_read(self) -> tuple[str, ...]:
        """Properties of every record, whatever the user selected."""
        names = (*self.key, self.header_key, self.cursor, self.division_from)
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Properties that identify a record among all divisions: the entity's own key, then ``Division``."""
        return (*self.key, "Division")

    @property
    def proof_key(self) -> tuple[str, ...]:
        """Properties without which a row is no row of the stream; none where a division has a single row."""
        return self.key or (() if self.division_from is None else (self.division_from,))

    @property
    def tracks_deletions(self) -> bool:
        """Whether Exact logs the deletion of its rows."""
        return self.entity_type is not None


@cache
def catalog() -> Mapping[str, StreamDefinition]:
    """Return all streams by name, in the order of catalog.yaml."""
    return MappingProxyType({entry["name"]: _definition(entry) for entry in _entries()})


@cache
def with_full_columns() -> Mapping[str, StreamDefinition]:
    """Return the streams that have more columns than they are usually read with, as they are read with all of them."""
    return {
        entry["name"]: _definition({**entry, **entry["full"], "full_columns": True})
        for entry in _entries()
        if "full" in entry
    }


@cache
def _entries() -> list[dict[str, Any]]:
    table: dict[str, Any] = yaml.load(
        files(__package__).joinpath("catalog.yaml").read_text("utf-8"),
        Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
    )
    entries: list[dict[str, Any]] = table["streams"]
    return entries


def _definition(entry: Mapping[str, Any]) -> StreamDefinition:
    return StreamDefinition(
        name=entry["name"],
        title=entry["title"],
        transport=Transport(entry["transport"]),
        path=entry["path"],
        page_size=entry["page_size"],
        scope=entry.get("scope"),
        group=entry["group"],
        key=tuple(entry["key"]),
        cursor=entry.get("cursor"),
        core=entry.get("core", False),
        rows=Rows(entry.get("rows", "all")),
        per_login=entry.get("partition") == "login",
        entity_type=entry.get("entity_type"),
        sync_timestamp=entry.get("sync_timestamp"),
        header_key=entry.get("header_key"),
        division_from=entry.get("division_from"),
        split_by_year=entry.get("split_by_year"),
        bulk_path=entry.get("bulk_path"),
        header=Header(**entry["header"]) if "header" in entry else None,
        demands_filter=entry.get("demands_filter", False),
        full_columns=entry.get("full_columns", False),
    )
