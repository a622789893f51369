"""Whatever happens to the books, to the reader and to the clock: after a run the destination equals the books.

A run of the connector takes some 20 ms here (see direct.py). `make test` does hundreds of steps, `make soak`
thousands, with other random numbers each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from integration_tests.business import BY_STREAM, KINDS, STREAMS, Business, Kind, alike
from integration_tests.destination import Destination, Key, Record
from integration_tests.direct import DirectRun, DirectSandbox

DIVISIONS = (123, 456)
STORIES = int(os.environ.get("SOAK_STORIES", "200"))
"""Stories of up to fifty steps that `make soak` tells."""

BEGINNINGS = {
    "summer": datetime(2025, 6, 2, 9, 0, tzinfo=timezone.utc),
    "the evening before the hour that is shown twice": datetime(2025, 10, 25, 21, 10, tzinfo=timezone.utc),
    "the evening before the hour that is left out": datetime(2026, 3, 28, 22, 10, tzinfo=timezone.utc),
}

kinds = st.sampled_from(KINDS)
divisions = st.sampled_from(DIVISIONS)
picks = st.integers(0, 20)
waits = st.one_of(
    st.builds(timedelta, seconds=st.integers(1, 59)),
    st.builds(timedelta, minutes=st.integers(1, 90)),
    st.builds(timedelta, hours=st.integers(1, 8)),
    st.builds(timedelta, days=st.sampled_from([1, 3, 20, 40])),
)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happens while a run is under way, after so many of its messages."""

    after: int
    what: str
    kind: Kind
    division: int
    pick: int

    def __repr__(self) -> str:
        return f"after {self.after}: {self.what} {self.kind.stream} {self.division} {self.pick}"


changes = st.builds(
    Change,
    after=st.integers(0, 60),
    what=st.sampled_from(["insert", "update", "update", "silent", "delete", "create again", "move", "wait"]),
    kind=kinds,
    division=divisions,
    pick=picks,
)


