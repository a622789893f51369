"""The pages of one listing in one division.

Usually a listing feeds one stream. Where it holds the rows of two (headers and lines in one feed) it feeds both, so
that its pages are asked for once.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter

from airbyte_cdk.models import FailureType

from source_exact_online.api.client import ExactClient
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.errors import (
    Action,
    ApiError,
    ErrorKind,
    NotReadableError,
    QueryRefusedError,
    RequestContext,
    error_of,
    resolution_of,
)
from source_exact_online.api.page import Page, Row
from source_exact_online.api.request import FollowedLinks, PageRequest, RetryAfter
from source_exact_online.api.site_health import OUTAGE_KINDS
from source_exact_online.catalog.definitions import UNDOCUMENTED, Transport
from source_exact_online.config import Config
from source_exact_online.read.fallbacks import QueryFallbacks
from source_exact_online.read.order_charge_lines import NotExpandedError
from source_exact_online.read.partition import PageResult
from source_exact_online.read.query import Query, Refusals, highest_modified
from source_exact_online.read.records import RecordBatch, RepairLog
from source_exact_online.read.stream_reader import Reader
from source_exact_online.state import transitions
from source_exact_online.state.position import InProgressListing, Position

logger = logging.getLogger("airbyte.exact_online")

REFRESH_MEMORY_MS = 24 * 3_600_000
"""Age up to which a division's finished full refresh counts for a run that goes on where another broke off."""

PAGES_WITHOUT_NEWS = 20
"""Pages in a row that may bring no row which none of as many pages before them had."""

_PAGE_TROUBLE = frozenset({ErrorKind.NO_ANSWER, ErrorKind.DAMAGED_PAGE, ErrorKind.ERROR_LIMIT_NEAR})
"""Failures of the sync timestamp upon which a feed is read from its beginning."""


