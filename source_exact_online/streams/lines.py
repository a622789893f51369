"""Lines inside their headers: what ``$expand`` shows of lines that bear no date of their own.

Such lines take their header's ``Modified``, so that all that is done with it (cursor, window, October night) is done
for them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from source_exact_online.api.odata import Row


class NotExpandedError(ValueError):
    """Headers came without their lines: ``$expand`` was not heeded."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Further lines of one header, behind a link.

    Attributes:
        url: the next page of them.
        modified: the header's ``Modified``, as Exact sent it.
    """

    url: str
    modified: str | None


@dataclass(frozen=True, slots=True)
class Lines:
    """Rows of a page, and links to those that did not fit."""

    rows: Sequence[Row]
    rest: Sequence[Rest] = ()


def dated(lines: Iterable[Row], modified: str | None) -> list[Row]:
    """Lines with their header's ``Modified``."""
    return [{**line, "Modified": modified} for line in lines]


def lines_of(headers: Sequence[Row], navigation: str) -> Lines:
    """Lines that some headers show.

    Exact sends ``{"results": [...]}``. OData lets a server page it with a ``__next`` of its own; whether Exact does is
    not known.

    Args:
        headers: rows of the headers' endpoint.
        navigation: their property with the lines.

    Raises:
        NotExpandedError: a header shows none, not even an empty list.
    """
    rows: list[Row] = []
    rest: list[Rest] = []
    for header in headers:
        shown, modified = header.get(navigation), header.get("Modified")
        next_url = None
        if isinstance(shown, dict) and "results" in shown:
            shown, next_url = shown["results"], shown.get("__next")
        if not isinstance(shown, list) or any(not isinstance(line, dict) for line in shown):
            raise NotExpandedError(f"headers came without {navigation}")
        rows.extend(dated(shown, modified))
        if isinstance(next_url, str) and next_url:
            rest.append(Rest(next_url, modified))
    return Lines(rows, rest)
