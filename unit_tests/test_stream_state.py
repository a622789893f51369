"""The state: what goes out comes back as it was, and what is not ours hides no rows."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from airbyte_cdk.models import AirbyteMessageSerializer, AirbyteStateMessage, AirbyteStateMessageSerializer, FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import given
from hypothesis import strategies as st

from source_exact_online.state.position import DeletionsRead, InProgressListing, Position
from source_exact_online.state.stream_state import VERSION, StreamState, known_divisions, load_states
from unit_tests.exact_fakes import START, wall_ms
from unit_tests.test_position import POSITIONS


def state_message(stream: str, blob: Any) -> AirbyteStateMessage:
    return AirbyteStateMessageSerializer.load(
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": blob}}
    )


def through_json(state: StreamState) -> AirbyteStateMessage:
    dumped = json.loads(json.dumps(AirbyteMessageSerializer.dump(state.message())))
    return AirbyteStateMessageSerializer.load(dumped["state"])


LATE = datetime(9999, 1, 1, tzinfo=timezone.utc)
"""No position is from the future then."""


@given(st.dictionaries(st.integers(1, 10**7).map(str), POSITIONS, max_size=3), st.none() | st.lists(st.text()))
def test_the_state_of_a_stream_comes_back_through_airbyte(
    positions: dict[str, Position], columns: list[str] | None
) -> None:
    state = StreamState("accounts", positions, None if columns is None else tuple(columns))

    assert load_states([through_json(state)], ["accounts"], LATE) == {"accounts": state}


def test_its_keys_are_the_documented_ones() -> None:
    message = StreamState("accounts", {"123": Position(row_version=5)}, ("ID", "Name")).message()

    dumped = AirbyteMessageSerializer.dump(message)["state"]["stream"]
    assert dumped == {
        "stream_descriptor": {"name": "accounts"},
        "stream_state": {
            "version": 1,
            "columns": ["ID", "Name"],
            "divisions": {"123": {"row_version": "5"}},
        },
    }


@pytest.mark.parametrize(
    "damaged",
    [
        {"cursor": "x" * 100_000},
        {"last_read_at": "x" * 100_000},
        {"row_version": "9" * 100_000},
        {"move_date": ["x" * 100_000]},
        {"in_progress": "x" * 100_000},
        "x" * 100_000,
    ],
    ids=lambda damaged: json.dumps(damaged)[:20],
)
def test_a_damaged_value_of_any_length_is_one_short_line(damaged: Any, caplog: pytest.LogCaptureFixture) -> None:
    document = {"version": VERSION, "divisions": {"1" * 5000: damaged}}

    state = load_states([state_message("accounts", document)], ["accounts"], START)["accounts"]

    assert (state.positions, known_divisions([state])) == ({}, ())
    assert [len(line) < 400 for line in caplog.messages] == [True]


@pytest.mark.parametrize(
    "document",
    [
        {"divisions": {"half \ud83d": {"row_version": "5"}}},
        {"divisions": {"1": {"row_version": "5", "move_date": "half \ud83d"}}},
        {"columns": ["half \ud83d"], "divisions": {}},
    ],
    ids=["division", "text", "columns"],
)
def test_what_no_message_can_bear_is_not_kept(document: dict[str, Any]) -> None:
    """The run would end at its first STATE message."""
    state = load_states([state_message("accounts", {"version": VERSION, **document})], ["accounts"], START)["accounts"]

    assert (state.positions, state.columns) == ({}, None)
    assert orjson.dumps(AirbyteMessageSerializer.dump(state.message()))


@pytest.mark.parametrize("columns", [None, "ID", [7], {}], ids=json.dumps)
def test_columns_that_are_none_are_not_known(columns: Any) -> None:
    document = {"version": VERSION, "columns": columns, "divisions": {"2": {"row_version": "5"}}}

    state = load_states([state_message("accounts", document)], ["accounts"], START)["accounts"]

    assert (state.columns, state.positions) == (None, {"2": Position(row_version=5)})


@pytest.mark.parametrize("damaged", [[], "text", {"row_version": "many"}, {"cursor": 7}], ids=json.dumps)
def test_a_damaged_position_is_read_from_the_start_and_its_neighbours_are_not(
    damaged: Any, caplog: pytest.LogCaptureFixture
) -> None:
    document = {"version": VERSION, "divisions": {"1": damaged, "2": {"row_version": "5"}}}

    state = load_states([state_message("accounts", document)], ["accounts"], START)["accounts"]

    assert state.positions == {"2": Position(row_version=5)}
    assert [line for line in caplog.messages if "accounts" in line and "division 1 " in line and "start" in line]


@pytest.mark.parametrize(
    "foreign",
    [
        {"cursor": "2024-01-01"},
        {"1": {"row_version": "5"}},
        {"version": 0, "divisions": {"1": {"row_version": "5"}}},
        {"version": "1", "divisions": {"1": {"row_version": "5"}}},
        {"version": None, "divisions": {"1": {"row_version": "5"}}},
        {"version": VERSION},
        {"version": VERSION, "divisions": ["1"]},
        {"use_global_cursor": False, "states": [], "lookback_window": 1},
    ],
    ids=json.dumps,
)
def test_a_state_of_another_connector_is_ignored_with_a_warning(
    foreign: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    state = load_states([state_message("accounts", foreign)], ["accounts"], START)["accounts"]

    assert state.positions == {}
    assert [record for record in caplog.records if record.levelno == logging.WARNING and "accounts" in record.message]


def test_a_state_of_a_newer_version_is_a_config_error() -> None:
    newer = {"version": VERSION + 1, "divisions": {}}

    with pytest.raises(AirbyteTracedException, match="newer version") as raised:
        load_states([state_message("accounts", newer)], ["accounts"], START)

    assert raised.value.failure_type is FailureType.config_error
    assert "accounts" in str(raised.value.message)


class TestFuture:
    """A cursor in the future would hide every row until then, and nobody would be told."""

    AHEAD = timedelta(days=400)

    def positions(self) -> dict[str, Position]:
        later = START + self.AHEAD
        instant = round(later.timestamp() * 1000)
        return {
            "1": Position(cursor=wall_ms(later.replace(tzinfo=None).isoformat())),
            "2": Position(last_read_at=instant),
            "3": Position(cursor_unchanged_since=instant),
            "4": Position(deletions=DeletionsRead(instant)),
            "5": Position(in_progress=InProgressListing(instant, full_refresh=False)),
            "6": Position(refreshed_at=instant),
        }

    def load(self, positions: dict[str, Position], now: datetime) -> dict[str, Position]:
        return load_states([through_json(StreamState("items", positions))], ["items"], now)["items"].positions

    def test_a_position_from_the_future_is_read_from_the_start(self, caplog: pytest.LogCaptureFixture) -> None:
        assert self.load(self.positions(), START) == {}
        assert sum("future" in line for line in caplog.messages) == len(self.positions())

    def test_a_clock_somewhat_behind_does_not_throw_a_state_away(self) -> None:
        positions = self.positions()

        assert self.load(positions, START + self.AHEAD - timedelta(hours=20)) == positions


class TestMessages:
    def test_each_stream_gets_its_own_state(self) -> None:
        states = load_states(
            [
                state_message("items", {"version": 1, "divisions": {"1": {"row_version": "1"}}}),
                state_message("accounts", {"version": 1, "divisions": {"1": {"row_version": "2"}}}),
                state_message("journals", {"version": 1, "divisions": {"1": {"row_version": "3"}}}),
            ],
            ["accounts", "items", "contacts"],
            START,
        )

        assert {name: state.positions for name, state in states.items()} == {
            "accounts": {"1": Position(row_version=2)},
            "items": {"1": Position(row_version=1)},
            "contacts": {},
        }

    @pytest.mark.parametrize("messages", [None, []])
    def test_no_state_is_an_empty_state(self, messages: list[AirbyteStateMessage] | None) -> None:
        assert load_states(messages, ["items"], START) == {"items": StreamState("items")}

    @pytest.mark.parametrize("blob", [None, {}])
    def test_a_stream_that_was_reset_begins_without_a_warning(
        self, blob: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert load_states([state_message("items", blob)], ["items"], START)["items"].positions == {}
        assert caplog.messages == []

    def test_a_global_state_is_understood(self) -> None:
        message = AirbyteStateMessageSerializer.load(
            {
                "type": "GLOBAL",
                "global": {
                    "stream_states": [
                        {
                            "stream_descriptor": {"name": "items"},
                            "stream_state": {"version": 1, "divisions": {"1": {"row_version": "4"}}},
                        },
                        {"stream_descriptor": {"name": "accounts"}},
                    ]
                },
            }
        )

        assert load_states([message], ["items"], START)["items"].positions == {"1": Position(row_version=4)}

    def test_a_state_of_the_old_protocol_is_ignored_with_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        message = AirbyteStateMessageSerializer.load({"data": {"items": {"cursor": 1}}})

        assert load_states([message], ["items"], START)["items"].positions == {}
        assert caplog.messages

    def test_divisions_that_are_not_read_now_keep_their_place(self) -> None:
        kept = {"1": Position(row_version=5), "999": Position(row_version=7)}

        loaded = load_states([through_json(StreamState("items", kept))], ["items"], START)["items"]

        assert loaded.positions["999"] == Position(row_version=7)


def test_the_divisions_that_states_speak_of_are_known() -> None:
    states = [
        StreamState("items", {"20": Position(row_version=1), "3": Position()}),
        StreamState("divisions", {"login": Position(cursor=1), "20": Position()}),
        StreamState("units", {"9" * 5000: Position(row_version=1), "\u00b2": Position(), "-1": Position()}),
    ]

    assert known_divisions(states) == (3, 20)
