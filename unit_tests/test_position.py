"""The JSON form of a position: readable, and whatever comes in, what goes out comes back as it was."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from source_exact_online.state.position import DeletionsRead, InProgressListing, Position
from unit_tests.exact_fakes import wall_ms

WALL = st.integers(wall_ms("1753-01-01T00:00:00"), wall_ms("9000-01-01T00:00:00"))
INSTANT = st.integers(0, 32_503_680_000_000)
VERSIONS = st.integers(0, 2**63 - 1)
LISTINGS = st.builds(
    InProgressListing,
    started_at=INSTANT,
    full_refresh=st.booleans(),
    next_url=st.none() | st.text(),
    pages=st.integers(0, 10**6),
    highest_modified=st.none() | WALL,
    highest_row_version=st.none() | VERSIONS,
)
POSITIONS = st.builds(
    Position,
    cursor=st.none() | WALL,
    row_version=st.none() | VERSIONS,
    last_read_at=st.none() | INSTANT,
    cursor_unchanged_since=st.none() | INSTANT,
    start_date=st.none() | WALL,
    move_date=st.none() | st.text(),
    deletions=st.none() | st.builds(DeletionsRead, INSTANT, st.none() | VERSIONS),
    refreshed_at=st.none() | INSTANT,
    in_progress=st.none() | LISTINGS,
    full_columns=st.booleans(),
)
AT = round(datetime(2024, 3, 31, 1, 30, tzinfo=timezone.utc).timestamp() * 1000)
AT_TEXT = "2024-03-31T01:30:00.000+00:00"
WALL_AT = wall_ms("2024-03-31T03:30:00.123")
WALL_TEXT = "2024-03-31T03:30:00.123"
FULL = Position(
    cursor=WALL_AT,
    row_version=2**53 + 1,
    last_read_at=AT,
    cursor_unchanged_since=AT,
    start_date=WALL_AT,
    move_date="/Date(1740787200000)/",
    deletions=DeletionsRead(AT, 7),
    refreshed_at=AT,
    in_progress=InProgressListing(AT, False, "https://start.exactonline.nl/x", 3, WALL_AT, 8),
)
DOCUMENT: dict[str, Any] = {
    "cursor": WALL_TEXT,
    "row_version": "9007199254740993",
    "last_read_at": AT_TEXT,
    "cursor_unchanged_since": AT_TEXT,
    "start_date": WALL_TEXT,
    "move_date": "/Date(1740787200000)/",
    "deletions_read_until": {"read_at": AT_TEXT, "row_version": "7"},
    "refreshed_at": AT_TEXT,
    "in_progress": {
        "started_at": AT_TEXT,
        "sync_mode": "incremental",
        "next_url": "https://start.exactonline.nl/x",
        "pages": 3,
        "highest_modified": WALL_TEXT,
        "highest_row_version": "8",
    },
}
"""All that a position can hold, in its documented form: Exact's clock without a zone, instants with one."""


@given(POSITIONS)
def test_a_position_comes_back_as_it_was(position: Position) -> None:
    assert Position.from_json(json.loads(json.dumps(position.to_json()))) == position


def test_its_keys_are_the_documented_ones_and_its_values_can_be_read() -> None:
    assert FULL.to_json() == DOCUMENT


def test_a_full_refresh_in_progress_says_so() -> None:
    listing = Position(in_progress=InProgressListing(AT, full_refresh=True)).to_json()["in_progress"]

    assert listing == {"started_at": AT_TEXT, "sync_mode": "full_refresh", "pages": 0}


def test_an_unread_position_is_empty() -> None:
    assert Position().to_json() == {}
    assert Position.from_json({}) == Position()


@given(VERSIONS)
def test_a_row_version_is_text_so_that_no_reader_rounds_it(version: int) -> None:
    assert Position(row_version=version).to_json() == {"row_version": str(version)}
    assert Position.from_json({"row_version": version}) == Position(row_version=version), "a number will do"


