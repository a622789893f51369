"""The pages of one listing in one division.

Usually a listing feeds one stream. Where it holds the rows of two (headers and lines in one feed) it feeds both, so
that its pages are asked for once.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from airbyte_cdk.models import FailureType

from source_exact_online.api import odata
from source_exact_online.api.client import ExactClient
from source_exact_online.api.endpoints import endpoints
from source_exact_online.api.errors import Action, ApiError, ErrorResolution, RequestContext
from source_exact_online.api.odata import Row
from source_exact_online.api.request import PageRequest, RetryAfter
from source_exact_online.catalog.definitions import Transport
from source_exact_online.read.fallbacks import QueryFallbacks
from source_exact_online.read.order_charge_lines import Lines, NotExpandedError, Rest
from source_exact_online.read.overlap import Overlap
from source_exact_online.read.partition import PageResult, Partition
from source_exact_online.read.query import Query, Settings
from source_exact_online.read.stream_reader import Consumer, RefusedColumns
from source_exact_online.state import transitions
from source_exact_online.state.position import Pass, Position

logger = logging.getLogger("airbyte.exact_online")

UNKNOWN = "endpoint unknown"
"""Row of the error table for addresses that Exact does not know."""

_NO_LOOK_UP = frozenset({"error limit near", "no answer"})
"""Rows of the error table upon which a feed is read without looking up where to begin."""

RECENT_MS = 24 * 3_600_000
"""Age up to which a division's finished full refresh counts for a run that goes on where another broke off."""


