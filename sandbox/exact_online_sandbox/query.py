"""The query string of a read: its OData options, parsed but not yet checked against an endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from exact_online_sandbox import errors
from exact_online_sandbox.errors import bad_request

_KNOWN = frozenset({"$select", "$filter", "$orderby", "$top", "$skip", "$skiptoken", "$expand", "$inlinecount"})
_NATURAL = re.compile(r"[0-9]{1,12}\Z")
_INT32 = 2**31 - 1
_ORDER = re.compile(r"([A-Za-z_]\w*)(?:\s+(asc|desc))?\Z")


@dataclass(frozen=True, slots=True)
class Query:
    """OData options of one request."""

    select: tuple[str, ...] | None
    """Items of ``$select``, None without one."""
    filter: str | None
    orderby: tuple[tuple[str, bool], ...]
    """(property, descending)."""
    top: int | None
    skip: int
    skiptoken: str | None
    expand: tuple[str, ...]
    inlinecount: bool
    parameters: dict[str, str]
    """Everything that does not start with ``$``: parameters of functions."""
    options: tuple[tuple[str, str], ...]
    """All options as given, for the next page's address."""


def parse_query(text: str) -> Query:
    """Parse a raw query string.

    Raises:
        ApiError: 400, an option is unknown, given twice or malformed.
    """
    pairs = parse_qsl(text, keep_blank_values=True)
    options: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if not name.startswith("$"):
            parameters[name] = value
        elif name not in _KNOWN or name in options:
            raise bad_request(errors.SYNTAX)
        else:
            options[name] = value
    inline = options.get("$inlinecount", "none")
    if inline not in ("none", "allpages"):
        raise bad_request(errors.SYNTAX)
    return Query(
        select=_items(options["$select"]) if "$select" in options else None,
        filter=options.get("$filter"),
        orderby=_order(options.get("$orderby")),
        top=_natural(options.get("$top")),
        skip=_natural(options.get("$skip")) or 0,
        skiptoken=options.get("$skiptoken"),
        expand=_items(options["$expand"]) if options.get("$expand") else (),
        inlinecount=inline == "allpages",
        parameters=parameters,
        options=tuple(pairs),
    )


def _items(text: str) -> tuple[str, ...]:
    items = tuple(item.strip() for item in text.split(","))
    if not all(items):
        raise bad_request(errors.SYNTAX)
    return items


def _natural(text: str | None) -> int | None:
    if text is None:
        return None
    if not _NATURAL.match(text) or int(text) > _INT32:
        raise bad_request(errors.SYNTAX)
    return int(text)


def _order(text: str | None) -> tuple[tuple[str, bool], ...]:
    if text is None:
        return ()
    found = []
    for item in _items(text):
        match = _ORDER.match(item)
        if match is None:
            raise bad_request(errors.SYNTAX)
        found.append((match.group(1), match.group(2) == "desc"))
    return tuple(found)
