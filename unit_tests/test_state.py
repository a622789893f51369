"""The state: what goes out comes back as it was, and what is not ours hides no rows."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessageSerializer, AirbyteStateMessage, AirbyteStateMessageSerializer, FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import given
from hypothesis import strategies as st

from source_exact_online.state.position import Pass, Position
from source_exact_online.state.stream_state import VERSION, StreamState, known_divisions, load_states
from unit_tests.exact_fakes import wall_ms
from unit_tests.fake_clock import START

WALL = st.integers(wall_ms("1753-01-01T00:00:00"), wall_ms("9999-12-31T23:59:59"))
INSTANT = st.integers(0, 32_503_680_000_000)
VERSIONS = st.integers(0, 2**63 - 1)
PASSES = st.builds(
    Pass,
    settled_version=st.none() | VERSIONS,
    ordered=st.booleans(),
    began=INSTANT,
    full=st.booleans(),
    next_url=st.none() | st.text(min_size=1),
    pages=st.integers(0, 10**6),
    highest_modified=st.none() | WALL,
    highest_version=st.none() | VERSIONS,
    undated=st.booleans(),
)
POSITIONS = st.builds(
    Position,
    modified=st.none() | WALL,
    version=st.none() | VERSIONS,
    since=st.none() | INSTANT,
    seen=st.none() | INSTANT,
    deletions_version=st.none() | VERSIONS,
    deletions_read=st.none() | INSTANT,
    unwatched=st.none() | INSTANT,
    undated=st.booleans(),
    stands_in=st.booleans(),
    by_key=st.booleans(),
    delivered=st.frozensets(st.text(alphabet="0123456789abcdef", min_size=12, max_size=12), max_size=3),
    under_way=st.none() | PASSES,
)
MOVES = st.sampled_from([(None, False), (None, True), ("/Date(1700000000000)/", True)])


def state_message(stream: str, blob: Any) -> AirbyteStateMessage:
    return AirbyteStateMessageSerializer.load(
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": blob}}
    )


def through_json(state: StreamState) -> AirbyteStateMessage:
    dumped = json.loads(json.dumps(AirbyteMessageSerializer.dump(state.message())))
    return AirbyteStateMessageSerializer.load(dumped["state"])


@given(POSITIONS, MOVES)
def test_a_position_comes_back_as_it_was(position: Position, move: tuple[str | None, bool]) -> None:
    moved, known = move
    position = position.with_move(moved) if known else position

    assert Position.load(json.loads(json.dumps(position.dump()))) == position


@given(st.dictionaries(st.integers(1, 10**7).map(str), POSITIONS, max_size=3))
def test_the_state_of_a_stream_comes_back_through_airbyte(positions: dict[str, Position]) -> None:
    state = StreamState("accounts", positions)

    loaded = load_states([through_json(state)], ["accounts"])["accounts"]

    assert loaded.positions == positions


@given(VERSIONS)
def test_a_row_version_is_text_so_that_no_reader_rounds_it(version: int) -> None:
    assert Position(version=version).dump() == {"Timestamp": str(version)}


def test_an_unread_position_is_empty() -> None:
    assert Position().dump() == {}
    assert Position.load({}) == Position()


def test_the_cursor_stands_in_the_state_as_exacts_clock_shows_it() -> None:
    assert Position(modified=wall_ms("2024-03-31T03:30:00")).dump() == {"Modified": "2024-03-31T03:30:00.000"}


DAMAGED: list[Any] = [
    [],
    "text",
    7,
    {"Modified": 7},
    {"Modified": "yesterday"},
    {"Modified": "2024-01-01T00:00:00+00:00"},
    {"Timestamp": "many"},
    {"Timestamp": 1.5},
    {"Timestamp": "-5"},
    {"Timestamp": "9" * 26},
    {"Timestamp": True},
    {"read_at": "2024-01-01T00:00:00"},
    {"read_at": 1700000000},
    {"unchanged_since": {}},
    {"deletions": []},
    {"deletions": {"Timestamp": "x"}},
    {"moved": 7},
    {"delivered": "abc"},
    {"delivered": [7]},
    {"pass": []},
    {"pass": {}},
    {"pass": {"began": None, "sync_mode": "incremental"}},
    {"pass": {"began": "2024-01-01T00:00:00+00:00"}},
    {"pass": {"began": "2024-01-01T00:00:00+00:00", "sync_mode": "incremental", "next": 7}},
    {"pass": {"began": "2024-01-01T00:00:00+00:00", "sync_mode": "incremental", "pages": "7"}},
    {"pass": {"began": "2024-01-01T00:00:00+00:00", "sync_mode": 7}},
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=json.dumps)
def test_a_damaged_position_is_read_from_the_start_and_its_neighbours_are_not(
    damaged: Any, caplog: pytest.LogCaptureFixture
) -> None:
    document = {"version": VERSION, "divisions": {"1": damaged, "2": {"Timestamp": "5"}}}

    state = load_states([state_message("accounts", document)], ["accounts"])["accounts"]

    assert state.positions == {"2": Position(version=5)}
    assert [line for line in caplog.messages if "accounts" in line and "division 1 " in line and "start" in line]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_document_whatever_breaks_the_reading_of_a_position(document: Any) -> None:
    try:
        loaded = Position.load(document)
    except ValueError:
        return
    assert isinstance(loaded, Position)


@pytest.mark.parametrize(
    "foreign",
    [
        {"cursor": "2024-01-01"},
        {"1": {"Timestamp": "5"}},
        {"version": 0, "divisions": {"1": {"Timestamp": "5"}}},
        {"version": "1", "divisions": {"1": {"Timestamp": "5"}}},
        {"version": None, "divisions": {"1": {"Timestamp": "5"}}},
        {"version": VERSION},
        {"version": VERSION, "divisions": ["1"]},
        {"use_global_cursor": False, "states": [], "lookback_window": 1},
    ],
    ids=json.dumps,
)
def test_a_state_of_another_connector_is_ignored_with_a_warning(
    foreign: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    state = load_states([state_message("accounts", foreign)], ["accounts"])["accounts"]

    assert state.positions == {}
    assert [record for record in caplog.records if record.levelno == logging.WARNING and "accounts" in record.message]


def test_a_state_of_a_newer_version_is_a_config_error() -> None:
    newer = {"version": VERSION + 1, "divisions": {}}

    with pytest.raises(AirbyteTracedException, match="newer version") as raised:
        load_states([state_message("accounts", newer)], ["accounts"])

    assert raised.value.failure_type is FailureType.config_error
    assert "accounts" in str(raised.value.message)


class TestFuture:
    """A cursor in the future would hide every row until then, and nobody would be told."""

    AHEAD = timedelta(days=400)

    def positions(self) -> dict[str, Position]:
        later = START + self.AHEAD
        instant = round(later.timestamp() * 1000)
        return {
            "1": Position(modified=wall_ms(later.replace(tzinfo=None).isoformat())),
            "2": Position(seen=instant),
            "3": Position(since=instant),
            "4": Position(deletions_read=instant),
            "5": Position(under_way=Pass(instant, full=False)),
        }

    def load(self, positions: dict[str, Position], now: datetime) -> dict[str, Position]:
        return load_states([through_json(StreamState("items", positions))], ["items"], now=now)["items"].positions

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
                state_message("items", {"version": 1, "divisions": {"1": {"Timestamp": "1"}}}),
                state_message("accounts", {"version": 1, "divisions": {"1": {"Timestamp": "2"}}}),
                state_message("journals", {"version": 1, "divisions": {"1": {"Timestamp": "3"}}}),
            ],
            ["accounts", "items", "contacts"],
        )

        assert {name: state.positions for name, state in states.items()} == {
            "accounts": {"1": Position(version=2)},
            "items": {"1": Position(version=1)},
            "contacts": {},
        }

    @pytest.mark.parametrize("messages", [None, []])
    def test_no_state_is_an_empty_state(self, messages: list[AirbyteStateMessage] | None) -> None:
        assert load_states(messages, ["items"]) == {"items": StreamState("items")}

    @pytest.mark.parametrize("blob", [None, {}])
    def test_a_stream_that_was_reset_begins_without_a_warning(
        self, blob: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert load_states([state_message("items", blob)], ["items"])["items"].positions == {}
        assert caplog.messages == []

    def test_a_global_state_is_understood(self) -> None:
        message = AirbyteStateMessageSerializer.load(
            {
                "type": "GLOBAL",
                "global": {
                    "stream_states": [
                        {
                            "stream_descriptor": {"name": "items"},
                            "stream_state": {"version": 1, "divisions": {"1": {"Timestamp": "4"}}},
                        },
                        {"stream_descriptor": {"name": "accounts"}},
                    ]
                },
            }
        )

        assert load_states([message], ["items"])["items"].positions == {"1": Position(version=4)}

    def test_a_state_of_the_old_protocol_is_ignored_with_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        message = AirbyteStateMessageSerializer.load({"data": {"items": {"cursor": 1}}})

        assert load_states([message], ["items"])["items"].positions == {}
        assert caplog.messages

    def test_divisions_that_are_not_read_now_keep_their_place(self) -> None:
        kept = {"1": Position(version=5), "999": Position(version=7)}

        loaded = load_states([through_json(StreamState("items", kept))], ["items"])["items"]

        assert loaded.positions["999"] == Position(version=7)


def test_the_divisions_that_states_speak_of_are_known() -> None:
    states = [
        StreamState("items", {"20": Position(version=1), "3": Position()}),
        StreamState("divisions", {"login": Position(modified=1), "20": Position()}),
    ]

    assert known_divisions(states) == (3, 20)


class TestMoves:
    def test_a_moved_division_loses_its_row_versions_and_keeps_its_moments(self) -> None:
        before = Position(
            modified=5,
            version=6,
            since=7,
            seen=8,
            deletions_version=9,
            deletions_read=10,
            under_way=Pass(1, full=False),
        )

        assert before.after_move("later") == Position(
            modified=5, since=7, seen=8, deletions_read=10, moved="later", moved_known=True
        )

    @pytest.mark.parametrize("moved", ["/Date(1700000000000)/", "a date of another form"])
    def test_where_nothing_was_known_of_moves_a_date_that_cannot_be_placed_counts(self, moved: str) -> None:
        assert Position(version=5).has_moved(moved)
        assert not Position(version=5).has_moved(None)
        assert not Position(modified=5).has_moved(moved), "there is no row version to give up"

    def test_a_full_refresh_keeps_only_what_is_known_of_the_division(self) -> None:
        position = Position(modified=5, version=6, deletions_version=9).with_move("once")

        assert position.without_cursors() == Position(moved="once", moved_known=True)


def test_finished_full_refreshes_are_forgotten_and_everything_else_is_kept() -> None:
    """A mark that a full refresh is done would keep the next one from reading anything."""
    done = Position(under_way=Pass(1, full=True, next_url=None, pages=3))
    under_way = Position(under_way=Pass(1, full=True, next_url="https://start.exactonline.nl/x", pages=3))
    incremental = Position(version=5)
    state = StreamState("items", {"1": done, "2": under_way, "3": incremental})

    state.forget_finished_passes()

    assert "1" not in {key for key, position in state.positions.items() if position.under_way}
    assert {key: state.positions[key] for key in ("2", "3")} == {"2": under_way, "3": incremental}


def test_moments_are_written_with_their_zone() -> None:
    instant = round(datetime(2024, 3, 31, 1, 30, tzinfo=timezone.utc).timestamp() * 1000)

    assert Position(seen=instant).dump() == {"read_at": "2024-03-31T01:30:00.000+00:00"}
