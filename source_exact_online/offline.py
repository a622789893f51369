"""`spec` and `discover`, answered from the connector's own files without the CDK.

Platforms ask for both often, and importing the CDK takes several times as long as the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import yaml
from jsonschema import Draft7Validator

from source_exact_online.catalog.offer import entry, offered
from source_exact_online.config import full_columns, include_binary, stream_groups


def answer(arguments: Sequence[str]) -> bytes | None:
    """Return the message that answers a command line, as a line with its end.

    Args:
        arguments: of the command line.

    Returns:
        None for anything but a plain `spec` or `discover`, and for a configuration that cannot be used: the CDK's
        entry point knows all options, and the connector's says what is wrong.
    """
    message: dict[str, Any]
    match list(arguments):
        case ["spec"]:
            message = {"type": "SPEC", "spec": _specification()}
        case ["discover", "--config", path]:
            config = _usable(path)
            if config is None:
                return None
            binary = include_binary(config)
            try:
                definitions = offered(stream_groups(config), full_columns(config))
            except ValueError:
                return None
            streams = [entry(definition, binary=binary) for definition in definitions]
            message = {"type": "CATALOG", "catalog": {"streams": streams}}
        case _:
            return None
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


def _specification() -> dict[str, Any]:
    text = files("source_exact_online").joinpath("spec.yaml").read_text("utf-8")
    specification: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return specification


def _usable(path: str) -> dict[str, Any] | None:
    """Return the configuration in a file; None unless it fits the spec."""
    try:
        config = orjson.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    schema = _specification()["connectionSpecification"]
    return config if Draft7Validator(schema).is_valid(config) else None
