"""A platform that keeps configurations and states between runs, as Airbyte's does (docs/runners.md)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from integration_tests.conftest import StartSandbox
from integration_tests.connector import Record, configured_catalog, run_command
from integration_tests.protocol import Message, latest_config, members
from integration_tests.truth import assert_same, by_key

STREAMS = ["accounts", "journals"]


class Platform:
    """Runs one connection; all that it knows between two runs lies in files, as in a platform's database.

    Args:
        folder: for the files; `config.json` has to be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._write("catalog", configured_catalog(STREAMS))
        self._write("state", [])

    def check(self) -> bool:
        """Try the connection."""
        run = run_command(["check", *self._arguments("config")])
        self._keep_config(run.messages)
        return run.exit_code == 0

    def sync(self) -> dict[str, list[Record]]:
        """Read what is new; gives the records by stream."""
        run = run_command(["read", *self._arguments("config", "catalog", "state")])
        assert run.exit_code == 0, run.explain()
        self._keep_config(run.messages)
        states = {state["stream"]["stream_descriptor"]["name"]: state for state in self._read("state")}
        for state in run.state:
            states[state["stream"]["stream_descriptor"]["name"]] = state
        self._write("state", list(states.values()))
        assert members(run.messages, "STATE")
        return run.by_stream

    def _keep_config(self, messages: list[Message]) -> None:
        self._write("config", latest_config(messages, self._read("config")))

    def _arguments(self, *names: str) -> list[str]:
        return [argument for name in names for argument in (f"--{name}", str(self._folder / f"{name}.json"))]

    def _read(self, name: str) -> Any:
        return json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))

    def _write(self, name: str, content: object) -> None:
        (self._folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def test_a_platform_that_keeps_configuration_and_state_needs_nothing_else(
    start_sandbox: StartSandbox, tmp_path: Path
) -> None:
    sandbox = start_sandbox("--divisions", "1", "--size", "tiny", "--minute-limit", "100000", "--token-life", "1")
    division = sandbox.divisions[0]
    (tmp_path / "config.json").write_text(json.dumps(sandbox.config(divisions=[division])), encoding="utf-8")
    platform = Platform(tmp_path)
    table: dict[tuple[Any, ...], Record] = {}
    passing = sandbox.insert(division, "crm/Accounts", {"Name": "Soon gone"})["ID"]

    for number in range(3):
        assert platform.check()
        table.update(by_key("accounts", platform.sync()["accounts"]))
        account = sandbox.truth("crm/Accounts", division)[number]
        sandbox.update(division, "crm/Accounts", account["ID"], {"Name": f"Renamed {number}"})
        time.sleep(1)
    assert (passing, division) in table
    sandbox.delete(division, "crm/Accounts", passing)
    table.update(by_key("accounts", platform.sync()["accounts"]))

    left = {key: record for key, record in table.items() if "_ab_cdc_deleted_at" not in record}
    assert "_ab_cdc_deleted_at" in table[(passing, division)]
    assert_same("accounts", left, sandbox.expected("accounts", [division]))
    assert [call.status for call in sandbox.token_calls()] == [200] * len(sandbox.token_calls())
    assert len(sandbox.token_calls()) >= 4
    sandbox.stop()