class Reading(RuleBasedStateMachine):
    """A connection over its life."""

    @initialize(
        beginning=st.sampled_from(sorted(BEGINNINGS)),
        lookback=st.sampled_from([0, 30, 120]),
        start_days=st.sampled_from([None, None, 10]),
        rows=st.lists(st.tuples(kinds, divisions, st.sampled_from([0, 1, 9, 10, 11, 400])), max_size=15),
        undated=st.booleans(),
    )
    def begin(
        self, beginning: str, lookback: int, start_days: int | None, rows: list[tuple[Kind, int, int]], undated: bool
    ) -> None:
        self.sandbox = DirectSandbox(DIVISIONS, BEGINNINGS[beginning])
        self.business = Business(self.sandbox)
        self.destination = Destination()
        self.lookback = timedelta(minutes=lookback)
        self.start = None if start_days is None else self.sandbox.now() - timedelta(days=start_days)
        self.streams = set(STREAMS)
        self.divisions = set(DIVISIONS)
        self.full: set[str] = set()
        self.clean: dict[str, bool] = {}
        self.warned: set[tuple[str, int]] = set()
        for kind, division, days in rows:
            self.business.insert(kind, division, BEGINNINGS[beginning] - timedelta(days=days))
        if undated and self.start is None:
            self.business.insert(BY_STREAM["item_groups"], DIVISIONS[0], None, dated=False)

    def teardown(self) -> None:
        """In the end one run in peace, and everything has to be right."""
        if not hasattr(self, "destination"):
            return
        self.streams, self.divisions = set(STREAMS), set(DIVISIONS)
        self._run([], None, 1)
        for stream in self.full:
            self.destination.reset(stream)
        self.full.clear()
        self._run([], None, 1)
        self.sandbox.store.close()

    # -- what happens between runs ---------------------------------------------------------------------------------

    @rule(kind=kinds, division=divisions)
    def insert(self, kind: Kind, division: int) -> None:
        self.business.insert(kind, division, None)

    @rule(kind=kinds, division=divisions, share=st.floats(0, 1))
    def insert_late(self, kind: Kind, division: int, share: float) -> None:
        """A row becomes visible some time after its ``Modified``, within the lookback window.

        A line would take its header's ``Modified`` back in time, which no change does.
        """
        late = timedelta() if kind.parent else share * self.lookback
        self.business.insert(kind, division, self.sandbox.now() - late)

    @rule(division=divisions)
    def insert_undated(self, division: int) -> None:
        self.business.insert(BY_STREAM["accounts"], division, None, dated=False)

    @rule(kind=kinds, division=divisions, pick=picks, silent=st.booleans())
    def update(self, kind: Kind, division: int, pick: int, silent: bool) -> None:
        self.business.update(kind, division, pick, silent=silent)

    @rule(kind=kinds, division=divisions, count=st.integers(2, 8))
    def batch(self, kind: Kind, division: int, count: int) -> None:
        self.business.batch(kind, division, count)

    @rule(kind=kinds, division=divisions, pick=picks)
    def delete(self, kind: Kind, division: int, pick: int) -> None:
        self.business.delete(kind, division, pick)

    @rule(kind=kinds, division=divisions)
    def create_again(self, kind: Kind, division: int) -> None:
        self.business.create_again(kind, division)

    @rule(division=divisions)
    def rename_division(self, division: int) -> None:
        self.business.rename(division)

    @rule(division=divisions)
    def move_division(self, division: int) -> None:
        self.business.move(division)

    @rule(division=divisions)
    def jump_beyond_what_a_double_holds(self, division: int) -> None:
        self.sandbox.store.raise_version(division, 2**53 + 1)

    @rule(wait=waits)
    def wait(self, wait: timedelta) -> None:
        self.sandbox.box.clock.advance(wait.total_seconds())

    # -- what the user changes -------------------------------------------------------------------------------------

    @rule(stream=st.sampled_from(sorted(STREAMS)))
    def switch_stream(self, stream: str) -> None:
        self.streams ^= {stream}

    @rule(division=divisions)
    def switch_division(self, division: int) -> None:
        self.divisions ^= {division}

    @rule(stream=st.sampled_from(sorted(STREAMS)))
    def refresh(self, stream: str) -> None:
        self.full.add(stream)

    @rule(stream=st.sampled_from(sorted(STREAMS)))
    def reset(self, stream: str) -> None:
        self.destination.reset(stream)
        self.full.discard(stream)

    # -- runs ------------------------------------------------------------------------------------------------------

    @rule(
        behind=st.lists(changes, max_size=6),
        killed_after=st.one_of(st.none(), st.none(), st.integers(0, 60)),
        workers=st.sampled_from([1, 1, 1, 4]),
        page=st.integers(1, 5),
        shuffled=st.booleans(),
        repeated=st.integers(0, 2),
        empty=st.sampled_from([0, 2, 3]),
    )
    def sync(
        self,
        behind: list[Change],
        killed_after: int | None,
        workers: int,
        page: int,
        shuffled: bool,
        repeated: int,
        empty: int,
    ) -> None:
        feeds = {"shuffled": shuffled, "repeat_rows": repeated, "empty_pages": empty}
        self.sandbox.box.settings.change({"feeds": feeds, "page_sizes": {"standard": page, "sync": page}})
        self._run(behind, killed_after, workers)

    @rule()
    def sync_in_peace(self) -> None:
        self._run([], None, 1)

    def _run(self, behind: list[Change], killed_after: int | None, workers: int) -> None:
        streams = {stream: columns for stream, columns in STREAMS.items() if stream in self.streams}
        if not streams or not self.divisions:
            return
        full = self._full_now()
        waiting = sorted(behind, key=lambda change: change.after)
        done: list[Change] = []

        def between(count: int) -> bool:
            while waiting and waiting[0].after <= count:
                done.append(waiting[0])
                self._apply(waiting.pop(0))
            return killed_after is None or count < killed_after

        start = {} if self.start is None else {"start_date": self.start.isoformat()}
        run = self.sandbox.read(
            streams,
            self.destination.states_of(streams),
            full=frozenset(full),
            between=between,
            num_workers=workers,
            divisions=sorted(self.divisions),
            lookback_window_minutes=int(self.lookback.total_seconds() / 60),
            **start,
        )
        for message in run.messages:
            self.destination.take(message)
        self._listen(run)
        note(f"run of {len(run.messages)} messages{', killed' if run.killed else ''}; behind it {done}")
        for stream in full:
            self.clean[stream] = self.clean.get(stream, True) and not run.killed and not done
        if not run.killed and not done:
            self._check(streams, full)

    def _full_now(self) -> set[str]:
        full = self.full & self.streams
        for stream in full:
            self.destination.begin_full(stream)
        return full

    def _apply(self, change: Change) -> None:
        if change.what == "wait":
            self.sandbox.advance(minutes=change.pick * 20)
        elif change.what == "move":
            self.business.move(change.division)
        elif change.what == "insert":
            self.business.insert(change.kind, change.division, None)
        elif change.what == "delete":
            self.business.delete(change.kind, change.division, change.pick)
        elif change.what == "create again":
            self.business.create_again(change.kind, change.division)
        else:
            silent = change.what == "silent"
            self.business.update(change.kind, change.division, change.pick, silent=silent)

    def _listen(self, run: DirectRun) -> None:
        for stream in STREAMS:
            for division in DIVISIONS:
                said = f"Stream {stream} last asked for deletions in division {division} "
                if any(text.startswith(said) for text in run.warnings):
                    self.warned.add((stream, division))

    def _check(self, streams: dict[str, Any], full: set[str]) -> None:
        for stream in streams:
            compared = stream not in full or self.clean.pop(stream)
            for division in self.divisions if compared else ():
                problems = list(self._problems(stream, division))
                assert not problems, "; ".join(problems)
                self.business.seen(stream, division)
        # A stream that was read in full is read incrementally from then on, which begins with an empty table.
        for stream in full:
            self.full.discard(stream)
            self.destination.reset(stream)

    def _problems(self, stream: str, division: int) -> Iterator[str]:
        found = self._found(stream, division)
        expected = self.business.expected(stream, division)
        if self.start is not None and stream != "divisions":
            start = self.start.isoformat(timespec="milliseconds")
            expected = {key: one for key, one in expected.items() if not one["Modified"] or one["Modified"] >= start}
        for key, record in expected.items():
            held = found.pop(key, None)
            if held is None:
                yield f"{stream} {key} is missing: {record}"
            elif not alike(held, record) and not self.business.may_be(stream, key, held, record):
                yield f"{stream} {key} is {held} and should be {record}"
        for key, record in found.items():
            if self.business.may_remain(stream, key):
                continue
            if (stream, division) in self.warned:
                del self.destination.table(stream).records[key]
                continue
            yield f"{stream} {key} is gone and should not be {record}"
        self.warned.discard((stream, division))

    def _found(self, stream: str, division: int) -> dict[Key, Record]:
        (text,) = STREAMS[stream]
        return {
            key: {text: record.get(text), "Modified": record.get("Modified")}
            for key, record in self.destination.table(stream).rows.items()
            if key[0] == division
        }


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
