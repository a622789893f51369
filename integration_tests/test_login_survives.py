"""The login lives on: through hundreds of refreshes, many processes, kills at any moment and runners that forget.

Here with numbers that take seconds; `make soak` takes the full ones, which take minutes.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import StartSandbox
from integration_tests.connector import Config, Connector, configured_catalog
from integration_tests.gate import Gate, gate_before, tokens_in
from integration_tests.outputs import OUTPUTS
from integration_tests.protocol import members
from integration_tests.sandbox_client import Sandbox
from integration_tests.warm import Child, Warm, warm_connector

STREAM = "transaction_lines"
DIVISIONS = 8


@pytest.fixture(scope="module")
def busy(start_sandbox: StartSandbox) -> Iterator[Sandbox]:
    """A sandbox with a division for each of eight workers, whose listings are long and whose tokens are short-lived."""
    sandbox = start_sandbox(
        *("--divisions", str(DIVISIONS), "--size", "300", "--minute-limit", "1000000", "--daily-limit", "1000000"),
        *("--error-limit", "0", "--token-life", "1"),
    )
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """A process to start commands from."""
    with warm_connector(tmp_path_factory.mktemp("commands")) as started:
        yield started


def set_pace(sandbox: Sandbox, *, latency_ms: float, life_seconds: float, rows: int = 5) -> None:
    """How long the sandbox takes for an answer, how many rows that has, and how long tokens live."""
    sandbox.delete_control("faults", "calls", "token-calls")
    sandbox.post(
        "settings",
        latency_ms=latency_ms,
        tokens={"life_seconds": life_seconds},
        page_sizes={"sync": rows, "standard": rows},
    )


def frozen(sandbox: Sandbox, token_file: Path, **fields: Any) -> Config:
    """A configuration that no runner updates, with a token file."""
    return sandbox.config(credentials={"token_file": str(token_file)}, **fields)


def written(folder: Path, **contents: Any) -> list[str]:
    """Files for a command, as its arguments."""
    arguments = []
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        arguments += [f"--{name}", str(folder / f"{name}.json")]
    return arguments


# -- threads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refreshes", "life", "latency_ms", "rows", "debug"),
    [
        (6, 0.8, 90, 5, True),
        pytest.param(200, 2.0, 1_400, 1, False, marks=[pytest.mark.soak, pytest.mark.timeout(1500)]),
    ],
)
def test_eight_workers_refresh_in_time_and_tell_the_platform_first(
    refreshes: int, life: float, latency_ms: float, rows: int, debug: bool, busy: Sandbox, tmp_path: Path
) -> None:
    set_pace(busy, latency_ms=latency_ms, life_seconds=life, rows=rows)
    output = tmp_path / "stdout.jsonl"

    def announced(access_token: str) -> bool:
        """Whether a complete line with the token has left the process: what it wrote to a file is there at once."""
        lines = output.read_text(encoding="utf-8").split("\n")[:-1]
        return any(access_token in line and line.startswith('{"type":"CONTROL"') for line in lines)

    with gate_before(busy.base_url, announced) as gate:
        config = {**busy.config(num_workers=DIVISIONS), "base_url": gate.base_url}
        with output.open("w") as stdout:
            process = Connector(config).start_read(
                configured_catalog([STREAM]), None, tmp_path, stdout=stdout, debug=debug
            )
            _, errors = process.communicate(timeout=1400)
        OUTPUTS.keep(output.read_text(encoding="utf-8"), errors)

        assert process.returncode == 0, errors[-2000:]
        assert gate.refused_token_calls == []
        assert len(gate.token_calls) >= refreshes
        assert [token for token, told in gate.first_uses.items() if not told] == []
        used = {tokens_in(call)["access_token"] for call in gate.token_calls}
        assert set(gate.first_uses) <= used
        assert len(gate.first_uses) >= refreshes
        print(f"{len(gate.token_calls)} refreshes, {gate.refused} data calls refused for the token")


# -- processes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processes", "seconds"),
    [
        (2, 4),
        (4, 4),
        pytest.param(2, 180, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
        pytest.param(4, 180, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
def test_processes_that_share_a_token_file_keep_one_login_alive(
    processes: int, seconds: float, busy: Sandbox, warm: Warm, tmp_path: Path
) -> None:
    set_pace(busy, latency_ms=5, life_seconds=1.0)
    token_file = tmp_path / "tokens.json"
    arguments = written(
        tmp_path, config=frozen(busy, token_file, num_workers=4), catalog=configured_catalog([STREAM, "journals"])
    )
    end = time.monotonic() + seconds
    codes: list[int] = []

    def run_again_and_again() -> None:
        while time.monotonic() < end:
            codes.append(warm.start("read", *arguments).wait())

    threads = [threading.Thread(target=run_again_and_again) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    statuses = [call.status for call in busy.token_calls()]
    assert codes == [0] * len(codes)
    assert len(codes) >= processes
    assert statuses == [200] * len(statuses)
    assert len(statuses) >= seconds / 2
    print(f"{len(codes)} runs of {processes} processes at a time, {len(statuses)} refreshes")
    assert warm.start("check", *arguments[:2]).wait() == 0
    assert json.loads(token_file.read_text())["refresh_token"]


# -- kills -------------------------------------------------------------------------------------------------------------

UNSAVED_SECONDS = 0.05
"""Longest time after an answer has been handed over in which a kill may lose it; 0.3 ms on a machine at rest."""


@dataclass(slots=True)
class Kill:
    """A `kill -9`.

    Attributes:
        after_answer: seconds since the answer to the last call for tokens had been handed over; None where it had not.
        asking: whether the process was asking for tokens at that moment, as far as the gate can tell.
        survived: whether the next process went on with the login.
    """

    after_answer: float | None
    asking: bool
    survived: bool = True


class Killer:
    """Starts a read after the other on one token file and kills each.

    Args:
        gate: before the sandbox.
        warm: where commands are started.
        config: never updated, as by a runner that forgets.
        folder: for files.
    """

    def __init__(self, gate: Gate, warm: Warm, config: Config, folder: Path) -> None:
        self.kills: list[Kill] = []
        self.explanations: list[str] = []
        self._gate = gate
        self._warm = warm
        self._config = config
        self._folder = folder
        self._catalog = configured_catalog([STREAM])
        self._chance = random.Random(11)

    def kill_one(self) -> bool:
        """Start a process and kill it.

        Returns:
            Whether the process could go on with the login of the one before; if not, it was not killed.
        """
        before = len(self._gate.token_calls)
        child = self._warm.start("read", *written(self._folder, config=self._config, catalog=self._catalog))
        try:
            if not self._gate.await_token_calls(before + 1, 20):
                raise AssertionError(child.output.read_text()[-3000:])
            first = self._gate.token_calls[before]
            if self.kills and self.kills[-1].asking:  # that login may be lost: see what becomes of it
                self._gate.await_status(first)
            self._wait_for_the_moment(before)
            if first.status in (200, None):
                killed_at = time.monotonic()
                child.kill()
        finally:
            with suppress(TimeoutError):
                child.wait(20)
        last = self._gate.token_calls[-1]
        self._gate.await_status(last)
        if first.status != 200:
            return self._gone(child)
        reached = last.handed_over_at is not None and last.handed_over_at <= killed_at
        after = killed_at - last.handed_over_at if reached and last.handed_over_at is not None else None
        self.kills.append(Kill(after, asking=after is None or after < UNSAVED_SECONDS))
        return True

    def _wait_for_the_moment(self, before: int) -> None:
        """One time in four any moment, one in four while Exact is asked, else just after the answer has come."""
        kind = self._chance.random()
        if kind < 0.25:
            time.sleep(self._chance.uniform(0, 0.6))
            return
        if self._chance.random() < 0.5:  # not always the first refresh of a process
            self._gate.await_token_calls(before + 2, 3)
        if kind >= 0.5:
            self._gate.await_status(self._gate.token_calls[-1])
        time.sleep(self._chance.uniform(0, 0.03))

    def log_in_again(self, refresh_token: str) -> None:
        """A person brings a new login, in the configuration."""
        self._config["credentials"]["refresh_token"] = refresh_token

    def _gone(self, child: Child) -> bool:
        self.kills[-1].survived = False
        self.explanations.append(" ".join(trace["error"]["message"] for trace in errors_of(child)))
        return False


def errors_of(child: Child) -> list[dict[str, Any]]:
    """Trace messages about errors."""
    return [trace for trace in members(child.messages(), "TRACE") if trace["type"] == "ERROR"]


@pytest.mark.parametrize(
    "kills", [15, pytest.param(250, marks=[pytest.mark.soak, pytest.mark.timeout(1500)])], ids=lambda kills: str(kills)
)
def test_a_login_outlives_a_kill_at_any_moment_once_the_answer_has_come(
    kills: int, busy: Sandbox, warm: Warm, tmp_path: Path
) -> None:
    set_pace(busy, latency_ms=40, life_seconds=0.3)
    with gate_before(busy.base_url) as gate:
        config = {**frozen(busy, tmp_path / "tokens.json", num_workers=4), "base_url": gate.base_url}
        killer = Killer(gate, warm, config, tmp_path)
        while len(killer.kills) < kills:
            if not killer.kill_one():
                killer.log_in_again(busy.login()["refresh_token"])
        lost = [kill for kill in killer.kills if not kill.survived]
        report = (
            f"{kills} kills: {sum(kill.after_answer is None for kill in killer.kills)} before the answer, "
            f"{sum(kill.asking for kill in killer.kills)} close to a call; lost: {[kill.after_answer for kill in lost]}"
        )
        print(report)

        assert [kill for kill in lost if kill.after_answer is not None and kill.after_answer > UNSAVED_SECONDS] == []
        assert len([kill for kill in lost if kill.after_answer is not None]) <= max(1, kills // 50), report
        assert [text for text in killer.explanations if "cut off before its answer" not in text] == []
        assert len(gate.refused_token_calls) == len(lost), "a refusal only where a login was lost"


# -- runners that forget -----------------------------------------------------------------------------------------------


def test_a_frozen_configuration_works_ten_times_in_a_row(busy: Sandbox, warm: Warm, tmp_path: Path) -> None:
    set_pace(busy, latency_ms=0, life_seconds=0.8)
    config = frozen(busy, tmp_path / "tokens.json", divisions=busy.divisions[:1])
    arguments = written(tmp_path, config=config, catalog=configured_catalog(["journals"]))

    for _ in range(10):
        codes = {}
        for verb in ("discover", "check", "read"):
            child = warm.start(verb, *(arguments if verb == "read" else arguments[:2]))
            codes[verb] = child.wait()
        assert codes == {"discover": 0, "check": 0, "read": 0}
        assert members(child.messages(), "RECORD")
        time.sleep(0.3)

    statuses = [call.status for call in busy.token_calls()]
    assert statuses == [200] * len(statuses)
    assert len(statuses) >= 4
