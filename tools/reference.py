"""The API reference, reference/endpoints.json, as typed objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE_FILE = REPOSITORY / "reference" / "endpoints.json"
UNDOCUMENTED_FILE = REPOSITORY / "reference" / "undocumented.json"
READABLE_KINDS = frozenset({"standard", "bulk", "sync", "read"})
UNDOCUMENTED = "undocumented"
"""Status of endpoints that the reference does not have (any more) and that Exact's ``$metadata`` has."""
ANSWERING_STATUSES = frozenset({"current", "new", UNDOCUMENTED})


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an entity.

    `type` is `Edm.*`, `Collection(X)` or `Complex(X)`; `filterable` is None where the reference does not say; `since`
    is the year in which it was added after July 2025.
    """

    name: str
    type: str
    description: str | None
    values: Mapping[str, str]
    obsolete: bool
    hidden: bool
    filterable: bool | None = None
    since: str | None = None

    @property
    def is_offered(self) -> bool:
        """Whether the reference shows it and does not call it obsolete."""
        return not (self.obsolete or self.hidden)

    @property
    def is_navigation(self) -> bool:
        """Whether the property is a link to rows of another entity, not a value."""
        return self.type.startswith("Collection(")

    @property
    def complex_type(self) -> str | None:
        """Name of the embedded object's type, or None for every other property."""
        return self.type[len("Complex(") : -1] if self.type.startswith("Complex(") else None

    @property
    def is_binary(self) -> bool:
        """Whether the property is a picture or a file in base64."""
        return self.type == "Edm.Binary"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint; `path` follows the version and the division in its URI and is unique."""

    name: str
    service: str
    path: str
    methods: tuple[str, ...]
    kind: str
    scope: str | None
    page_size: int | None
    key: tuple[str, ...]
    record_id: str | None
    status: str
    select: str | None
    properties: tuple[Property, ...]
    parameters: tuple[str, ...] = ()
    is_beta: bool = False

    @property
    def address(self) -> str:
        """Path as the catalogue has it: `beta/` in front where its URI has that in front of the division."""
        return f"beta/{self.path}" if self.is_beta else self.path

    @property
    def entity(self) -> str:
        """Name of the entity, without the area that names of sync and bulk endpoints start with."""
        return self.path.rpartition("/")[2]

    @property
    def offered(self) -> frozenset[str]:
        """Names of the properties that the reference shows and does not call obsolete."""
        return frozenset(prop.name for prop in self.properties if prop.is_offered)

    @property
    def withdrawn(self) -> frozenset[str]:
        """Names of the values that the reference calls obsolete or no longer shows."""
        return frozenset(prop.name for prop in self.properties if not prop.is_offered and not prop.is_navigation)

    @property
    def demands_filter(self) -> bool:
        """Whether a listing needs a filter: so do the endpoints with a filter column, feeds aside."""
        return self.kind != "sync" and any(prop.filterable for prop in self.properties)

    @property
    def readable(self) -> bool:
        """Whether the endpoint lists rows and still answers."""
        return "GET" in self.methods and self.kind in READABLE_KINDS and self.status in ANSWERING_STATUSES

    @property
    def stable_key(self) -> tuple[str, ...]:
        """Key that stays the same when the record changes; for sync endpoints not the row version `Timestamp`."""
        return (self.record_id,) if self.record_id else self.key


def at_address(reference: Mapping[str, Endpoint], address: str) -> Endpoint:
    """Return the endpoint at a path of the catalogue.

    Raises:
        KeyError: the reference has no such path.
    """
    return reference[address.removeprefix("beta/")]


def load_reference(*files: Path) -> dict[str, Endpoint]:
    """Return all endpoints by path, in the order of the files; what a later one says of a path counts."""
    found: dict[str, Endpoint] = {}
    for file in files or (REFERENCE_FILE, UNDOCUMENTED_FILE):
        endpoints: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        found |= {raw["path"]: _endpoint(raw) for raw in endpoints}
    return found


def _endpoint(raw: dict[str, Any]) -> Endpoint:
    return Endpoint(
        name=raw["name"],
        service=raw["service"],
        path=raw["path"],
        methods=tuple(raw["methods"]),
        kind=raw["kind"],
        scope=raw["scope"],
        page_size=raw["page_size"],
        key=tuple(raw["key"]),
        record_id=raw.get("record_id"),
        status=raw["status"],
        select=raw.get("select"),
        properties=tuple(_property(item) for item in raw["properties"]),
        parameters=tuple(parameter["name"] for parameter in raw.get("parameters") or ()),
        is_beta=raw["uri"].startswith("/api/v1/beta/"),
    )


def _property(raw: dict[str, Any]) -> Property:
    return Property(
        name=raw["name"],
        type=raw["type"],
        description=raw["description"],
        values=raw.get("values") or {},
        obsolete=bool(raw.get("obsolete")),
        hidden=bool(raw.get("hidden")),
        filterable=raw["filterable"],
        since=raw.get("since"),
    )
