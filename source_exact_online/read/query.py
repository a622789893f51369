"""What a listing asks for: columns, filter, and the row version to begin a feed at."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from source_exact_online.api import exact_time, odata
from source_exact_online.api.client import ExactClient
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.page import Page, PageDecoder, Row, RowShape
from source_exact_online.catalog.column_types import wire_type
from source_exact_online.catalog.definitions import Rows, Transport
from source_exact_online.catalog.schemas import properties
from source_exact_online.config import Config
from source_exact_online.read import years
from source_exact_online.read.order_charge_lines import HeaderQuery
from source_exact_online.read.records import RecordFormat
from source_exact_online.read.stream_reader import Reader
from source_exact_online.state import transitions
from source_exact_online.state.position import Position

logger = logging.getLogger("airbyte.exact_online")

_LONG_AGO = exact_time.from_milliseconds(transitions.LONG_AGO)


class Refusals:
    """Columns that Exact refused in this sync, by endpoint; shared by all partitions.

    Attributes:
        by_path: refused columns by path.
        missing: paths that Exact does not know, of those that it does not document.
    """

    def __init__(self) -> None:
        self.by_path: dict[str, frozenset[str]] = {}
        self.missing: set[str] = set()

    def add(self, path: str, columns: Sequence[str], detail: str) -> None:
        """Remember refused columns; warn the first time."""
        known = self.by_path.get(path, frozenset())
        fresh = set(columns) - known
        if fresh:
            self.by_path[path] = known | fresh
            names = ", ".join(sorted(fresh))
            logger.warning("Exact Online refuses %s of %s; reading on without (%s).", names, path, detail)

    def miss(self, path: str, stream: str) -> None:
        """Remember that Exact does not know an endpoint that it does not document; say so the first time."""
        if path not in self.missing:
            self.missing.add(path)
            logger.warning("Exact Online does not offer %s (%s, which is not documented): skipped.", stream, path)


class Query:
    """The requests of one listing in one division, for all streams that it feeds.

    Args:
        client: the API.
        config: of the user.
        refused: columns that Exact has refused, shared by all partitions.
        division: division in the URL.
        readers: streams to feed; they share one path.
        any_division: whether rows of other divisions belong to the listing.
    """

    def __init__(
        self,
        client: ExactClient,
        config: Config,
        refused: Refusals,
        division: int,
        readers: Sequence[Reader],
        *,
        any_division: bool = False,
    ) -> None:
        self._client = client
        self._refused = refused
        self._division = division
        self._readers = readers
        self._definition = readers[0].definition
        self._lookback_ms = int(config.lookback.total_seconds() * 1000)
        self._start = None if config.start_date is None else client.wall_clock.first_at_or_after(config.start_date)
        names = dict.fromkeys(name for reader in readers for name in (*reader.columns, *reader.required))
        names.update(dict.fromkeys(self._needed))
        schemas = {name: schema for name, schema in properties(self._definition.schema).items() if name in names}
        proof = tuple(dict.fromkeys(name for reader in readers for name in reader.proof))
        shape = RowShape.of({name: wire_type(name, schema) for name, schema in schemas.items()}, proof)
        self.columns = tuple(name for name in schemas if name != "Division")
        self.format = RecordFormat(schemas, proof, client.wall_clock)
        self._decoder = PageDecoder(shape, None if any_division else division)
        self._headers: HeaderQuery | None = None
        if self._definition.header is not None:
            self._headers = HeaderQuery(client, division, self._definition, self._decoder)
        self._start_version: int | None = None
        self._changed_since: int | None = None
        self._is_filtered = True
        self._demands_filter = self._definition.demands_filter

    @property
    def required(self) -> frozenset[str]:
        """Columns that cannot be left out, even if Exact refuses them."""
        return frozenset(self._needed).union(*(reader.required for reader in self._readers))

    @property
    def _needed(self) -> tuple[str, ...]:
        version = ("Timestamp",) if self._definition.transport is Transport.FEED else ()
        return (*version, "LineNumber") if self._definition.rows is not Rows.ALL else version

    @property
    def asks_headers(self) -> str | None:
        """Path of the headers whose lines are asked for; None where rows are listed by themselves."""
        return None if self._headers is None or self._condition() is None else self._headers.path

    def decoder(self, url: str) -> PageDecoder:
        """Return what turns the page at an address into rows."""
        if self._headers is not None and self._headers.is_header_page(url):
            return self._headers.decoder
        return self._decoder

    def modified_when_listed(self, started_at: int) -> int | None:
        """Return the ``Modified`` that a listing reaches whatever its rows say, on Exact's wall clock (ms).

        Lines listed by themselves do not say when their headers were changed, but all changes before the listing are
        in it.

        Args:
            started_at: start of the listing, epoch milliseconds.
        """
        listed_alone = self._headers is not None and self.asks_headers is None
        return self._client.wall_clock.from_instant(started_at) if listed_alone else None

    # -- addresses -------------------------------------------------------------------------------------------------

    def first_page(self) -> str:
        """Return the URL of the listing's first page."""
        self._changed_since = None
        return self._page(self._condition())

    def changes_since(self, started_at: int) -> str | None:
        """Return the URL that lists what has changed since a moment; None where that cannot be asked for.

        Args:
            started_at: epoch milliseconds.
        """
        if self._definition.transport is not Transport.LIST or not self._is_filtered:
            return None
        clock = self._client.wall_clock
        self._changed_since = transitions.first_modified(Position(cursor=clock.from_instant(started_at)), 0, clock)
        return self._page(self._condition())

    def goes_on_at(self, url: str) -> bool:
        """Return whether a link from an earlier run leads to a page of this listing, with all columns wanted now."""
        if not odata.same_origin(self._client.base_url, url):
            return False  # it may be no address at all
        first_page = self.first_page()
        here, there = urlsplit(first_page).path.lower(), urlsplit(url).path.lower()
        return (
            f"/{self._division}/" in there
            and there.rpartition("/")[2] == here.rpartition("/")[2]
            and set(odata.selected(url)) >= set(odata.selected(first_page))
        )

    def page_after(self, url: str) -> str | None:
        """Return the URL that follows a listing's last page: the next year's first, where years are read one by one."""
        year = self._definition.split_by_year
        condition = None if year is None else years.following(year, odata.filtered(url), self._first_year())
        return None if condition is None else self._page(condition)

    def sync_timestamp(self) -> str | None:
        """Return the URL that finds the row version to begin a feed at; None if it is known or the feed begins at 1."""
        name = self._definition.sync_timestamp
        if name is None or self._definition.transport is not Transport.FEED:
            return None
        new = [reader for reader in self._readers if reader.row_version is None]
        moments = [moment for reader in new if (moment := self._first_modified(reader)) is not None]
        if not new or len(moments) < len(new):
            return None
        endpoint = endpoints().sync_timestamp
        options = {
            "modified": odata.datetime_literal(exact_time.from_milliseconds(min(moments))),
            "endPoint": f"'{name}'",
            "$select": ",".join(endpoint.columns),
        }
        return self._client.url(endpoint.path, self._division, options)

    def begin_at(self, sync_timestamp: Page) -> None:
        """Begin after the version before the one that was found, so that its row is included.

        No row in the answer is taken to mean no knowledge: the feed is then read from its beginning.
        """
        try:
            found = int(sync_timestamp.rows[0].TimeStampAsBigInt)
        except (IndexError, TypeError, ValueError):
            self._start_version = None
        else:
            self._start_version = max(found - 1, transitions.FIRST_ROW_VERSION)

    def _page(self, condition: str | None) -> str:
        refused = self._refused.by_path.get(self._definition.path, frozenset())
        columns = [name for name in self.columns if name not in refused]
        if self._headers is not None:
            columns = [name for name in columns if name != "Modified"]
            if condition is not None:
                return self._headers.first_page(condition, columns)
        options = {"$select": ",".join(columns)}
        if condition is not None:
            options["$filter"] = condition
        path = (condition is None and self._definition.bulk_path) or self._definition.path
        return self._client.url(path, self._division, options)

    # -- other ways to ask -----------------------------------------------------------------------------------------

    def demand_filter(self) -> bool:
        """Filter even where all rows are wanted; return whether that changes the request."""
        if self._definition.transport is not Transport.LIST or not self._is_filtered or self._condition() is not None:
            return False
        self._demands_filter = True
        return True

    def drop_filter(self) -> bool:
        """Ask for all rows and pick the wanted ones here; return whether that changes the request."""
        filters = self._definition.transport is Transport.LIST or self._definition.split_by_year is not None
        if not filters or not self._is_filtered:
            return False
        self._is_filtered = False
        return True

    # -- rows ------------------------------------------------------------------------------------------------------

    def rows(self, page: Page, url: str, started_at: int) -> Sequence[Row]:
        """Return the rows of the streams on a page: those that it lists, or the lines inside the headers that it lists.

        Lines that are listed by themselves bear the start of the listing, so that destinations take them for newer than
        what they have: they may be listed in place of changed headers, or once more, such as after a move.

        Args:
            page: of the listing.
            url: its address.
            started_at: start of the listing, epoch milliseconds.
        """
        if self._headers is None:
            return page.rows
        if self._headers.is_header_page(url):
            return self._headers.lines(page.rows)
        for row in page.rows:
            row.Modified = self._client.wall_clock.date_json(started_at)
        return page.rows

    def rows_of(self, reader: Reader, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows that a reader wants among those that the request let through."""
        if self._definition.transport is Transport.FEED:
            start, version = self._start, reader.row_version
        elif self._definition.transport is Transport.LIST:
            start, version = self._start if self._is_filtered else self._first_modified(reader), None
        else:
            start, version = None, None
        if not reader.owns_all:
            rows = [row for row in rows if reader.owns(row)]
        if version is not None:
            rows = [row for row in rows if row.Timestamp is None or row.Timestamp > version]
        if start is not None:
            rows = [row for row in rows if (modified := modified_of(row)) is None or modified >= start]
        return rows

    def _condition(self) -> str | None:
        if self._definition.transport is Transport.FEED:
            return f"Timestamp gt {self._first_version()}L"
        if self._is_filtered and self._definition.split_by_year is not None:
            return years.first(self._definition.split_by_year, self._this_year())
        if self._definition.transport is Transport.SNAPSHOT or not self._is_filtered:
            return None
        moments = [self._changed_since or self._first_modified(reader) for reader in self._readers]
        known = [moment for moment in moments if moment is not None]
        if len(known) == len(moments):
            return f"Modified ge {odata.datetime_literal(exact_time.from_milliseconds(min(known)))}"
        return f"Modified ge {odata.datetime_literal(_LONG_AGO)}" if self._demands_filter else None

    def _this_year(self) -> int:
        now = int(self._client.server_clock.now_ms())
        return exact_time.from_milliseconds(self._client.wall_clock.from_instant(now)).year

    def _first_year(self) -> years.Begin:
        """Return the year to read back to. A financial year may have begun in the calendar year before."""
        if self._start is None:
            return years.Begin(self._this_year() - years.SEPARATE, open_ended=True)
        return years.Begin(exact_time.from_milliseconds(self._start).year - 1, open_ended=False)

    def _first_version(self) -> int:
        first = self._start_version or transitions.FIRST_ROW_VERSION
        return min(first if reader.row_version is None else reader.row_version for reader in self._readers)

    def _first_modified(self, reader: Reader) -> int | None:
        """Return the first ``Modified`` a reader wants, on Exact's wall clock (ms); None if it wants all rows."""
        if reader.full_refresh:
            return self._start
        first = transitions.first_modified(reader.position, self._lookback_ms, self._client.wall_clock)
        return transitions.highest(first, self._start)


def modified_of(row: Row) -> int | None:
    """Return ``Modified`` of a row as Exact sent it, on Exact's wall clock (ms); None where there is no date."""
    value = getattr(row, "Modified", None)
    try:
        return exact_time.milliseconds(value) if value else None
    except ValueError:
        return None


def highest_modified(rows: Sequence[Row]) -> int | None:
    """Return the highest ``Modified`` of some rows as Exact sent them, on Exact's wall clock (ms); None without any."""
    if not rows or not hasattr(rows[0], "Modified"):
        return None
    return max((modified for row in rows if (modified := modified_of(row)) is not None), default=None)