class ListPartition:
    """A listing of one division, or of the login, that feeds one or two streams.

    Args:
        client: the API.
        config: of the user.
        refused: columns and endpoints refused so far, shared by all partitions.
        repairs: values that did not fit so far, shared by all partitions.
        division: division in the URL.
        readers: streams to feed; they share one path.
        row_filter: which rows to take at all, for a listing with rows of many divisions; None for one division's.
    """

    def __init__(
        self,
        client: ExactClient,
        config: Config,
        refused: Refusals,
        repairs: RepairLog,
        division: int,
        readers: Sequence[Reader],
        *,
        row_filter: Callable[[Row], bool] | None = None,
    ) -> None:
        definition = readers[0].definition
        self.division = division
        self.streams = [reader.name for reader in readers]
        self.readable = [reader.name for reader in readers if reader.counts_as_readable]
        self.context = RequestContext(" and ".join(self.readable) or definition.path, definition.scope, division)
        self._client = client
        self._repairs = repairs
        self._readers = readers
        self._row_filter = row_filter
        self._path = definition.path
        self._refused = refused
        self._may_be_missing = definition.group == UNDOCUMENTED
        self._is_feed = definition.transport is Transport.FEED
        self._query = Query(client, config, refused, division, readers, any_division=row_filter is not None)
        self._fallbacks = QueryFallbacks(self._query, refused, self._path)
        self._listing: InProgressListing | None = None
        self._request: PageRequest | None = None
        self._links = FollowedLinks(self.context)
        self._asks_sync_timestamp = False
        self._is_resumed = False
        self._goes_on = False
        self._held_back: Sequence[tuple[str, str, Position]] | None = None
        self._last_version: int | None = None
        self._is_ascending = True
        self._recent_keys: deque[frozenset[object]] = deque(maxlen=PAGES_WITHOUT_NEWS)
        self._pages_without_news = 0

    def step(self) -> PageResult | RetryAfter:
        """Fetch and convert at most one page.

        Raises:
            ApiError: the listing cannot be read to its end.
        """
        if self._path in self._refused.missing:
            return PageResult(finished=True)
        try:
            if self._request is None:
                self._request = self._first_request()
                if self._request is None:
                    return PageResult(finished=True)
            outcome = self._request.attempt()
            if isinstance(outcome, RetryAfter):
                return outcome
            if self._asks_sync_timestamp:
                self._asks_sync_timestamp = False
                self._query.begin_at(outcome)
                self._request = self._page_request(self._query.first_page())
                return PageResult()
            return self._take(outcome, self._request.url)
        except ApiError as error:
            if self._may_be_missing and error.resolution.kind is ErrorKind.ENDPOINT_UNKNOWN:
                self._refused.miss(self._path, self.context.stream)
                return PageResult(finished=True)
            self._request = self._after_error(error, self._request.url if self._request else "")
        except NotExpandedError as error:
            self._fallbacks.read_whole(str(error))
            self._request = self._begin()
        return PageResult()

    # -- where a listing begins ------------------------------------------------------------------------------------

    def _first_request(self) -> PageRequest | None:
        """Return the first request: where an earlier run broke off, or the beginning; None if all is done."""
        for reader in self._readers:
            reader.begin()
        if self._is_refreshed():
            return None
        url = None if self._is_feed else self._page_to_go_on_from()
        if url is None:
            return self._begin()
        self._is_resumed = self._goes_on = True
        return self._page_request(url)

    def _is_refreshed(self) -> bool:
        """Return whether an earlier run, which has to go on elsewhere, has refreshed all streams here."""
        moments = [reader.position.refreshed_at for reader in self._readers if reader.full_refresh]
        known = [moment for moment in moments if moment is not None]
        if len(known) < len(self._readers):
            return False
        return self._client.server_clock.now_ms() - min(known) < REFRESH_MEMORY_MS

    def _page_to_go_on_from(self) -> str | None:
        """Return the page that the slowest reader had reached in an earlier run, if all were in the same listing.

        It is not resumed if columns have been added since: rows already delivered would lack them.
        """
        listings = [reader.in_progress for reader in self._readers]
        found = [listing for listing in listings if listing is not None and listing.next_url is not None]
        if len(found) < len(listings) or len({listing.started_at for listing in found}) > 1:
            return None
        self._listing = min(found, key=lambda listing: listing.pages)
        url = self._listing.next_url
        return url if url is not None and self._query.goes_on_at(url) else None

    def _begin(self) -> PageRequest:
        """Begin the listing: with its sync timestamp where one is needed, else with the first page."""
        started_at = int(self._client.server_clock.now_ms())
        self._listing = InProgressListing(
            started_at,
            full_refresh=False,  # each reader says so for itself
            highest_modified=self._query.modified_when_listed(started_at),
        )
        self._links = FollowedLinks(self.context)
        self._goes_on, self._held_back = False, None
        self._last_version, self._is_ascending = None, True
        url = self._query.sync_timestamp()
        if url is not None:
            self._asks_sync_timestamp = True
            endpoint = endpoints().sync_timestamp
            return PageRequest(self._client, url, endpoint.context(self.division), endpoint.decoder())
        return self._page_request(self._query.first_page())

    def _page_request(self, url: str) -> PageRequest:
        self._links.add(url)
        return PageRequest(self._client, url, self.context, self._query.decoder(url))

    # -- what a page brings ----------------------------------------------------------------------------------------

    def _take(self, page: Page, url: str) -> PageResult:
        """Turn a page into records and the positions that they lead to.

        Raises:
            IncompleteError: the page brings nothing, like many before it, or what it links to was read before.
        """
        if self._listing is None:
            raise RuntimeError("a page arrived outside a listing")
        rows = self._query.rows(page, url, self._listing.started_at)
        if self._row_filter is not None:
            rows = [row for row in rows if self._row_filter(row)]
        form, now_ms = self._query.format, self._client.server_clock.latest_ms()
        found = [*page.repairs, *form.read_integers(rows)]
        next_url = page.next_url or self._query.page_after(url)
        if next_url is not None:
            self._expect_news(page.rows, self._query.decoder(url).key)
            self._request = self._page_request(next_url)
        highest_version = self._look_at_versions(rows) if self._is_feed else None
        self._listing = transitions.page_read(self._listing, highest_modified(page.rows), highest_version, next_url)
        wanted = [(reader, self._query.rows_of(reader, rows)) for reader in self._readers]
        found += form.write_dates(wanted[0][1] if len(wanted) == 1 else rows, now_ms)
        self._repairs.warn(self.context.stream, self.division, found)
        self._is_resumed = False
        emitted_at = int(self._client.server_clock.local_ms())
        batches = [
            RecordBatch.of(reader.name, reader.records(taken, self.division, now_ms), emitted_at)
            for reader, taken in wanted
        ]
        if self._held_back is not None:
            positions = self._held_back if next_url is None else ()
            return PageResult(batches, positions, finished=next_url is None)
        ended = next_url is None
        positions = [
            (reader.name, reader.key, reader.after(self._listing, finished=ended, ascending=self._is_ascending))
            for reader in self._readers
        ]
        if ended and self._goes_on and self._catch_up(self._listing.started_at):
            self._held_back = positions
            return PageResult(batches)
        return PageResult(batches, positions, finished=ended)

    def _catch_up(self, started_at: int) -> bool:
        """Go on with what has changed since a listing began that an earlier run began; return whether that can be.

        Rows of its first pages may have changed in the meantime, long before this run. They do not move the position:
        the next run asks for them again, with the window for rows that were committed late.

        Args:
            started_at: start of that listing, epoch milliseconds.
        """
        if any(reader.full_refresh for reader in self._readers):
            return False
        url = self._query.changes_since(started_at)
        if url is None:
            return False
        self._listing = InProgressListing(int(self._client.server_clock.now_ms()), full_refresh=False)
        self._recent_keys.clear()
        self._request = self._page_request(url)
        return True

    def _look_at_versions(self, rows: Sequence[Row]) -> int | None:
        """Return the highest row version of a page, and take note of whether they have come in ascending order.

        If one is seen out of order, the position is held back until the listing has ended.
        """
        versions: list[int] = [row.Timestamp for row in rows if row.Timestamp is not None]
        if not versions:
            return None
        last = versions[0] if self._last_version is None else self._last_version
        if last > versions[0] or any(one > following for one, following in pairwise(versions)):
            self._is_ascending = False
        self._last_version = versions[-1]
        return max(versions)

    def _expect_news(self, rows: Sequence[Row], key: Sequence[str]) -> None:
        """Hold a page that links to another to what it brings. Rows are told apart by key; without one all are news.

        Raises:
            IncompleteError: for many pages there was no row that the pages before them did not have.
        """
        keys: frozenset[object] = frozenset(map(attrgetter(*key), rows) if key else (object() for _ in rows))
        is_news = any(all(one not in page for page in self._recent_keys) for one in keys)
        self._recent_keys.append(keys)
        if is_news:
            self._pages_without_news = 0
            return
        self._pages_without_news += 1
        if self._pages_without_news >= PAGES_WITHOUT_NEWS:
            detail = f"{PAGES_WITHOUT_NEWS} pages in a row brought no new row"
            raise error_of(resolution_of(ErrorKind.ENDLESS, detail, self.context))

    # -- what an error leads to ------------------------------------------------------------------------------------

    def _after_error(self, error: ApiError, url: str) -> PageRequest:
        """Return another way to ask for what was refused or failed, if there is one that is not a mere repetition.

        Raises:
            ApiError: there is none.
        """
        resolution = error.resolution
        if self._asks_sync_timestamp:
            if not isinstance(error, NotReadableError | QueryRefusedError) and resolution.kind not in _PAGE_TROUBLE:
                raise error
            self._asks_sync_timestamp = False
            logger.warning("%s Reading %s from its beginning.", resolution.message, self._path)
            return self._page_request(self._query.first_page())
        if self._is_resumed and self._is_about_the_page(error):
            self._is_resumed = False
            logger.warning("%s cannot go on in mid-list (%s); reading it again.", self._path, resolution.detail)
            return self._begin()
        if isinstance(error, QueryRefusedError) and self._fallbacks.apply(resolution, url):
            return self._begin()
        raise self._final(error)

    def _is_about_the_page(self, error: ApiError) -> bool:
        """Return whether another page of the listing may be answered where this one is not."""
        kind, action = error.resolution.kind, error.resolution.action
        if isinstance(error, QueryRefusedError) or kind in (ErrorKind.ENDLESS, ErrorKind.SERVER_FAULT):
            return True
        return action is Action.RETRY and kind not in OUTAGE_KINDS

    def _final(self, error: ApiError) -> ApiError:
        """Return the error to end with: a listing that Exact forbids in its middle is cut short, not skipped."""
        if isinstance(error, NotReadableError) and self._listing is not None and self._listing.pages:
            return error_of(replace(error.resolution, action=Action.FAIL, failure=FailureType.transient_error))
        return error
