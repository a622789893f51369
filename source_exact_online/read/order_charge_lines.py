"""Lines that bear no date of their own, found inside their headers (``$expand``).

Such lines take their header's ``Modified``, so that all that is done with it (cursor, window, October night) is done
for them too. Where headers do not show their lines, the stream is read whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from source_exact_online.api.client import ExactClient
from source_exact_online.api.page import Page, PageDecoder, Repair, Row, RowShape
from source_exact_online.catalog.definitions import StreamDefinition


class NotExpandedError(ValueError):
    """Headers came without their lines: ``$expand`` was not heeded."""


class HeaderDecoder(PageDecoder):
    """Decodes pages of headers; in each header its lines are typed rows.

    Args:
        shape: what headers look like.
        division: division that headers and lines must belong to.
        navigation: property that shows a header's lines.
        line_decoder: makes the typed rows of the lines.
    """

    def __init__(self, shape: RowShape, division: int, navigation: str, line_decoder: PageDecoder) -> None:
        super().__init__(shape, division)
        self._navigation = navigation
        self._lines = line_decoder

    def decode(self, body: bytes, url: str) -> Page:
        """Return the page in a body.

        Raises:
            DamagedPageError: it is not a page of headers, or what is inside a header are no lines.
            NotExpandedError: a header shows no lines, not even an empty list, or only some of them.
        """
        page = super().decode(body, url)
        repairs: list[Repair] = list(page.repairs)
        for header in page.rows:
            shown = getattr(header, self._navigation)
            if isinstance(shown, dict) and shown.get("__next"):
                raise NotExpandedError(f"a header shows only some of its {self._navigation}")
            if isinstance(shown, dict) and "results" in shown:
                shown = shown["results"]
            if not isinstance(shown, list):
                raise NotExpandedError(f"headers came without {self._navigation}")
            setattr(header, self._navigation, self._lines.rows(shown, repairs, body))
        return replace(page, repairs=repairs)


class HeaderQuery:
    """The requests for the lines of changed headers in one division.

    Args:
        client: the API.
        division: division in the URL.
        lines: the stream; one whose catalogue entry has a header.
        line_decoder: makes its typed rows.

    Raises:
        ValueError: the stream has no header.
    """

    def __init__(self, client: ExactClient, division: int, lines: StreamDefinition, line_decoder: PageDecoder) -> None:
        if lines.header is None or lines.header_key is None:
            raise ValueError(f"{lines.name} has no headers")
        self.path = lines.header.path
        self._client = client
        self._division = division
        self._navigation = lines.header.navigation
        self._header_key = lines.header_key
        columns: dict[str, Any] = {self._header_key: str, "Modified": str, self._navigation: Any}
        shape = RowShape.of(columns, [self._header_key])
        self.decoder = HeaderDecoder(shape, division, self._navigation, line_decoder)

    def first_page(self, condition: str, columns: Iterable[str]) -> str:
        """Return the URL of the first page of headers.

        Args:
            condition: which headers.
            columns: properties of the lines.
        """
        inner = [f"{self._navigation}/{name}" for name in columns]
        options = {
            "$select": ",".join([self._header_key, "Modified", *inner]),
            "$filter": condition,
            "$expand": self._navigation,
        }
        return self._client.url(self.path, self._division, options)

    def is_header_page(self, url: str) -> bool:
        """Return whether a page is one of headers."""
        return urlsplit(url).path.lower().endswith(f"/{self.path}".lower())

    def lines(self, headers: Sequence[Row]) -> list[Row]:
        """Return the lines inside some headers, each with its header's ``Modified``."""
        rows: list[Row] = []
        for header in headers:
            for line in getattr(header, self._navigation):
                line.Modified = header.Modified
                rows.append(line)
        return rows
