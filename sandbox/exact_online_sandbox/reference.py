"""The API reference: every endpoint with its properties, read once from ``reference/endpoints.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

PAGE_SIZE = 60
BULK_PAGE_SIZE = 1000

INSTANTS = frozenset(
    {
        "Created",
        "Modified",
        "DeletedDate",
        "CreatedDate",
        "ModifiedDate",
        "syscreated",
        "sysmodified",
        "SysCreated",
        "SysModified",
    }
)
"""DateTime properties that are moments in time. All others are business dates or times without a zone."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an endpoint."""

    name: str
    type: str
    """``Edm.*``, ``Collection(X)`` or ``Complex(X)``."""
    key: bool
    filterable: bool | None
    """As the reference's filter column says; None where the reference has no such column."""
    values: Mapping[str, str] | None
    """Meaning of the codes, where the reference lists them."""

    @property
    def is_navigation(self) -> bool:
        """Whether it holds rows of another entity."""
        return self.type.startswith("Collection(")

    @property
    def is_complex(self) -> bool:
        """Whether it holds an embedded object."""
        return self.type.startswith("Complex(")

    @property
    def is_plain(self) -> bool:
        """Whether it holds one primitive value."""
        return self.type.startswith("Edm.")

    @property
    def target(self) -> str | None:
        """Name of the entity behind a navigation or complex property."""
        if self.is_plain:
            return None
        return self.type.partition("(")[2].rstrip(")")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter of a function."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: what can be asked at one path."""

    name: str
    service: str
    path: str
    """The address after the version and the division; case matters."""
    uri: str
    methods: tuple[str, ...]
    kind: str
    """``standard``, ``sync``, ``bulk``, ``read`` or ``function``."""
    scope: str | None
    page_size: int | None
    key: tuple[str, ...]
    record_id: str | None
    """Sync only: the property that stays the same when the row changes."""
    status: str
    """``current``, ``new``, ``removed``, or ``undocumented`` where only Exact's ``$metadata`` has it."""
    select: str | None
    """``required``, ``no *`` or None."""
    parameters: tuple[Parameter, ...]
    properties: Mapping[str, Property]

    @property
    def entity_set(self) -> str:
        """Last part of the path; the reference's name of sync and bulk endpoints has their area in front."""
        return self.path.rpartition("/")[2]

    @property
    def row_key(self) -> tuple[str, ...]:
        """Properties that tell one row from another, whatever becomes of it."""
        return self.key if self.record_id is None else (self.record_id,)

    @property
    def readable(self) -> bool:
        """Whether the endpoint answers GET."""
        return "GET" in self.methods

    @property
    def filterable(self) -> tuple[str, ...]:
        """Properties the reference allows in a filter, in its order; empty where it has no filter column."""
        return tuple(p.name for p in self.properties.values() if p.filterable)


def is_instant(name: str) -> bool:
    """Tell whether the DateTime property of that name is a moment in time (as opposed to a business date)."""
    return name in INSTANTS


def _property(raw: Mapping[str, Any]) -> Property:
    return Property(
        name=raw["name"],
        type=raw["type"],
        key=bool(raw["key"]),
        filterable=raw["filterable"],
        values=raw.get("values"),
    )


def _endpoint(raw: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        name=raw["name"],
        service=raw["service"],
        path=raw["path"],
        uri=raw["uri"],
        methods=tuple(raw["methods"]),
        kind=raw["kind"],
        scope=raw["scope"],
        page_size=raw["page_size"],
        key=tuple(raw["key"]),
        record_id=raw.get("record_id"),
        status=raw["status"],
        select=raw.get("select"),
        parameters=tuple(Parameter(p["name"], p["type"]) for p in raw.get("parameters") or ()),
        properties=MappingProxyType({p["name"]: _property(p) for p in raw["properties"]}),
    )


@cache
def endpoints() -> Mapping[str, Endpoint]:
    """Return every endpoint of the reference by its path.

    Returns:
        A read-only mapping in the reference's order; loaded once per process.
    """
    folder = resources.files(__package__) / "reference"
    texts = [(folder / name).read_bytes() for name in ("endpoints.json", "undocumented.json")]
    return MappingProxyType({raw["path"]: _endpoint(raw) for text in texts for raw in json.loads(text)})


def canonical(path: str) -> str:
    """The reference's spelling of a path: what stands before the entity is taken in any case, the entity as it is."""
    return _spellings().get(_key(path), path)


@cache
def _spellings() -> Mapping[str, str]:
    return MappingProxyType({_key(path): path for path in endpoints()})


def _key(path: str) -> str:
    services, slash, entity = path.rpartition("/")
    return services.lower() + slash + entity
