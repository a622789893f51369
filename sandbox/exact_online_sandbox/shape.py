"""Which properties of a row are shown and how: ``$select`` and ``$expand`` compiled once per request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any

from exact_online_sandbox import errors
from exact_online_sandbox.entities import SHARED_VALUES, foreign_key
from exact_online_sandbox.errors import bad_request
from exact_online_sandbox.formats import JSON, Converter, converter
from exact_online_sandbox.reference import Endpoint, endpoints
from exact_online_sandbox.rows import Values
from exact_online_sandbox.type_names import type_of
from exact_online_sandbox.views import View


@dataclass(frozen=True, slots=True)
class Selection:
    """What of an endpoint's properties is wanted."""

    plain: tuple[str, ...]
    """Primitive and embedded properties, in the order of the answer."""
    deferred: tuple[str, ...]
    """Navigation properties shown as a link."""
    expanded: dict[str, Selection]
    """Navigation properties shown with their rows."""
    items: tuple[str, ...] | None = None
    """What was asked for: items of ``$select``, None for everything."""


@dataclass(frozen=True, slots=True)
class Navigation:
    """Where a navigation property leads."""

    endpoint: Endpoint
    column: str
    """Property of its rows that holds a value of this row."""
    owner: str
    """Property of this row with that value: its key, mostly."""


@cache
def navigation(path: str, name: str) -> Navigation | None:
    """Find the rows behind a navigation property; None when the reference does not let them be found."""
    reference = endpoints()
    source = reference[path]
    target = source.properties[name].target or ""
    folder = path.rpartition("/")[0]
    if source.kind in ("bulk", "sync"):
        standard = next((p for p in reference if p.lower() == path.partition("/")[2].lower()), path)
        folder = standard.rpartition("/")[0]
    lines = reference.get(f"{folder}/{target}")
    if lines is None or not lines.readable or lines.status == "removed" or len(lines.key) != 1:
        return None
    owner, shared, own = SHARED_VALUES.get(lines.path, (None, "", ""))
    if owner == path:
        return Navigation(lines, own, shared)
    column = foreign_key(source, lines)
    return None if column is None else Navigation(lines, column, source.key[0])


def select(view: View, items: tuple[str, ...] | None, expand: tuple[str, ...]) -> Selection:
    """Work out a selection.

    Args:
        view: what is asked.
        items: items of ``$select``; None for everything.
        expand: items of ``$expand``.

    Raises:
        ApiError: 400, a property does not exist or is no collection.
    """
    properties = view.endpoint.properties
    wanted: set[str] = set()
    inner: dict[str, list[str]] = {}
    for item in items if items is not None else ("*",):
        head, _, rest = item.partition("/")
        if head == "*":
            wanted.update(name for name, prop in properties.items() if items is None or not prop.is_navigation)
            continue
        if head not in properties or (rest and not properties[head].is_navigation):
            raise bad_request(errors.unknown_property(head, view.type_name))
        if rest:
            inner.setdefault(head, []).append(rest)
        wanted.add(head)
    for name in expand:
        if name not in properties or not properties[name].is_navigation:
            raise bad_request(errors.unknown_property(name, view.type_name))
    names = sorted(wanted, key=str.lower)
    navigations = [name for name in names if properties[name].is_navigation]
    return Selection(
        plain=tuple(name for name in names if not properties[name].is_navigation),
        deferred=tuple(name for name in navigations if name not in expand),
        expanded={name: _inner(view.endpoint.path, name, inner.get(name)) for name in navigations if name in expand},
        items=items,
    )


def _inner(path: str, name: str, items: list[str] | None) -> Selection:
    target = navigation(path, name)
    if target is None:
        return Selection((), (), {})
    properties = target.endpoint.properties
    names = sorted(properties, key=str.lower) if items is None else sorted(items, key=str.lower)
    unknown = next((n for n in names if n not in properties), None)
    if unknown is not None:
        raise bad_request(errors.unknown_property(unknown, type_of(target.endpoint)))
    return Selection(
        plain=tuple(n for n in names if not properties[n].is_navigation),
        deferred=tuple(n for n in names if properties[n].is_navigation),
        expanded={},
        items=None if items is None else tuple(items),
    )


class Shape:
    """Turns kept rows into outside ones, picking the selected properties and converting what needs it."""

    def __init__(self, view: View, names: Sequence[str], mode: str = JSON) -> None:
        self.names = tuple(names)
        self._missing: list[int] = []
        slots: list[int] = []
        self._converters: list[tuple[int, Converter]] = []
        for at, name in enumerate(self.names):
            slot = view.slots.get(name)
            if slot is None:
                self._missing.append(at)
            slots.append(slot or 0)
            type_ = view.endpoint.properties[name].type
            convert = converter(name, type_, mode, view.store.wall)
            if type_ == "Edm.Boolean" and view.kept_types.get(name, type_) != type_:
                # bulk/Project/ProjectWBS has flags as Boolean that its sync twin has as Byte.
                convert = bool
            if convert is not None:
                self._converters.append((at, convert))
        self._single = len(slots) == 1
        self._pick = itemgetter(*slots) if slots else None

    def apply(self, values: Values) -> dict[str, Any]:
        """The selected properties of one row."""
        if self._pick is None:
            return {}
        picked = [self._pick(values)] if self._single else list(self._pick(values))
        for at in self._missing:
            picked[at] = None
        for at, convert in self._converters:
            value = picked[at]
            if value is not None:
                picked[at] = convert(value)
        return dict(zip(self.names, picked, strict=True))