@pytest.mark.parametrize(
    ("position", "was_read"),
    [
        (Position(), False),
        (Position(start_date=1, move_date="never", deletions=DeletionsRead(1, 5), cursor_unchanged_since=1), False),
        (Position(cursor=0), True),
        (Position(row_version=0), True),
        (Position(last_read_at=0), True),
        (Position(refreshed_at=0), True),
        (Position(in_progress=InProgressListing(0, full_refresh=True)), True),
    ],
)
def test_it_knows_whether_rows_were_read(position: Position, was_read: bool) -> None:
    assert position.was_read is was_read


# -- damage --------------------------------------------------------------------------------------------------------


DAMAGED: list[Any] = [
    [],
    "text",
    7,
    {"cursor": 7},
    {"cursor": "yesterday"},
    {"cursor": "2024-01-01T00:00:00+00:00"},
    {"row_version": "many"},
    {"row_version": 1.5},
    {"row_version": "-5"},
    {"row_version": "9" * 19},
    {"row_version": "9" * 26},
    {"row_version": 10**30},
    {"row_version": True},
    {"row_version": []},
    {"last_read_at": "2024-01-01T00:00:00"},
    {"last_read_at": 1700000000},
    {"last_read_at": "0001-01-01T00:00:00+23:59"},
    {"last_read_at": "9999-12-31T23:59:59-23:59"},
    {"cursor_unchanged_since": {}},
    {"start_date": "2024"},
    {"start_date": {}},
    {"refreshed_at": ""},
    {"deletions_read_until": []},
    {"deletions_read_until": {}},
    {"deletions_read_until": {"row_version": "7"}},
    {"deletions_read_until": {"read_at": AT_TEXT, "row_version": "x"}},
    {"move_date": 7},
    {"in_progress": []},
    {"in_progress": {}},
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=json.dumps)
def test_a_damaged_position_is_refused(damaged: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        Position.from_json(damaged)


DAMAGED_LISTINGS: list[dict[str, Any]] = [
    {"started_at": None},
    {"sync_mode": None},
    {"sync_mode": "append"},
    {"sync_mode": 7},
    {"sync_mode": ["incremental"]},
    {"next_url": 7},
    {"next_url": "https://start.exactonline.nl/api/v1/1/crm/Accounts?$skiptoken=" + "a" * 20_000},
    {"pages": None},
    {"pages": 10**19},
    {"pages": "7"},
    {"pages": -1},
    {"pages": True},
    {"highest_modified": 1},
    {"highest_row_version": 1.0},
]


@pytest.mark.parametrize("damaged", DAMAGED_LISTINGS, ids=lambda damaged: json.dumps(damaged)[:60])
def test_a_position_with_a_damaged_listing_is_refused(damaged: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Position.from_json({**DOCUMENT, "in_progress": {**DOCUMENT["in_progress"], **damaged}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(AT_TEXT) | st.just(WALL_TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.builds("{}T{}{}".format, st.dates(), st.times(), st.sampled_from(["", "+23:59", "-23:59", "+00:00"]))


def paths(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Where a value stands in a document."""
    found: list[tuple[str, ...]] = []
    for name, value in document.items():
        found.append((name,))
        if isinstance(value, dict):
            found += [(name, *inner) for inner in paths(value)]
    return found


@given(path=st.sampled_from(paths(DOCUMENT)), value=JSON | MOMENTS)
@example(path=("last_read_at",), value="0001-01-01T00:00:00+23:59")
def test_whatever_stands_in_a_position_is_refused_or_can_be_written_again(path: tuple[str, ...], value: Any) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    at = document
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    assert_refused_or_written_again(document)


@given(JSON)
def test_whatever_comes_as_a_position_is_refused_or_can_be_written_again(document: Any) -> None:
    assert_refused_or_written_again(document)


def assert_refused_or_written_again(document: Any) -> None:
    """No other error than ValueError gets out: it is the one that leads to reading from the start."""
    try:
        position = Position.from_json(document)
    except ValueError:
        return
    assert Position.from_json(position.to_json()) == position
