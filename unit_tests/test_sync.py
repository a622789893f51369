"""The scheduler: records before their state, and only what a page has proven in it."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from functools import partial
from itertools import pairwise

import pytest
from airbyte_cdk.models import AirbyteMessageSerializer
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.read.partition import PageResult
from source_exact_online.state.position import DeletionsRead, Position
from source_exact_online.state.stream_state import StreamState
from source_exact_online.sync.messages import QUIET_SECONDS
from unit_tests.exact_fakes import FakeClock
from unit_tests.sync_fakes import (
    FAULT,
    FORBIDDEN,
    REDIRECTED,
    FakePartition,
    Outcome,
    after,
    pages,
    rows,
    sync,
)


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


class TestMessages:
    def test_every_stream_starts_runs_and_completes(self, clock: FakeClock, workers: int) -> None:
        run = sync(clock, pages("items", 2), pages("accounts", 1), workers=workers).read()

        statuses = [
            (one["trace"]["stream_status"]["stream_descriptor"]["name"], one["trace"]["stream_status"]["status"])
            for one in run.of_type("TRACE")
        ]
        for stream in ("items", "accounts"):
            assert [status for name, status in statuses if name == stream] == ["STARTED", "RUNNING", "COMPLETE"]

    def test_every_record_of_every_page_is_emitted(self, clock: FakeClock, workers: int) -> None:
        partitions = [pages("items", 3, division) for division in range(1, 8)]

        run = sync(clock, *partitions, workers=workers).read()

        assert sorted(run.keys("items")) == sorted(f"{d}-{n}" for d in range(1, 8) for n in (1, 2, 3))

    def test_a_state_is_never_ahead_of_its_records(self, clock: FakeClock, workers: int) -> None:
        def slow(partition: FakePartition) -> FakePartition:
            """Pages so far apart that each checkpoint is worth a message."""
            partition.acts = [partial(after, clock, QUIET_SECONDS + 1, act) for act in partition.acts]
            return partition

        partitions = [slow(pages(stream, 4, n)) for stream in ("items", "accounts") for n in (1, 2, 3)]
        run = sync(clock, *partitions, workers=workers).read()
        emitted: Counter[tuple[str, str]] = Counter()

        for message in run.messages:
            if message["type"] == "RECORD":
                record = message["record"]
                emitted[record["stream"], record["data"]["ID"].partition("-")[0]] += 1
            elif message["type"] == "STATE":
                state = message["state"]["stream"]
                for division, position in state["stream_state"]["divisions"].items():
                    assert int(position["row_version"]) <= emitted[state["stream_descriptor"]["name"], division]

        assert sum(emitted.values()) == 24

    def test_nothing_of_a_page_is_in_the_state_before_its_last_record_is_taken(self, clock: FakeClock) -> None:
        """Whoever reads us may stop after any message."""
        messages = sync(clock, FakePartition("items", [rows("items", "a", "b", finished=True)])).messages()
        kinds = [message.type.value for message in messages]

        assert kinds.index("STATE") > max(index for index, kind in enumerate(kinds) if kind == "RECORD")

    def test_the_last_state_names_all_divisions(self, clock: FakeClock, workers: int) -> None:
        run = sync(clock, *[pages("items", 2, division) for division in (1, 2, 3)], workers=workers).read()

        assert vars(run.state[0].stream.stream_state)["divisions"] == {  # type: ignore[union-attr]
            division: {"row_version": "2"} for division in ("1", "2", "3")
        }

    def test_two_streams_of_one_listing_both_get_their_state(self, clock: FakeClock) -> None:
        run = sync(clock, pages("headers+lines", 2)).read()

        assert {state.stream.stream_descriptor.name for state in run.state if state.stream} == {"headers", "lines"}
        assert run.keys("headers") == run.keys("lines") == ["1-1", "1-2"]

    def test_small_pages_of_many_divisions_are_not_drowned_in_state(self, clock: FakeClock) -> None:
        run = sync(clock, *[pages("items", 1, division) for division in range(200)]).read()

        assert len(run.of_type("RECORD")) == 200
        assert len(run.of_type("STATE")) < 40

    def test_a_checkpoint_of_few_records_is_not_held_back_for_long(self, clock: FakeClock) -> None:
        def slowly() -> PageResult:
            clock.advance(QUIET_SECONDS + 1)
            return rows("items")

        quick = [pages("items", 1, division) for division in range(2, 50)]
        slow = FakePartition("items", [slowly] * 5 + [rows("items", finished=True)], 1)

        assert len(sync(clock, *quick, slow).read().of_type("STATE")) >= 5

    def test_the_more_divisions_there_are_the_rarer_is_a_state(self, clock: FakeClock) -> None:
        """Each message has the positions of all: of 400 it is due after forty seconds."""

        def slowly() -> PageResult:
            clock.advance(QUIET_SECONDS + 1)
            return rows("items")

        others = {str(division): Position(row_version=1) for division in range(2, 401)}
        slow = FakePartition("items", [slowly] * 10 + [rows("items", finished=True)], 1)

        run = sync(clock, slow, states=[StreamState("items", others)]).read()

        assert len(run.of_type("STATE")) == 2

    def test_the_same_state_is_not_repeated_at_the_end(self, clock: FakeClock) -> None:
        states = sync(clock, pages("items", 3)).read().of_type("STATE")

        assert all(one["state"]["stream"] != other["state"]["stream"] for one, other in pairwise(states))

    def test_a_stream_without_partitions_is_complete(self, clock: FakeClock) -> None:
        run = sync(clock, states=[StreamState("items", {"9": Position(row_version=5)})]).read()

        assert run.statuses == {"items": "COMPLETE"}
        assert run.position("items", 9) == {"row_version": "5"}


class TestStates:
    """The scheduler alone writes them, and only what a page has proven."""

    BEFORE = Position(row_version=70)
    TRACKED = Position(row_version=70, deletions=DeletionsRead(5))

    def test_positions_that_hold_from_the_start_are_emitted_before_any_record(
        self, clock: FakeClock, workers: int
    ) -> None:
        states = [StreamState("items", {"1": self.BEFORE, "2": self.BEFORE}), StreamState("accounts")]
        run = sync(
            clock,
            pages("items", 1),
            pages("accounts", 1),
            workers=workers,
            states=states,
            positions={("items", "2"): self.TRACKED},
            columns={"items": ("ID",)},
        ).read()

        kinds = [one["type"] for one in run.messages]
        first = kinds.index("STATE")
        assert first < kinds.index("RECORD")
        assert vars(run.state_after(first + 1)[0].stream.stream_state) == {  # type: ignore[union-attr]
            "version": 1,
            "columns": ["ID"],
            "divisions": {"1": self.BEFORE.to_json(), "2": self.TRACKED.to_json()},
        }
        assert run.position("items", 2) == self.TRACKED.to_json()

    def test_without_such_positions_no_state_precedes_the_records(self, clock: FakeClock) -> None:
        kinds = [one["type"] for one in sync(clock, pages("items", 1)).read().messages]

        assert kinds.index("RECORD") < kinds.index("STATE")

    def test_the_position_is_that_of_before_until_all_records_of_the_page_were_taken(self, clock: FakeClock) -> None:
        state = StreamState("items", {"1": self.BEFORE})
        messages = sync(
            clock, FakePartition("items", [rows("items", *"abc", finished=True)]), states=[state]
        ).messages()

        seen = [state.positions["1"] for message in messages if message.type.value == "RECORD"]

        assert seen == [self.BEFORE] * 3
        assert state.positions["1"] == Position(row_version=1)

    @pytest.mark.parametrize("end", [FAULT, FORBIDDEN, KeyError("x")], ids=["fault", "forbidden", "defect"])
    def test_what_fails_at_once_leaves_the_position_as_it_was(self, clock: FakeClock, end: Exception) -> None:
        state = StreamState("items", {"1": self.BEFORE})

        run = sync(clock, FakePartition("items", [end]), states=[state]).read()

        assert run.position("items", 1) == self.BEFORE.to_json()

    def test_a_full_refresh_that_ended_everywhere_leaves_no_mark(self, clock: FakeClock) -> None:
        state = StreamState("items", {"1": Position(refreshed_at=5), "2": Position(refreshed_at=5, move_date="never")})

        run = sync(clock, pages("items", 1), states=[state]).read()

        assert run.position("items", 2) == {"move_date": "never"}

    def test_one_that_is_incomplete_keeps_its_marks(self, clock: FakeClock) -> None:
        state = StreamState("items", {"2": Position(refreshed_at=5)})

        run = sync(clock, FakePartition("items", [FAULT]), states=[state]).read()

        assert run.position("items", 2) == Position(refreshed_at=5).to_json()

    def test_pages_that_were_under_way_when_the_login_died_are_not_in_the_state(self, clock: FakeClock) -> None:
        """Their records are not emitted any more."""
        both = threading.Barrier(2, timeout=10)

        def dies() -> Outcome:
            both.wait()
            raise REDIRECTED

        def comes_late() -> Outcome:
            both.wait()
            dead.wait(10)
            return rows("accounts", "late", finished=True)

        dead = threading.Event()
        one = sync(clock, FakePartition("items", [dies]), FakePartition("accounts", [comes_late], 2), workers=2)
        with contextlib.suppress(AirbyteTracedException):
            for message in one.messages():
                one.run.messages.append(AirbyteMessageSerializer.dump(message))
                if one.scheduler.failures:
                    dead.set()

        assert one.run.statuses == {"items": "INCOMPLETE", "accounts": "INCOMPLETE"}
        assert one.run.records("accounts") == []
        assert "2" not in vars(one.run.state[0].stream.stream_state)["divisions"]  # type: ignore[union-attr]
