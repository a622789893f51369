"""What a listing asks for: columns, filter, and the row version look-up that may go before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from source_exact_online.api import exact_time, odata
from source_exact_online.api.client import ExactClient
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.odata import Row
from source_exact_online.catalog.definitions import Rows, Transport
from source_exact_online.read import years
from source_exact_online.read.order_charge_lines import HeaderQuery, Lines, Rest, dated
from source_exact_online.read.stream_reader import Consumer, RefusedColumns
from source_exact_online.state import transitions

_LONG_AGO = exact_time.from_milliseconds(transitions.LONG_AGO)


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the configuration a listing needs.

    Attributes:
        lookback_ms: overlap of ``Modified`` cursors.
        start: rows with an earlier ``Modified`` are not read; milliseconds on Exact's wall clock.
    """

    lookback_ms: int
    start: int | None


class Query:
    """The requests of one listing in one division, for all streams that it feeds."""

    def __init__(
        self,
        client: ExactClient,
        settings: Settings,
        refused: RefusedColumns,
        division: int,
        consumers: Sequence[Consumer],
    ) -> None:
        """Query of some consumers that share one path.

        Args:
            client: the API.
            settings: the part of the configuration that matters here.
            refused: columns refused so far.
            division: division in the URL.
            consumers: streams to feed.
        """
        self._client = client
        self._settings = settings
        self._refused = refused
        self._division = division
        self._consumers = consumers
        self._definition = consumers[0].definition
        header = self._definition.header
        self._header: HeaderQuery | None = None
        if header is not None:
            by_key = consumers[0].position.by_key
            self._header = HeaderQuery(client, division, self._definition, header, by_key=by_key)
        self._looked_up: int | None = None
        self._filtered = True
        self._asks_undated = True
        self._filter_demanded = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns to ask for: those of all consumers, and what cursors and the sorting of rows need."""
        names: dict[str, None] = {}
        for consumer in self._consumers:
            names.update(dict.fromkeys(consumer.columns))
        names.update(dict.fromkeys(self._needed))
        unasked = {"Division"} | self._refused.of(self._definition.path)
        if self._lists_undated_lines:
            unasked.add("Modified")
        return tuple(name for name in names if name not in unasked)

    @property
    def indispensable(self) -> frozenset[str]:
        """Columns that cannot be left out, even if Exact refuses them."""
        return frozenset(self._needed).union(*(consumer.indispensable for consumer in self._consumers))

    @property
    def _needed(self) -> tuple[str, ...]:
        version = ("Timestamp",) if self._definition.transport is Transport.FEED else ()
        return (*version, "LineNumber") if self._definition.rows is not Rows.ALL else version

    @property
    def _lists_undated_lines(self) -> bool:
        """Whether lines without a date of their own are listed by themselves, as all of them are wanted."""
        return self._header is not None and self.headers is None

    def proven(self, began: int) -> int | None:
        """``Modified`` that a pass reaches whatever its rows say, on Exact's wall clock (ms).

        Lines listed by themselves do not say when their headers were changed, but all changes before the pass are in.

        Args:
            began: begin of the pass, epoch milliseconds.
        """
        return exact_time.AMSTERDAM.from_instant(began) if self._lists_undated_lines else None

    @property
    def headers(self) -> str | None:
        """Path of the headers whose lines are asked for; None where rows are listed by themselves."""
        return None if self._header is None or self._condition() is None else self._header.path

    def first_page(self) -> str:
        """URL of the listing's first page."""
        return self._page(self._condition())

    def goes_on_at(self, url: str) -> bool:
        """Whether a link from an earlier run leads to a page of this listing, with all columns that are wanted now."""
        first_page = self.first_page()
        here, there = urlsplit(first_page).path.lower(), urlsplit(url).path.lower()
        return (
            odata.same_origin(self._client.base_url, url)
            and f"/{self._division}/" in there
            and there.rpartition("/")[2] == here.rpartition("/")[2]
            and set(odata.selected(url)) >= set(odata.selected(first_page))
        )

    def after(self, url: str) -> str | None:
        """URL of the page after a listing's last one: the next year's first, where years are read one by one."""
        year = self._definition.year
        condition = None if year is None else years.following(year, odata.filtered(url), self._first_year())
        return None if condition is None else self._page(condition)

    def _page(self, condition: str | None) -> str:
        if condition is not None and self._header is not None:
            return self._header.first_page(condition, self.columns)
        options = {"$select": ",".join(self.columns)}
        if condition is not None:
            options["$filter"] = condition
        path = (condition is None and self._definition.whole) or self._definition.path
        return self._client.url(path, self._division, options)

    def lines(self, listed: Sequence[Row], url: str, began: int) -> Lines:
        """Rows of the streams on a page: those that it lists, or the lines of the headers that it lists.

        Lines that are listed by themselves in place of changed headers bear the begin of the pass, so that destinations
        take them for newer than what they have.

        Args:
            listed: the page's rows.
            url: the page's address.
            began: begin of the pass, epoch milliseconds.

        Raises:
            NotExpandedError: headers came without their lines.
        """
        if self._header is None:
            return Lines(listed)
        if self._header.shows(url):
            return self._header.lines(listed, self.columns)
        return Lines(listed if self._filtered else dated(listed, exact_time.AMSTERDAM.date_json(began)))

    def lines_of_rest(self, rest: Rest, page: odata.Page) -> Lines:
        """Lines of a page that a link among other lines led to.

        Raises:
            ValueError: the streams have no headers.
        """
        if self._header is None:
            raise ValueError(f"{self._definition.path} has no headers")
        return self._header.of_rest(rest, page)

    def look_up(self) -> str | None:
        """URL that finds the row version to begin at, for a feed that has to begin at a moment; None if it need not."""
        name = self._definition.sync_timestamp
        new = [consumer for consumer in self._consumers if consumer.version is None]
        moments = [moment for consumer in new if (moment := self._begin(consumer)) is not None]
        if self._definition.transport is not Transport.FEED or name is None or not new or len(moments) < len(new):
            return None
        service = endpoints().sync_timestamp
        options = {
            "modified": odata.datetime_literal(exact_time.from_milliseconds(min(moments))),
            "endPoint": f"'{name}'",
            "$select": ",".join(service.columns),
        }
        return self._client.url(service.path, self._division, options)

    def take_look_up(self, rows: Sequence[Row]) -> None:
        """Begin after the version before the one that was looked up, so that its row is included.

        No row in the answer is taken to mean no knowledge: the feed is then read from its beginning.
        """
        try:
            self._looked_up = max(int(rows[0]["TimeStampAsBigInt"]) - 1, transitions.FIRST_VERSION)
        except (IndexError, KeyError, TypeError, ValueError):
            self._looked_up = None

    def demand_filter(self) -> bool:
        """Filter even where all rows are wanted; returns whether that changes the request."""
        if self._definition.transport is not Transport.LIST or self._condition() is not None:
            return False
        self._filter_demanded = True
        return True

    def drop_undated(self) -> bool:
        """Leave rows without ``Modified`` out of the filter; returns whether that changes the request."""
        asked = self._definition.transport is Transport.LIST and "eq null" in (self._condition() or "")
        self._asks_undated = self._asks_undated and not asked
        return asked

    @property
    def by_key(self) -> bool:
        """Whether lines are asked for by their headers' keys."""
        return self._header is not None and self._header.by_key

    def drop_expand(self) -> bool:
        """Ask for lines by their headers' keys; returns whether that changes the requests."""
        return self._header is not None and self._header.drop_expand()

    def drop_filter(self) -> bool:
        """Ask for all rows and pick the wanted ones here; returns whether that changes the request."""
        filters = self._definition.transport is Transport.LIST or self._definition.year is not None
        if not filters or not self._filtered:
            return False
        self._filtered = False
        return True

    def delivers(self, consumer: Consumer, row: Row) -> bool:
        """Whether a consumer wants a row that the request let through."""
        if not consumer.takes(row):
            return False
        if self._definition.transport is Transport.FEED:
            version = consumer.version
            if version is not None and (found := transitions.version_of(row)) is not None and found <= version:
                return False
            start = self._settings.start
        elif self._definition.transport is Transport.LIST:
            start = self._settings.start if self._filtered else self._begin(consumer)
        else:
            return True
        return start is None or (modified := transitions.modified_of(row)) is None or modified >= start

    def _condition(self) -> str | None:
        if self._definition.transport is Transport.FEED:
            return f"Timestamp gt {self._first_version()}L"
        if self._filtered and self._definition.year is not None:
            return years.first(self._definition.year, self._this_year())
        if self._definition.transport is Transport.SNAPSHOT or not self._filtered:
            return None
        begins = [self._begin(consumer) for consumer in self._consumers]
        known = [begin for begin in begins if begin is not None]
        if len(known) == len(begins):
            changed = f"Modified ge {odata.datetime_literal(exact_time.from_milliseconds(min(known)))}"
            undated = any(consumer.position.undated and not consumer.full for consumer in self._consumers)
            return f"{changed} or Modified eq null" if undated and self._asks_undated else changed
        if self._definition.filter_required or self._filter_demanded:
            return f"Modified ge {odata.datetime_literal(_LONG_AGO)}"
        return None

    def _this_year(self) -> int:
        return exact_time.from_milliseconds(
            exact_time.AMSTERDAM.from_instant(int(self._client.server_clock.now_ms()))
        ).year

    def _first_year(self) -> years.Begin:
        """Year to read back to. A financial year may have begun in the calendar year before."""
        start = self._settings.start
        if start is None:
            return years.Begin(self._this_year() - years.SEPARATE, open_ended=True)
        return years.Begin(exact_time.from_milliseconds(start).year - 1, open_ended=False)

    def _first_version(self) -> int:
        first = self._looked_up or transitions.FIRST_VERSION
        return min(first if consumer.version is None else consumer.version for consumer in self._consumers)

    def _begin(self, consumer: Consumer) -> int | None:
        """First ``Modified`` a consumer wants, in milliseconds on Exact's wall clock; None if it wants all rows."""
        start = self._settings.start
        begin = None if consumer.full else transitions.filter_from(consumer.position, self._settings.lookback_ms)
        if begin is None or start is None:
            return start if begin is None else begin
        return max(begin, start)
