"""The state file: the platform's list, or what a person has kept of the last run."""

from __future__ import annotations

from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessageSerializer

from source_exact_online.state.state_file import NotAStateError, understood_state


def inner(stream: str, number: int) -> dict[str, Any]:
    return {"stream_descriptor": {"name": stream}, "stream_state": {"version": 1, "number": number}}


def state(stream: str, number: int = 1) -> dict[str, Any]:
    return {"type": "STREAM", "stream": inner(stream, number)}


def message(stream: str, number: int = 1) -> dict[str, Any]:
    return {"type": "STATE", "state": state(stream, number)}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([state("a"), state("b")], [state("a"), state("b")]),
        ([message("a", 1), message("b", 2), message("a", 3)], [state("a", 3), state("b", 2)]),
        ([{"type": "LOG", "log": {}}, message("a"), {"type": "TRACE"}], [state("a")]),
        (message("a"), [state("a")]),
        (state("a"), [state("a")]),
        ({"stream": inner("a", 1)}, [state("a")]),
        (inner("a", 1), [state("a")]),
        ([inner("a", 1), message("b")], [state("a"), state("b")]),
        ({}, []),
        ([], []),
    ],
    ids=str,
)
def test_whatever_holds_a_state_is_understood(document: Any, expected: list[dict[str, Any]]) -> None:
    found = understood_state(document)

    assert found == expected
    for one in found:
        AirbyteStateMessageSerializer.load(one)


def test_a_global_state_stays_one() -> None:
    document = {"type": "GLOBAL", "global": {"stream_states": [inner("a", 1)]}}

    assert understood_state([document]) == [document]


@pytest.mark.parametrize(
    "document",
    [
        7,
        "x",
        None,
        [7],
        {"accounts": {"Modified": "2024-01-01"}},
        [{"type": "STREAM"}],
        [{"type": "NOTHING"}],
        {"type": "STATE"},
    ],
    ids=str,
)
def test_what_is_no_state_is_refused_with_a_way_on(document: Any) -> None:
    with pytest.raises(NotAStateError, match="leave --state out"):
        understood_state(document)


def test_messages_without_a_state_are_no_empty_state() -> None:
    with pytest.raises(NotAStateError, match="none of the messages in it is a STATE"):
        understood_state([{"type": "LOG", "log": {}}])
