"""The validator of the integration tests finds each kind of broken output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integration_tests.protocol import ProtocolViolationError, latest_config, members, parse_line, parse_output

RECORD = {"type": "RECORD", "record": {"stream": "accounts", "data": {"Division": 1}, "emitted_at": 1_700_000_000_000}}
STATE = {
    "type": "STATE",
    "state": {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": "accounts"}, "stream_state": {"1": {}}},
        "sourceStats": {"recordCount": 1.0},
    },
}
LOG = {"type": "LOG", "log": {"level": "INFO", "message": "reading"}}
CONTROL: dict[str, Any] = {
    "type": "CONTROL",
    "control": {"type": "CONNECTOR_CONFIG", "emitted_at": 1.5, "connectorConfig": {"config": {"site": "nl"}}},
}


@pytest.mark.parametrize("message", [RECORD, STATE, LOG, CONTROL], ids=lambda message: message["type"])
def test_a_message_of_the_protocol_is_returned_as_it_is(message: dict[str, object]) -> None:
    assert parse_line(json.dumps(message)) == message


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "",
        "[]",
        '"RECORD"',
        '{"type": "NOTHING"}',
        '{"type": "RECORD"}',
        '{"type": "RECORD", "record": null}',
        '{"type": "RECORD", "state": {}}',
        json.dumps({**RECORD, "extra": 1}),
        json.dumps({**RECORD, "record": {"data": {}, "emitted_at": 1}}),
        json.dumps({**RECORD, "record": {"stream": "accounts", "data": None, "emitted_at": 1}}),
        json.dumps({**RECORD, "record": {"stream": "accounts", "data": {}, "emitted_at": "2020"}}),
        json.dumps({**LOG, "log": {"level": "LOUD", "message": "reading"}}),
        json.dumps({**CONTROL, "control": {"type": "CONNECTOR_CONFIG"}}),
    ],
)
def test_a_broken_line_is_refused(line: str) -> None:
    with pytest.raises(ProtocolViolationError):
        parse_line(line)


def test_one_broken_line_spoils_the_output() -> None:
    with pytest.raises(ProtocolViolationError):
        parse_output(f"{json.dumps(RECORD)}\nwarning: something\n{json.dumps(STATE)}\n")


def test_members_keep_their_order() -> None:
    output = "\n".join(json.dumps(message) for message in (RECORD, LOG, STATE, RECORD))

    assert members(parse_output(output), "RECORD") == [RECORD["record"], RECORD["record"]]


def test_the_next_config_is_that_of_the_last_control_message() -> None:
    later = {**CONTROL, "control": {**CONTROL["control"], "connectorConfig": {"config": {"site": "be"}}}}

    assert latest_config([CONTROL, later], {"site": "de"}) == {"site": "be"}
    assert latest_config([RECORD], {"site": "de"}) == {"site": "de"}
