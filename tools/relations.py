"""How entities refer to each other, as far as the reference says it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.reference import Endpoint, Property

_REFERRED = re.compile(r"\((\w+/\w+)\.(\w+)\)")
"""The reference's descriptions name the other side: "Customer (crm/Accounts.ID)"."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A property that holds a key of another entity."""

    column: str
    path: str
    key: str


def referred(prop: Property) -> Reference | None:
    """Return what a property's description says it refers to; None where it does not."""
    found = _REFERRED.search(prop.description or "")
    return Reference(prop.name, found[1], found[2]) if found else None


def header_keys(reference: Mapping[str, Endpoint]) -> dict[str, str]:
    """Return the property by which headers and lines are joined, by path of the standard endpoints of both.

    Headers are the endpoints with a navigation property to "...Lines" in the same folder.
    """
    found: dict[str, str] = {}
    for header, lines, _ in _headers_and_lines(reference):
        key = _key_in_lines(header, lines)
        if key is None:
            continue
        found[lines.path] = key
        if key in header.offered:
            found[header.path] = key
    return found


def dated_headers(reference: Mapping[str, Endpoint]) -> dict[str, tuple[Endpoint, str]]:
    """Return headers whose lines have no ``Modified`` while they do, and their navigation property to the lines.

    By path of the lines' standard endpoint.
    """
    return {
        lines.path: (header, prop.name)
        for header, lines, prop in _headers_and_lines(reference)
        if "Modified" in header.offered and "Modified" not in lines.offered
    }


def _headers_and_lines(reference: Mapping[str, Endpoint]) -> Iterator[tuple[Endpoint, Endpoint, Property]]:
    for header in reference.values():
        if header.kind != "standard" or not header.readable:
            continue
        for prop in header.properties:
            target = prop.type[len("Collection(") : -1] if prop.is_navigation else ""
            lines = reference.get(f"{header.path.rpartition('/')[0]}/{target}")
            if target.endswith("Lines") and lines is not None:
                yield header, lines, prop


def _key_in_lines(header: Endpoint, lines: Endpoint) -> str | None:
    """Return the header's own key where the lines have it, else what is named after the header or its last words."""
    (key,) = header.key
    if key not in ("ID", "Code") and key in lines.offered:
        return key
    name = singular(header.entity)
    candidates = (f"{name}ID", name, f"{re.sub('^[A-Z][a-z]+', '', name)}ID")
    return next((name for name in candidates if name in lines.offered), None)


def singular(name: str) -> str:
    """Return the singular of an entity's English plural name."""
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-2] if name.endswith("sses") else name.removesuffix("s")
