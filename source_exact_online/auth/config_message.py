"""The CONNECTOR_CONFIG message: whether a configuration can be handed back to the platform."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson
from airbyte_cdk.config_observation import create_connector_config_control_message
from airbyte_cdk.models import AirbyteMessageSerializer

from source_exact_online.config import config_error

_DEEPEST_NAME = 4
"""Levels of fields that an error names."""


def check_serialisable(connector_config: MutableMapping[str, Any]) -> None:
    """Make the message once for trial: a refresh token is better not spent where its successor cannot be handed over.

    Raises:
        AirbyteTracedException: the configuration holds something that the message cannot bear; a config error that
            names the field.
    """
    try:
        orjson.dumps(AirbyteMessageSerializer.dump(create_connector_config_control_message(connector_config)))
    except (TypeError, ValueError, RecursionError) as error:
        field = ".".join(_path_to_culprit(connector_config)) or "The configuration"
        raise config_error(
            f"{field} cannot be handed back to the platform with new tokens ({error}): correct or remove it. "
            "No token was spent."
        ) from None


def _path_to_culprit(value: object, depth: int = 0) -> list[str]:
    """Return the names on the way to the first value that does not serialise."""
    if isinstance(value, Mapping) and depth < _DEEPEST_NAME:
        for name, part in value.items():
            if not _serialises({name: None}):
                return [ascii(name)[1:-1]]
            if not _serialises(part):
                return [name, *_path_to_culprit(part, depth + 1)]
    return []


def _serialises(value: object) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
