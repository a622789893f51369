"""The OData dialect of Exact Online: URLs and literals going out, rows coming in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import orjson

from source_exact_online.api import exact_time

Row = dict[str, Any]

URL_LIMIT = 6000
"""Longest URL Exact accepts, in characters (Exact's page "Restrictions")."""


class NotAListingError(ValueError):
    """A body that is not the answer to a listing: not JSON, an error object, or without rows."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    rows: list[Row]
    next_url: str | None


def datetime_literal(wall: datetime) -> str:
    """``datetime'...'`` literal of a naive wall clock time, cut to the whole second (earlier, so `ge` stays safe)."""
    return f"datetime'{wall.replace(microsecond=0).isoformat()}'"


def listing_url(base_url: str, path: str, division: int | None, options: Mapping[str, str]) -> str:
    """URL of a listing.

    Args:
        base_url: scheme and host of the country site.
        path: path after version and division, e.g. ``crm/Accounts``. A path that starts with ``beta/`` belongs in
            front of the division.
        division: administration, or None for the few paths without one.
        options: query options; names such as ``$select`` are sent as they stand.
    """
    beta, rest = ("beta/", path[5:]) if path.startswith("beta/") else ("", path)
    where = f"{beta}{division}/{rest}" if division is not None else path
    query = "&".join(f"{name}={quote(value, safe=_SAFE)}" for name, value in options.items())
    return f"{base_url}/api/v1/{where}" + (f"?{query}" if query else "")


_SAFE = "$,'():/*"


def selected(url: str) -> tuple[str, ...]:
    """Columns named in a URL's ``$select``, those of an expanded property by their own name."""
    return tuple(name.rpartition("/")[2] for name in _option(url, "$select").split(",") if name)


def filtered(url: str) -> str:
    """Condition in a URL's ``$filter``; empty if it has none."""
    return _option(url, "$filter")


def _option(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[0]


def same_origin(base_url: str, url: str) -> bool:
    r"""Whether a URL has the scheme, host and port of the site.

    User names, backslashes and white space make it foreign whatever follows: readers of URLs disagree on the host of
    such a one (``https://elsewhere\@start.exactonline.nl``), and the token must not go where another reader sees it.
    """
    if re.search(r"[\\@\s]", url.partition("?")[0]):
        return False
    try:
        return _origin(url) == _origin(base_url)
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def parse_page(body: bytes, url: str) -> Page:
    """Read the answer to a listing.

    Exact answers ``{"d": {"results": [...], "__next": ...}}``, a bare array in ``d`` where ``$top`` was given, and a
    single object in ``d`` for one entity; functions use any of the three.

    Raises:
        NotAListingError: the body is none of these. The connector must not take it for an empty page.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotAListingError(f"the body is not JSON ({len(body)} bytes)") from error
    if not isinstance(document, dict) or "d" not in document:
        raise NotAListingError("the body has no member 'd'")
    data = document["d"]
    next_url: Any = None
    if isinstance(data, dict) and "results" in data:
        next_url = data.get("__next")
        data = data["results"]
    elif isinstance(data, dict) and data:
        data = [data]
    if not isinstance(data, list) or any(not isinstance(row, dict) for row in data):
        raise NotAListingError("member 'd' holds no rows")
    return Page(data, following(url, next_url) if isinstance(next_url, str) and next_url else None)


def following(url: str, link: str) -> str:
    """Address of the page that a link on another page leads to.

    Exact's documentation prints links as ``../api/v1/...``, which is meant from the site's root.

    Raises:
        NotAListingError: it leads nowhere, or back.
    """
    try:
        found = urljoin(url, re.sub(r"^(\.\./)+api/", "/api/", link))
    except ValueError as error:
        raise NotAListingError(f"the link to the next page is no URL ({error})") from error
    if found == url:
        raise NotAListingError("the link to the next page leads to the page itself")
    return found


@dataclass(frozen=True, slots=True)
class RowPlan:
    """How the rows of one selection become records, decided once instead of per row.

    Attributes:
        copied: properties taken as they are.
        integers: properties that may arrive as a string (Edm.Int64) and leave as an integer.
        instants: wall clock times that leave as UTC.
        dates: business dates and times, reformatted but never shifted.
    """

    copied: tuple[str, ...]
    integers: tuple[str, ...]
    instants: tuple[str, ...]
    dates: tuple[str, ...]

    @classmethod
    def compile(cls, schema: Mapping[str, Any], columns: Iterable[str]) -> RowPlan:
        """Plan for some columns of a stream, from the types in its JSON schema."""
        sorted_out: dict[str, list[str]] = {"copied": [], "integers": [], "instants": [], "dates": []}
        for name in columns:
            sorted_out[_kind(schema[name])].append(name)
        return cls(**{kind: tuple(names) for kind, names in sorted_out.items()})

    def record(self, row: Row, now_ms: float) -> Row:
        """Record of one row, without its null properties (Airbyte's serializer drops those anyway).

        Args:
            row: the row.
            now_ms: the present by Exact's clock, epoch milliseconds.
        """
        record: Row = {}
        for name in self.copied:
            if (value := row.get(name)) is not None:
                record[name] = value
        for name in self.integers:
            if (value := row.get(name)) is not None:
                record[name] = int(value) if isinstance(value, str) else value
        utc_text, wall_text = exact_time.AMSTERDAM.utc_text, exact_time.wall_text
        for name in self.instants:
            if value := row.get(name):
                record[name] = utc_text(value, now_ms)
        for name in self.dates:
            if value := row.get(name):
                record[name] = wall_text(value)
        return record


def _kind(property_schema: Mapping[str, Any]) -> str:
    if property_schema.get("format") == "date-time":
        return "instants" if property_schema.get("airbyte_type") == "timestamp_with_timezone" else "dates"
    types = property_schema.get("type", ())
    return "integers" if "integer" in (types if isinstance(types, list) else [types]) else "copied"
