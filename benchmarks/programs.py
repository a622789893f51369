"""The programs that are compared, and what the connector is given."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from source_exact_online.catalog.definitions import catalog
from source_exact_online.catalog.schemas import schema

CONNECTOR = (sys.executable, "-c", "from source_exact_online.run import run; run()")
COMMANDS = {
    "ceiling": (sys.executable, "-m", "benchmarks.ceiling"),
    "dlt, rows iterated": (sys.executable, "-m", "benchmarks.dlt_source"),
    "dlt, extracted to disk": (sys.executable, "-m", "benchmarks.dlt_source", "--extract"),
    "Airbyte manifest": (sys.executable, "-m", "benchmarks.manifest"),
}
"""Programs to compare the connector with; the address of the server comes last."""


def config(base_url: str) -> dict[str, Any]:
    """Return a configuration of the connector for a server."""
    credentials = {"client_id": "c", "client_secret": "s", "refresh_token": "r" * 900}
    return {"site": "nl", "base_url": base_url, "credentials": credentials}


def configured(streams: Sequence[str]) -> dict[str, Any]:
    """Return a configured catalogue: streams with all their columns, incremental where they can be."""
    return {
        "streams": [
            {
                "stream": {
                    "name": name,
                    "json_schema": schema(name),
                    "supported_sync_modes": ["full_refresh", "incremental"],
                },
                "sync_mode": "incremental" if catalog()[name].cursor else "full_refresh",
                "destination_sync_mode": "append",
            }
            for name in streams
        ]
    }


def written(folder: Path, name: str, content: object) -> str:
    """Write a JSON file and return its path."""
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def read_command(
    folder: Path, given: Mapping[str, Any], streams: Sequence[str], state: Sequence[object] | None = None
) -> list[str]:
    """Return the command that reads some streams with the connector, after writing its files into a folder.

    Args:
        folder: for the files.
        given: the configuration.
        streams: names of those to read.
        state: of an earlier run.
    """
    command = [*CONNECTOR, "read", "--config", written(folder, "config.json", given)]
    command += ["--catalog", written(folder, "catalog.json", configured(streams))]
    return command if state is None else [*command, "--state", written(folder, "state.json", state)]
