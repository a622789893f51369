"""`spec`, `discover` and `catalog`, answered from the connector's own files without the CDK.

Platforms ask for both often, and importing the CDK takes several times as long as the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import orjson
import yaml

from source_exact_online.catalog.configured import configured_catalog
from source_exact_online.catalog.offer import entry, named, offered
from source_exact_online.config import check_shape, fits, full_columns, include_binary, stream_groups
from source_exact_online.input_files import read_json


def answer(arguments: Sequence[str]) -> bytes | None:
    """Return the message that answers a command line, as a line with its end.

    Args:
        arguments: of the command line.

    Returns:
        None for anything but a plain `spec` or `discover`, and for a configuration that cannot be used or has to be
        warned of: the CDK's entry point knows all options, and the connector's says what is wrong.
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


def catalog_text(streams: str, sync_mode: str, config_path: str | None) -> str:
    """Return a configured catalogue as a person may edit it.

    Args:
        streams: see `named`.
        sync_mode: see `configured_catalog`.
        config_path: of a configuration whose groups and columns to offer; None = all groups, no pictures and files.

    Raises:
        AirbyteTracedException: the configuration does not fit.
        OSError: it cannot be read.
        ValueError: it is no JSON, or there is no such stream.
    """
    config: dict[str, Any] = {}
    if config_path is not None:
        config = read_json(config_path)
        check_shape(config, _specification()["connectionSpecification"])
    chosen = named(streams, stream_groups(config), full_columns(config))
    document = configured_catalog(chosen, sync_mode, binary=include_binary(config))
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _specification() -> dict[str, Any]:
    text = files("source_exact_online").joinpath("spec.yaml").read_text("utf-8")
    specification: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return specification


def _usable(path: str) -> dict[str, Any] | None:
    """Return the configuration in a file; None unless it fits the spec."""
    try:
        config: dict[str, Any] = read_json(path)
    except (OSError, ValueError):
        return None
    return config if fits(config, _specification()["connectionSpecification"]) else None
