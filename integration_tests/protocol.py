"""Holds what the connector writes to stdout against the Airbyte protocol, line by line."""

from __future__ import annotations

import json
from typing import Any

from airbyte_cdk.models.airbyte_protocol_serializers import AirbyteMessageSerializer

MEMBERS = {
    "RECORD": "record",
    "STATE": "state",
    "LOG": "log",
    "SPEC": "spec",
    "CONNECTION_STATUS": "connectionStatus",
    "CATALOG": "catalog",
    "TRACE": "trace",
    "CONTROL": "control",
}
"""The member of an AirbyteMessage that each message type of a source must bring (Airbyte protocol v0)."""

Message = dict[str, Any]


class ProtocolViolationError(AssertionError):
    """A line on stdout that a platform could not read."""


def parse_line(line: str) -> Message:
    """Returns one line of stdout as a message.

    The CDK's serializer finds wrong types and missing fields; it accepts a message without the member that its type
    names and members that belong to no type, so these are looked at here.

    Raises:
        ProtocolViolationError: The line is not JSON, not an AirbyteMessage, or lacks the member its type names.
    """
    try:
        message = json.loads(line)
    except ValueError as error:
        raise ProtocolViolationError(f"not JSON: {line[:500]!r}") from error
    if not isinstance(message, dict) or message.get("type") not in MEMBERS:
        raise ProtocolViolationError(f"not a message of a source: {line[:500]!r}")
    member = MEMBERS[message["type"]]
    if set(message) != {"type", member}:
        raise ProtocolViolationError(f"{message['type']} has the members {sorted(message)}: {line[:500]!r}")
    if not isinstance(message[member], dict):
        raise ProtocolViolationError(f"{message['type']} without {member}: {line[:500]!r}")
    try:
        AirbyteMessageSerializer.load(message)
    except Exception as error:  # serpyco raises its own and built-in errors alike
        raise ProtocolViolationError(f"{error}: {line[:500]!r}") from error
    return message


def parse_output(stdout: str) -> list[Message]:
    """Returns all messages of a run, in their order. Lines end with a line feed: values may hold U+2028 and its like.

    Raises:
        ProtocolViolationError: Any line is not a message; an empty line is none.
    """
    return [parse_line(line) for line in stdout.removesuffix("\n").split("\n")] if stdout else []


def members(messages: list[Message], message_type: str) -> list[dict[str, Any]]:
    """Returns the members (`record`, `state`, `log` ...) of all messages of one type, in their order."""
    return [message[MEMBERS[message_type]] for message in messages if message["type"] == message_type]


def latest_config(messages: list[Message], config: dict[str, Any]) -> dict[str, Any]:
    """Returns the config a platform would use next: that of the last CONNECTOR_CONFIG message, else the given one."""
    updates = [
        control["connectorConfig"]["config"]
        for control in members(messages, "CONTROL")
        if control["type"] == "CONNECTOR_CONFIG"
    ]
    return updates[-1] if updates else config
