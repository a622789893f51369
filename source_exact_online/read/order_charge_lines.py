"""Lines that bear no date of their own, found through their headers: inside them (``$expand``), or by their keys.

Such lines take their header's ``Modified``, so that all that is done with it (cursor, window, October night) is done
for them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from source_exact_online.api import odata
from source_exact_online.api.client import ExactClient
from source_exact_online.api.odata import Row
from source_exact_online.catalog.definitions import Header, StreamDefinition

KEYS_A_CALL = 20
"""Headers whose lines are asked for by key in one call: some 1,300 characters of the 6,000 that an address may have."""


class NotExpandedError(ValueError):
    """Headers came without their lines: ``$expand`` was not heeded."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Further lines of some headers, behind a link.

    Attributes:
        url: the next page of them.
        dates: ``Modified`` by key of the header, as Exact sent it.
        inside: whether the link leads into one header, which may be gone by the time it is followed.
    """

    url: str
    dates: Mapping[str, str | None]
    inside: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """Rows of a page, and links to those that did not fit."""

    rows: Sequence[Row]
    rest: Sequence[Rest] = ()


def dated(lines: Iterable[Row], modified: str | None) -> list[Row]:
    """Lines with a ``Modified``."""
    return [{**line, "Modified": modified} for line in lines]


class HeaderQuery:
    """The requests for the lines of changed headers in one division."""

    def __init__(
        self, client: ExactClient, division: int, lines: StreamDefinition, header: Header, *, by_key: bool
    ) -> None:
        """Query of one stream's lines.

        Args:
            client: the API.
            division: division in the URL.
            lines: the stream.
            header: where its headers are.
            by_key: whether to ask for lines by their headers' keys, as headers have not shown them.

        Raises:
            ValueError: the stream does not tell the property that names the header.
        """
        if lines.header_key is None:
            raise ValueError(f"{lines.name} has headers, but no property that names them")
        self.path = header.path
        self._client = client
        self._division = division
        self._lines = lines
        self._shown = header.navigation
        self._key = lines.header_key
        self.by_key = by_key

    def first_page(self, condition: str, columns: Iterable[str]) -> str:
        """URL of the first page of headers.

        Args:
            condition: which headers.
            columns: properties of the lines.
        """
        inner = [f"{self._shown}/{name}" for name in columns if name != "Modified" and not self.by_key]
        options = {"$select": ",".join([self._key, "Modified", *inner]), "$filter": condition}
        if not self.by_key:
            options["$expand"] = self._shown
        return self._client.url(self.path, self._division, options)

    def shows(self, url: str) -> bool:
        """Whether a page is one of headers."""
        return urlsplit(url).path.lower().endswith(f"/{self.path}".lower())

    def drop_expand(self) -> bool:
        """Ask for lines by their headers' keys from now on; returns whether that changes the requests."""
        expanded, self.by_key = not self.by_key, True
        return expanded

    def lines(self, headers: Sequence[Row], columns: Iterable[str]) -> Lines:
        """Lines of some headers, or where to find them.

        Args:
            headers: rows of a page of headers.
            columns: properties of the lines.

        Raises:
            NotExpandedError: a header shows no lines, not even an empty list.
        """
        return Lines((), list(self._by_key(headers, columns))) if self.by_key else self._inside(headers)

    def of_rest(self, rest: Rest, page: odata.Page) -> Lines:
        """Lines of a page that a link led to."""
        rows = [{**line, "Modified": rest.dates.get(line.get(self._key, ""))} for line in page.rows]
        return Lines(rows, () if page.next_url is None else [Rest(page.next_url, rest.dates, rest.inside)])

    def _inside(self, headers: Sequence[Row]) -> Lines:
        """Lines as ``{"results": [...]}``.

        OData lets a server page them, with a ``__next`` of their own; whether Exact does is not known.
        """
        rows: list[Row] = []
        rest: list[Rest] = []
        for header in headers:
            shown, modified = header.get(self._shown), header.get("Modified")
            next_url = None
            if isinstance(shown, dict) and "results" in shown:
                shown, next_url = shown["results"], shown.get("__next")
            if not isinstance(shown, list) or any(not isinstance(line, dict) for line in shown):
                raise NotExpandedError(f"headers came without {self._shown}")
            rows.extend(dated(shown, modified))
            if isinstance(next_url, str) and next_url:
                rest.append(Rest(next_url, {header.get(self._key, ""): modified}, inside=True))
        return Lines(rows, rest)

    def _by_key(self, headers: Sequence[Row], columns: Iterable[str]) -> Iterable[Rest]:
        select = ",".join(name for name in columns if name != "Modified")
        for first in range(0, len(headers), KEYS_A_CALL):
            dates = {header[self._key]: header.get("Modified") for header in headers[first : first + KEYS_A_CALL]}
            condition = " or ".join(f"{self._key} eq guid'{key}'" for key in dates)
            options = {"$select": select, "$filter": condition}
            yield Rest(self._client.url(self._lines.path, self._division, options), dates, inside=False)
