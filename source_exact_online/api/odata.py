"""The OData dialect of Exact Online: URLs and literals. Pages that come in are page.py's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qs, quote, urlsplit

LONGEST_LINK = 16_000
"""Characters of an address that are followed: servers take some 8,000 to 16,000, and Exact's links have hundreds."""


def datetime_literal(wall: datetime) -> str:
    """Return the literal ``datetime'...'`` of a naive wall clock time, cut to the second: earlier, so `ge` is safe."""
    return f"datetime'{wall.replace(microsecond=0).isoformat()}'"


def listing_url(base_url: str, path: str, division: int | None, options: Mapping[str, str]) -> str:
    """Return the URL of a listing.

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
    """Return the columns named in a URL's ``$select``, those of an expanded property by their own name."""
    return tuple(name.rpartition("/")[2] for name in _option(url, "$select").split(",") if name)


def filtered(url: str) -> str:
    """Return the condition in a URL's ``$filter``; empty if it has none."""
    return _option(url, "$filter")


def _option(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[0]


def same_origin(base_url: str, url: str) -> bool:
    r"""Return whether a URL has the scheme, host and port of the site.

    User names, backslashes, white space and control characters make it foreign whatever follows: readers of URLs
    disagree on the host of such a one (``https://elsewhere\@start.exactonline.nl``), and the token must not go where
    another reader sees it.
    """
    if re.search(r"[\\@\s\x00-\x20\x7f]", url.partition("?")[0]):
        return False
    try:
        return _origin(url) == _origin(base_url)
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