class ListingPartition:
    """A listing of one division, or of the login, that feeds one or two streams."""

    def __init__(
        self,
        client: ExactClient,
        settings: Settings,
        refused: RefusedColumns,
        division: int,
        consumers: Sequence[Consumer],
        *,
        keeps: Callable[[Row], bool] | None = None,
        stand_ins: Callable[[], Sequence[Partition]] | None = None,
    ) -> None:
        """Partition of some consumers that share one path.

        Args:
            client: the API.
            settings: the part of the configuration that matters here.
            refused: columns refused so far, shared by all partitions.
            division: division in the URL.
            consumers: streams to feed.
            keeps: which rows to take at all; every one if None.
            stand_ins: what to read in place of a listing that Exact does not know; nothing if None.
        """
        self._client = client
        self._refused = refused
        self._consumers = consumers
        self._keeps = keeps
        self._stand_ins = stand_ins
        self._query = Query(client, settings, refused, division, consumers)
        self._path = consumers[0].definition.path
        self._remedies = QueryFallbacks(self._query, refused, self._path)
        self._pass: Pass | None = None
        self._call: PageRequest | None = None
        self._looking_up = False
        self._resumed = False
        self._rest: deque[Rest] = deque()
        self._reached: list[Position] = []
        self._lookback_ms = settings.lookback_ms
        self._overlap: Overlap | None = None
        self.division = division
        self.streams = [consumer.name for consumer in consumers]
        self.readable = [consumer.name for consumer in consumers if consumer.brings_rows]
        self.subject = RequestContext(
            " and ".join(self.readable) or self._path, consumers[0].definition.scope, division
        )

    def step(self) -> PageResult:
        """Fetch and convert at most one page."""
        try:
            call = self._call = self._call or self._first_call()
            if call is None:
                return PageResult(finished=True)
            outcome = call.attempt()
        except ApiError as error:
            if self._rest and self._rest[0].inside and error.verdict.rule == UNKNOWN:
                return self._go_on(Lines(()), self._rest.popleft().url)  # the header was deleted, lines and all
            if self._stand_ins is not None and self._is_unheard_of(error.verdict):
                logger.warning("%s Its standard endpoint is read instead.", error.message)
                return PageResult(instead=self._stand_ins())
            self._call = self._remedy(error.verdict)
            if self._call is None:
                raise self._judged(error) from None
            return PageResult()
        if isinstance(outcome, RetryAfter):
            return PageResult(later=outcome)
        if self._looking_up:
            self._looking_up = False
            self._query.take_look_up(outcome.rows)
            self._call = PageRequest(self._client, self._query.first_page(), self.subject)
            return PageResult()
        self._resumed = False
        if self._rest:
            return self._go_on(self._query.lines_of_rest(self._rest.popleft(), outcome), call.url)
        try:
            return self._take(outcome, call.url)
        except NotExpandedError as error:
            self._remedies.without_headers(str(error))
            self._call = self._begin()
            return PageResult()

    def checkpoint(self) -> list[tuple[str, str, Position]]:
        """Positions that hold once the last step's records have been emitted."""
        reached, self._reached = self._reached, []
        return [
            (consumer.name, consumer.key, position)
            for consumer, position in zip(self._consumers, reached, strict=False)
        ]

    def _first_call(self) -> PageRequest | None:
        """First request: the page at which an interrupted pass goes on, or the begin of a pass; None if all is done."""
        resumed = self._resumable()
        if resumed is None:
            return self._begin()
        if resumed.next_url is None:
            return None
        self._pass, self._resumed = resumed, True
        self._remember()
        return PageRequest(self._client, resumed.next_url, self.subject)

    def _resumable(self) -> Pass | None:
        """The pass that all consumers were in when the last sync ended, at the page the slowest had reached.

        It is not resumed if columns have been added since: rows already delivered would lack them.
        """
        passes: list[Pass] = []
        for consumer in self._consumers:
            under_way = consumer.under_way
            if under_way is None:
                return None
            passes.append(under_way)
        if len({one.began for one in passes}) > 1:
            return None
        slowest = min(passes, key=lambda one: (one.next_url is None, one.pages))
        if slowest.next_url is None:
            recent = self._client.server_clock.now_ms() - slowest.began < RECENT_MS
            return slowest if slowest.full and recent else None
        return slowest if self._query.goes_on_at(slowest.next_url) else None

    def _begin(self) -> PageRequest:
        """Begin a pass: with a row version look-up where one is needed, else with the first page."""
        began = int(self._client.server_clock.now_ms())
        full = all(consumer.full for consumer in self._consumers)
        self._pass = Pass(began=began, full=full, highest_modified=self._query.proven(began))
        self._rest.clear()
        self._remember()
        if (url := self._query.look_up()) is not None:
            self._looking_up = True
            return PageRequest(self._client, url, endpoints().sync_timestamp.subject(self.division))
        return PageRequest(self._client, self._query.first_page(), self.subject)

    def _remember(self) -> None:
        """What is only read again (the window before a list's cursor, the whole of a snapshot) stays quiet."""
        if self._consumers[0].definition.transport is not Transport.FEED:
            self._overlap = Overlap(self._consumers[0].position.delivered)

    def _take(self, page: odata.Page, url: str) -> PageResult:
        """Turn a page into records, and note the positions it leads to.

        Raises:
            NotExpandedError: headers came without their lines.
        """
        if self._pass is None:
            raise RuntimeError("a page arrived outside a pass")
        listed = [row for row in page.rows if self._keeps is None or self._keeps(row)]
        lines = self._query.lines(listed, url, self._pass.began)
        self._pass = transitions.advanced(self._pass, listed, page.next_url or self._query.after(url))
        return self._go_on(lines, url)

    def _go_on(self, lines: Lines, url: str) -> PageResult:
        """Records of some rows, and what comes after them: a page counts when the lines it links to are there too."""
        if self._pass is None:
            raise RuntimeError("rows arrived outside a pass")
        step = PageResult()
        for consumer in self._consumers:
            consumer.leave_out(self._refused.of(self._path))
            wanted = [row for row in lines.rows if self._query.delivers(consumer, row)]
            step.records[consumer.name] = self._records(consumer, wanted)
        self._rest.extend(replace(rest, url=odata.following(url, rest.url)) for rest in lines.rest)
        if self._rest:
            self._call = PageRequest(self._client, self._rest[0].url, self.subject)
            return step
        reached = self._pass
        self._reached = [self._position(consumer, reached) for consumer in self._consumers]
        step.finished = reached.next_url is None
        if reached.next_url is not None:
            self._call = PageRequest(self._client, reached.next_url, self.subject)
        return step

    def _records(self, consumer: Consumer, rows: Sequence[Row]) -> list[Row]:
        latest_ms = self._client.server_clock.latest_ms()
        pairs = [(consumer.record(row, self.division, latest_ms), row) for row in rows]
        if self._overlap is not None and not consumer.full:
            overlap = self._overlap
            pairs = [
                (record, row) for record, row in pairs if not overlap.is_delivered(record, transitions.modified_of(row))
            ]
        return [record for record, _ in pairs]

    def _position(self, consumer: Consumer, reached: Pass) -> Position:
        """Position of a consumer after a page, with what the next pass need not deliver again."""
        position = consumer.after(reached)
        if self._query.by_key:
            position = replace(position, by_key=True)
        if reached.next_url is not None or self._overlap is None or consumer.full or position.modified is None:
            return position
        whole = consumer.definition.transport is Transport.SNAPSHOT
        since = None if whole else transitions.filter_from(position, self._lookback_ms)
        return replace(position, delivered=self._overlap.since(since))

    def _remedy(self, verdict: ErrorResolution) -> PageRequest | None:
        """Another way to ask for what Exact refused, if there is one that is no mere repetition."""
        if self._looking_up:
            if verdict.action not in (Action.SKIP, Action.DROP_COLUMN) and verdict.rule not in _NO_LOOK_UP:
                return None
            self._looking_up = False
            logger.warning("%s Reading %s from its beginning.", verdict.message, self._path)
            return PageRequest(self._client, self._query.first_page(), self.subject)
        if self._resumed and (verdict.action is Action.DROP_COLUMN or self._is_stuck(verdict)):
            self._resumed = False
            logger.warning("%s cannot be resumed in mid-list (%s); reading it again.", self._path, verdict.detail)
            return self._begin()
        asked = self._call.url if self._call else ""
        return self._begin() if self._remedies.apply(verdict, asked) else None

    def _is_unheard_of(self, verdict: ErrorResolution) -> bool:
        """Whether Exact does not know a listing of which no row was ever read."""
        begun = self._pass is not None and self._pass.pages > 0
        return verdict.rule == UNKNOWN and not begun and all(one.position.seen is None for one in self._consumers)

    def _is_stuck(self, verdict: ErrorResolution) -> bool:
        """Whether the page to go on from has failed in an earlier run already.

        The first time it is taken for a bad day of Exact's, and noted; a second time the page itself is the trouble.
        """
        if verdict.action is not Action.RETRY or self._pass is None:
            return False
        if not self._pass.stuck:
            self._reached = [self._position(consumer, replace(self._pass, stuck=True)) for consumer in self._consumers]
        return self._pass.stuck

    def _judged(self, error: ApiError) -> ApiError:
        """A listing that Exact forbids in its middle is cut short, not skipped: rows are missing."""
        if error.verdict.action is not Action.SKIP or self._pass is None or not self._pass.pages:
            return error
        return ApiError(replace(error.verdict, action=Action.FAIL, failure=FailureType.transient_error))
