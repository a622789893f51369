"""Whatever happens to the books, to the answers, to the reader and to the clock: a complete stream equals the books.

Rows may come more than once. A run that could not read everything says so: its streams are incomplete, or it names the
division that it left out. The next run in peace makes up for it.

A run of the connector takes some 20 ms here (see direct.py). `make test` does hundreds of steps, `make soak`
thousands, with other random numbers each time.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from integration_tests.business import BY_STREAM, ORDINARY, STREAMS, Business, Kind
from integration_tests.destination import Destination
from integration_tests.direct import DirectRun, DirectSandbox
from integration_tests.trouble import OTHERWISE_DAMAGED, OUTAGES, ROWS_DAMAGED, Trouble
from source_exact_online.api.divisions import NEVER_MOVED

STORIES = int(os.environ.get("SOAK_STORIES", "200"))
"""Stories of up to fifty steps that `make soak` tells."""

BEGINNINGS = {
    "summer": datetime(2025, 6, 2, 9, 0, tzinfo=timezone.utc),
    "before the hour that is shown twice": datetime(2025, 10, 25, 21, 10, tzinfo=timezone.utc),
    "in the hour that is shown twice": datetime(2025, 10, 26, 0, 20, tzinfo=timezone.utc),
    "before the hour that is left out": datetime(2026, 3, 29, 0, 20, tzinfo=timezone.utc),
}
FOCUSES = [
    ("accounts",),
    ("transaction_lines",),
    ("sales_invoices", "sales_invoice_lines"),
    ("item_groups",),
    ("accounts", "transaction_lines"),
    ("item_groups", "accounts"),
    ("sales_orders", "sales_order_order_charge_lines"),
    tuple(BY_STREAM),
]
"""Streams of a story: the fewer there are, the more happens to each row."""

numbers = st.integers(0, 20)
waits = st.one_of(
    st.builds(timedelta, seconds=st.integers(1, 59)),
    st.builds(timedelta, minutes=st.integers(1, 90)),
    st.builds(timedelta, hours=st.integers(1, 8)),
    st.builds(timedelta, days=st.sampled_from([1, 3, 20, 40])),
)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happens to the books; `kind`, `division` and `row` are counted round.

    Attributes:
        after: while a run is under way: after so many of its calls.
    """

    what: str
    kind: int
    division: int
    row: int
    after: int = 0


troubles = st.builds(
    Trouble,
    kind=st.sampled_from([*ROWS_DAMAGED, *ROWS_DAMAGED, *OTHERWISE_DAMAGED, *OUTAGES, "licence", "licence"]),
    place=numbers,
    division=st.integers(0, 2),
    after=st.sampled_from([0, 0, 1, 2, 3]),
    count=st.sampled_from([1, 2, 5, 6, 7, None]),
)


def changes(*also: str, calls: int = 0) -> st.SearchStrategy[Change]:
    """Changes, those between runs or those within so many calls of a run."""
    what = st.sampled_from([*ORDINARY, *also])
    return st.builds(
        Change, what=what, kind=numbers, division=st.integers(0, 1), row=numbers, after=st.integers(0, calls)
    )


