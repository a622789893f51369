"""Packages: rows and the state that they prove go together, and what replaces a table is complete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteStreamStatus,
    FailureType,
    StreamDescriptor,
    SyncMode,
    Type,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.catalog.definitions import catalog
from source_exact_online.load.reading import Limits, Part, Reading
from source_exact_online.read.records import RecordBatch

COMPLETE, INCOMPLETE = AirbyteStreamStatus.COMPLETE, AirbyteStreamStatus.INCOMPLETE


def page(stream: str, *keys: str, division: int = 1) -> RecordBatch:
    return RecordBatch.of(stream, [{"ID": key, "Division": division} for key in keys], 0)


def state(stream: str, version: int) -> AirbyteMessage:
    return AirbyteMessage(
        type=Type.STATE,
        state=AirbyteStateMessage(
            type=AirbyteStateType.STREAM,
            stream=AirbyteStreamState(
                stream_descriptor=StreamDescriptor(name=stream), stream_state=AirbyteStateBlob({"row_version": version})
            ),
        ),
    )


def positions(stream: str, of: dict[str, Any]) -> AirbyteMessage:
    blob = AirbyteStateBlob({"version": 1, "divisions": of})
    part = AirbyteStreamState(stream_descriptor=StreamDescriptor(name=stream), stream_state=blob)
    return AirbyteMessage(type=Type.STATE, state=AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=part))


def status(stream: str, value: AirbyteStreamStatus) -> AirbyteMessage:
    return as_airbyte_message(StreamDescriptor(name=stream), value)


class Source:
    """Emits what a test tells it to; remembers what it was asked for."""

    def __init__(self, *messages: Any) -> None:
        self._messages = messages
        self.modes: dict[str, SyncMode] = {}
        self.states: dict[str, Any] = {}
        self.known: frozenset[int] = frozenset()
        self.divisions = frozenset({1})
        self.skipped: frozenset[int] = frozenset()

    def divisions_read(self, stream: str) -> frozenset[int]:
        return self.divisions

    def divisions_skipped(self, stream: str) -> frozenset[int]:
        return self.skipped

    def read_batches(
        self, config: Any, configured: Any, states: Any, known: Iterable[int]
    ) -> Iterator[AirbyteMessage | RecordBatch]:
        self.known = frozenset(known)
        self.modes = {one.stream.name: one.sync_mode for one in configured.streams}
        self.states = {one.stream.stream_descriptor.name: vars(one.stream.stream_state) for one in states}
        for message in self._messages:
            if isinstance(message, Exception):
                raise message
            yield message


Told = list[dict[str, tuple[list[str], bool, Any]]]


def told(packages: Iterator[list[Part]]) -> Told:
    """Keys, whether they replace, and state, by stream, of each package."""
    found: Told = []
    for parts in packages:
        found.append({})
        for part in parts:
            tables = part.spool.tables(distinct=part.replaces) if part.spool is not None else ()
            keys = [key for table in tables for key in table["ID"].to_pylist()]
            found[-1][part.stream.name] = (keys, part.replaces, part.state)
    return found


@pytest.fixture
def reading(tmp_path: Path) -> Any:
    def make(source: Source, *streams: str, **options: Any) -> Reading:
        states = options.pop("states", {})
        return Reading(source, {}, [catalog()[name] for name in streams], states, tmp_path, **options)

    return make


def test_a_package_holds_the_rows_and_the_last_state_before_its_end(reading: Any) -> None:
    source = Source(
        page("accounts", "a"),
        state("accounts", 1),
        page("accounts", "b"),
        page("accounts", "c"),
        state("accounts", 3),
        status("accounts", COMPLETE),
    )
    packages = told(reading(source, "accounts").packages(Limits(rows=2)))
    assert packages == [
        {"accounts": (["a", "b"], False, {"row_version": 1})},
        {"accounts": (["c"], False, {"row_version": 3})},
    ]


def test_no_state_is_ahead_of_its_rows_wherever_packages_are_cut(reading: Any) -> None:
    messages = [message for n in range(7) for message in (page("accounts", str(n)), state("accounts", n))]
    for limit in range(1, 9):
        loaded: set[str] = set()
        for package in told(reading(Source(*messages), "accounts").packages(Limits(rows=limit))):
            keys, _, held = package.get("accounts", ([], False, None))
            loaded.update(keys)
            if held is not None:
                assert {str(n) for n in range(held["row_version"] + 1)} <= loaded, limit
        assert len(loaded) == 7


def test_packages_are_closed_by_time_as_well(reading: Any) -> None:
    moments = iter(range(0, 10_000, 100))
    source = Source(*(page("accounts", str(n)) for n in range(6)))
    made = reading(source, "accounts", monotonic=lambda: float(next(moments)))
    assert [len(one["accounts"][0]) for one in told(made.packages(Limits(seconds=200))) if one] == [2, 2, 2]


def test_a_snapshot_replaces_its_table_once_it_is_complete_and_not_before(reading: Any) -> None:
    source = Source(
        page("units", "a"),
        page("accounts", "x", "y"),
        page("units", "b"),
        state("units", 9),
        status("units", COMPLETE),
    )
    packages = told(reading(source, "accounts", "units").packages(Limits(rows=2)))
    assert packages == [
        {"accounts": (["x", "y"], False, None)},
        {"units": (["a", "b"], True, None)},
    ]
    assert source.modes["units"] is SyncMode.full_refresh


def test_an_incomplete_snapshot_is_not_loaded_at_all(reading: Any) -> None:
    error = AirbyteTracedException(message="No.", failure_type=FailureType.config_error)
    failure = error.as_sanitized_airbyte_message(stream_descriptor=StreamDescriptor(name="units"))
    made = reading(Source(page("units", "a"), failure, status("units", INCOMPLETE), error), "units")
    assert told(made.packages(None)) == [{}]
    assert made.failures == {"units": "No."}
    assert made.error == error.message


def test_an_empty_snapshot_empties_its_table(reading: Any) -> None:
    assert told(reading(Source(status("units", COMPLETE)), "units").packages(None)) == [{"units": ([], True, None)}]


def test_a_stream_without_rows_gets_a_table_the_first_time(reading: Any) -> None:
    messages = (state("accounts", 1), status("accounts", COMPLETE))
    first = reading(Source(*messages), "accounts").packages(None)
    assert told(first) == [{"accounts": ([], False, {"row_version": 1})}]
    again = reading(Source(*messages), "accounts", states={"accounts": {"row_version": 0}})
    (part,) = next(iter(again.packages(None)))
    assert part.spool is None


def test_full_begins_without_a_state_and_keeps_the_one_it_ends_with(reading: Any) -> None:
    source = Source(page("accounts", "a"), state("accounts", 5), status("accounts", COMPLETE))
    states = {"accounts": {"row_version": 4}}
    assert told(reading(source, "accounts", full=True, states=states).packages(Limits(rows=1))) == [
        {"accounts": (["a"], True, {"row_version": 5, "divisions": {}})}
    ]
    assert source.states == {}
    assert source.modes["accounts"] is SyncMode.incremental


def test_a_run_goes_on_from_the_state(reading: Any) -> None:
    source = Source()
    told(reading(source, "accounts", states={"accounts": {"row_version": 4}, "items": {}}).packages(None))
    assert source.states == {"accounts": {"row_version": 4}}


def test_full_keeps_the_positions_of_divisions_that_were_not_read_to_their_end(reading: Any) -> None:
    source = Source(
        page("accounts", "a"),
        page("accounts", "half", division=2),
        positions("accounts", {"1": "new", "2": "half"}),
        status("accounts", COMPLETE),
    )
    before = {
        "accounts": {"version": 1, "divisions": {"1": "old", "2": "old"}},
        "items": {"version": 1, "divisions": {"3": "old", "login": "old"}},
    }
    ((part,),) = reading(source, "accounts", full=True, states=before).packages(None)
    assert part.state == {"version": 1, "divisions": {"1": "new", "2": "old"}}
    assert part.divisions == {1}
    assert source.known == {1, 2, 3}, "divisions to read if Exact does not list them"


def test_a_stream_of_the_login_replaces_its_whole_table(reading: Any) -> None:
    ((part,),) = reading(Source(status("divisions", COMPLETE)), "divisions").packages(None)
    assert part.replaces
    assert part.divisions is None


@pytest.mark.parametrize(
    ("skipped", "known", "excluded", "replaced"),
    [([], [1], [], True), ([2], [], [], False), ([], [1, 2], [], False), ([], [1, 2], [2], True)],
)
def test_a_table_that_can_only_be_replaced_whole_stays_if_a_division_was_not_read(
    tmp_path: Path, skipped: list[int], known: list[int], excluded: list[int], replaced: bool
) -> None:
    source = Source(page("units", "a"), status("units", COMPLETE))
    source.skipped = frozenset(skipped)
    states = {"accounts": {"version": 1, "divisions": {str(one): {} for one in known}}}
    made = Reading(source, {"exclude_divisions": excluded}, [catalog()["units"]], states, tmp_path, by_division=False)
    (parts,) = made.packages(None)
    assert [(part.replaces, part.divisions) for part in parts] == ([(True, None)] if replaced else [])
    assert [why[:26] for why in made.failures.values()] == ([] if replaced else ["Division 2 could not be rea"[:26]])


def test_rows_of_a_division_that_was_not_read_to_its_end_do_not_count(reading: Any) -> None:
    source = Source(page("units", "a"), page("units", "half", "more", division=2), status("units", COMPLETE))
    ((part,),) = reading(source, "units").packages(None)
    assert part.spool is not None
    assert part.spool.rows == 1
    assert told(iter([[part]])) == [{"units": (["a"], True, None)}]