class Reading(RuleBasedStateMachine):
    """A connection over its life."""

    @initialize(
        beginning=st.sampled_from(sorted(BEGINNINGS)),
        focus=st.sampled_from(FOCUSES),
        divisions=st.sampled_from([(123,), (123, 456)]),
        lookback=st.sampled_from([0, 0, 30, 120]),
        start_days=st.sampled_from([None, None, 10]),
        rows=st.lists(
            st.tuples(numbers, st.integers(0, 1), st.sampled_from([0, 1, 9, 10, 11, 400])), min_size=3, max_size=15
        ),
        undated=st.booleans(),
        log=st.booleans(),
    )
    def begin(
        self,
        beginning: str,
        focus: tuple[str, ...],
        divisions: tuple[int, ...],
        lookback: int,
        start_days: int | None,
        rows: list[tuple[int, int, int]],
        undated: bool,
        log: bool,
    ) -> None:
        self.all_divisions = divisions
        self.sandbox = DirectSandbox(divisions, BEGINNINGS[beginning])
        self.business = Business(self.sandbox)
        self.destination = Destination()
        self.lookback = timedelta(minutes=lookback)
        self.start = None if start_days is None else self.sandbox.now() - timedelta(days=start_days)
        self.kinds = [BY_STREAM[stream] for stream in focus]
        self.all_streams = {*focus, "divisions", *(["deleted"] if log else [])}
        self.streams = set(self.all_streams)
        self.divisions = set(divisions)
        self.full: set[str] = set()
        self.clean: dict[str, bool] = {}
        self.warned: set[tuple[str, int]] = set()
        for kind, division, days in rows:
            at = BEGINNINGS[beginning] - timedelta(days=days)
            self.business.insert(self._kind(kind), self._division(division), at)
        if undated and self.start is None and "item_groups" in focus:
            self.business.insert(BY_STREAM["item_groups"], divisions[0], None, dated=False)

    def _kind(self, number: int) -> Kind:
        return self.kinds[number % len(self.kinds)]

    def _division(self, number: int) -> int:
        return self.all_divisions[number % len(self.all_divisions)]

    def teardown(self) -> None:
        """In the end a run to finish what is under way, one more in peace, and everything has to be right."""
        if not hasattr(self, "destination"):
            return
        self.streams, self.divisions = set(self.all_streams), set(self.all_divisions)
        self._run([], None, 1)
        for stream in self.full:
            self.destination.reset(stream)
        self.full.clear()
        self._run([], None, 1)
        self.sandbox.store.close()

    # -- what happens between runs ---------------------------------------------------------------------------------

    @rule(some=st.lists(changes("batch", "batch", "batch", "undated", "rename", "jump"), min_size=1, max_size=6))
    def change(self, some: list[Change]) -> None:
        for one in some:
            self._apply(one)

    @rule(division=st.integers(0, 1))
    def move_division(self, division: int) -> None:
        self.business.move(self._division(division))

    @rule(wait=waits)
    def wait(self, wait: timedelta) -> None:
        self.sandbox.box.clock.advance(wait.total_seconds())

    # -- what the user changes -------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["stream", "division", "refresh", "reset", "earlier start"]), number=numbers)
    def configure(self, what: str, number: int) -> None:
        streams = sorted(self.all_streams)
        stream = streams[number % len(streams)]
        if what == "stream":
            self.streams ^= {stream}
        elif what == "division":
            self.divisions ^= {self._division(number)}
        elif what == "refresh":
            self.full.add(stream)
        elif what == "earlier start":
            self.start = None if self.start is None or number % 2 else self.start - timedelta(days=number)
        else:
            self.destination.reset(stream)
            self.full.discard(stream)

    # -- runs ------------------------------------------------------------------------------------------------------

    @rule(
        behind=st.lists(changes("move", "wait", calls=8), min_size=1, max_size=8),
        workers=st.sampled_from([1, 1, 1, 4]),
        page=st.sampled_from([1, 1, 2, 3]),
        shuffled=st.booleans(),
        repeated=st.integers(0, 2),
        expands=st.sampled_from([True, True, True, False]),
        dark=st.sampled_from([False, False, False, True]),
        empty=st.sampled_from([0, 2, 3]),
    )
    def sync_disturbed(
        self,
        behind: list[Change],
        workers: int,
        page: int,
        shuffled: bool,
        repeated: int,
        expands: bool,
        dark: bool,
        empty: int,
    ) -> None:
        self._behave(page, shuffled, repeated, empty)
        if not expands:
            self.sandbox.box.faults.add({"kind": "refuse_expand"})
        if dark:  # the other list of divisions does not tell when they were moved
            self.sandbox.box.rights.deny({"kind": "module", "path": "system/Divisions"})
        self._run(behind, None, workers, unread={"divisions"} if dark else set())
        self.sandbox.box.faults.clear()
        self.sandbox.box.rights.allow_all()

    @rule(
        behind=st.lists(changes("move", "wait", calls=8), max_size=2),
        killed_after=st.integers(0, 25),
        page=st.sampled_from([1, 1, 2, 3]),
    )
    def sync_killed(self, behind: list[Change], killed_after: int, page: int) -> None:
        # In order: that row versions ascend is what a feed's checkpoints rely on, until a page shows otherwise.
        self._behave(page, shuffled=False, repeated=0, empty=0)
        self._run(behind, killed_after, 1)

    @rule(
        some=st.lists(troubles, min_size=1, max_size=3),
        workers=st.sampled_from([1, 1, 1, 4]),
        page=st.sampled_from([1, 1, 2, 3, 1000]),
    )
    def sync_in_trouble(self, some: list[Trouble], workers: int, page: int) -> None:
        self._behave(page, shuffled=False, repeated=0, empty=0)
        for one in some:
            one.begin(self.sandbox.box, self.all_divisions, sorted(self.streams))
        try:
            self._run([], None, workers, may_fail=True)
        finally:
            self.sandbox.box.faults.clear()
            self.sandbox.box.rights.allow_all()

    @rule()
    def sync_in_peace(self) -> None:
        self._run([], None, 1)

    def _behave(self, page: int, shuffled: bool, repeated: int, empty: int) -> None:
        feeds = {"shuffled": shuffled, "repeat_rows": repeated, "empty_pages": empty}
        pages = {"standard": page, "sync": page, "expanded": page - 1}  # 0: all lines of a header at once
        self.sandbox.box.settings.change({"feeds": feeds, "page_sizes": pages})

    def _run(
        self,
        behind: list[Change],
        killed_after: int | None,
        workers: int,
        unread: Collection[str] = (),
        *,
        may_fail: bool = False,
    ) -> None:
        streams = {stream: columns for stream, columns in STREAMS.items() if stream in self.streams.difference(unread)}
        if not streams or not self.divisions:
            return
        if not all(kind.dated for kind in self.kinds):
            # Lines read whole bear the start of the listing, which is known to the second: what their header was told
            # to be changed at lies before it.
            self.sandbox.advance(seconds=2)
        full = self._full_now().difference(unread)
        waiting = sorted(behind, key=lambda change: change.after)
        begun = self._calls()
        resumed = self._in_progress()
        done: list[Change] = []

        def between(count: int) -> bool:
            while waiting and waiting[0].after <= self._calls() - begun:
                done.append(waiting[0])
                self._apply(waiting.pop(0))
            return killed_after is None or count < killed_after

        start = {} if self.start is None else {"start_date": self.start.isoformat()}
        run = self.sandbox.read(
            streams,
            self.destination.states_of(streams),
            full=frozenset(full),
            between=between,
            may_fail=may_fail,
            num_workers=workers,
            divisions=sorted(self.divisions),
            lookback_window_minutes=int(self.lookback.total_seconds() / 60),
            **start,
        )
        for message in run.messages:
            self.destination.take(message)
        self._listen(run)
        end = "killed" if run.killed else run.error or "complete"
        self.business.diary.append(f"{self.sandbox.now():%d %H:%M:%S.%f} run, {end}; in its midst: {done}")
        left_out = self._left_out(run, streams) | resumed | self._moved_unseen()
        for stream in full:
            whole = stream in run.complete and not any(stream == name for name, _ in left_out - resumed)
            self.clean[stream] = self.clean.get(stream, True) and whole and not done
        if not run.killed and not done:
            self._check(run.complete & streams.keys(), full, left_out)

    def _full_now(self) -> set[str]:
        full = self.full & self.streams
        for stream in full:
            self.destination.begin_full(stream)
        return full

    def _calls(self) -> int:
        return self.sandbox.requests

    def _apply(self, change: Change) -> None:
        kind, division = self._kind(change.kind), self._division(change.division)
        if change.what == "undated":
            if "accounts" in self.all_streams:
                self.business.insert(BY_STREAM["accounts"], division, None, dated=False)
        elif change.what == "jump":
            self.sandbox.store.raise_version(division, 2**53 + 1)
        elif change.what == "move":
            self.business.move(division)
        elif change.what == "wait":
            self.sandbox.advance(minutes=change.row * 20)
        else:
            self.business.happen(change.what, kind, division, change.row, change.row / 20 * self.lookback)

    def _moved_unseen(self) -> set[tuple[str, int]]:
        """Streams and divisions of whose latest move no run has heard; only one of the lists of divisions tells it."""
        rows = self.sandbox.rows("system/Divisions", self.all_divisions[0])
        dates = {str(row["Code"]): _json_date(row["DivisionMoveDate"]) for row in rows}
        return {
            (stream, int(division))
            for stream, state in self.destination.states.items()
            for division, position in state["stream"]["stream_state"]["divisions"].items()
            if division in dates and position.get("move_date") != dates[division]
        }

    def _left_out(self, run: DirectRun, streams: Collection[str]) -> set[tuple[str, int]]:
        """Streams and divisions that a run says it could not read."""
        skipped = [text.partition(": ")[0] for text in run.warnings if text.startswith("Skipped ")]
        return {
            (stream, division)
            for stream in streams
            for division in self.all_divisions
            for text in skipped
            if stream in text.split() and text.endswith(f" in division {division}")
        }

    def _listen(self, run: DirectRun) -> None:
        for stream in self.all_streams:
            for division in self.all_divisions:
                said = f"Stream {stream} last asked for deletions in division {division} "
                if any(text.startswith(said) for text in run.warnings):
                    self.warned.add((stream, division))

    def _in_progress(self) -> set[tuple[str, int]]:
        """Full refreshes in progress: what changed behind one is found by the next, not when it is gone on with."""
        return {
            (stream, int(division))
            for stream, state in self.destination.states.items()
            for division, position in state["stream"]["stream_state"]["divisions"].items()
            if position.get("in_progress", {}).get("sync_mode") == "full_refresh"
        }

    def _check(self, complete: Collection[str], full: set[str], left_out: set[tuple[str, int]]) -> None:
        for stream in complete:
            compared = stream not in full or self.clean.pop(stream)
            for division in sorted(self.divisions) if compared else ():
                if (stream, division) in left_out:
                    continue
                problems = list(self._problems(stream, division))
                if problems:
                    note("\n".join(self.business.diary))
                assert not problems, "; ".join(problems)
        # A stream that was read in full is read incrementally from then on, which begins with an empty table.
        for stream in full & set(complete):
            self.full.discard(stream)
            self.destination.reset(stream)

    def _problems(self, stream: str, division: int) -> Iterator[str]:
        start = self.start
        for key, problem, is_gone in list(self.business.problems(self.destination, stream, division, start=start)):
            if is_gone and (stream, division) in self.warned:
                del self.destination.table(stream).records[key]
                continue
            yield problem
        self.warned.discard((stream, division))


def _json_date(text: str | None) -> str:
    """A business date as Exact writes it, and as a state keeps it."""
    if text is None:
        return NEVER_MOVED
    return f"/Date({round(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)})/"


COMMON = settings(
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class ReadingAtLength(Reading):
    """The same with random numbers of its own each time; `--hypothesis-seed` repeats a run."""


Reading.TestCase.settings = settings(COMMON, max_examples=25, stateful_step_count=30, derandomize=True)
ReadingAtLength.TestCase.settings = settings(COMMON, max_examples=STORIES, stateful_step_count=50)
TestReading = Reading.TestCase
TestReadingAtLength = pytest.mark.soak(pytest.mark.timeout(7200)(ReadingAtLength.TestCase))
