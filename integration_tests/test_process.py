"""The process ends when it is told to or when nobody listens any more, and what it has said by then stands."""

from __future__ import annotations

import math
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from integration_tests.conftest import StartSandbox
from integration_tests.connector import Connector, command, configured_catalog, environment, last_states, whole_lines
from integration_tests.outputs import OUTPUTS
from integration_tests.protocol import Message, latest_config, members, parse_output
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import ENDPOINTS, assert_same, by_key

STREAM = "transaction_lines"
PAGE = 50
"""Rows on a page of that stream."""

PATIENCE = 10
"""Seconds within which a process has to end."""


@pytest.fixture(scope="module")
def slow(start_sandbox: StartSandbox) -> Iterator[Sandbox]:
    """A sandbox whose pages are small and take their time."""
    sandbox: Sandbox = start_sandbox(
        "--divisions", "1", "--size", "1500", "--minute-limit", "100000", "--latency-ms", "60"
    )
    sandbox.post("settings", page_sizes={"sync": PAGE})
    yield sandbox
    sandbox.stop()


@contextmanager
def reading(connector: Connector, folder: Path, records: int) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A read that has emitted so many records at least, and the lines so far."""
    process = connector.start_read(configured_catalog([STREAM]), None, folder)
    assert process.stdout is not None
    lines: list[str] = []
    seen = 0
    try:
        while seen < records:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            lines.append(line)
            seen += '"type":"RECORD"' in line
        yield process, lines
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def ended(process: subprocess.Popen[str], lines: list[str]) -> tuple[list[Message], str, int]:
    """Messages and stderr of a process that is ending, and its exit code. One that does not end is killed."""
    assert process.stdout is not None
    assert process.stderr is not None
    watchdog = Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        rest = process.stdout.read()
        errors = process.stderr.read()
        code = process.wait(PATIENCE)
    finally:
        watchdog.cancel()
    OUTPUTS.keep("".join(lines) + rest, errors)
    return parse_output(whole_lines("".join(lines) + rest)), errors, code


def assert_goes_on(sandbox: Sandbox, connector: Connector, messages: list[Message]) -> None:
    """The next run goes on where the last state stands: fewer pages, and nothing is missing in the end."""
    connector.apply(messages)
    sandbox.forget_calls()
    expected = sandbox.expected(STREAM)

    rest = connector.read([STREAM], last_states(messages))

    assert len(sandbox.calls(ENDPOINTS[STREAM])) < math.ceil(len(expected) / PAGE)
    assert len(rest.records(STREAM)) < len(expected)
    before = [message["record"]["data"] for message in messages if message["type"] == "RECORD"]
    assert_same(STREAM, by_key(STREAM, [*before, *rest.records(STREAM)]), expected)


def test_a_run_that_was_killed_goes_on_from_its_last_state(slow: Sandbox, tmp_path: Path) -> None:
    connector = slow.connection()
    with reading(connector, tmp_path, 400) as (process, lines):
        process.send_signal(signal.SIGKILL)
        messages, _, code = ended(process, lines)

    assert code == -signal.SIGKILL
    assert_goes_on(slow, connector, messages)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_process_soon(number: signal.Signals, slow: Sandbox, tmp_path: Path) -> None:
    connector = slow.connection()
    with reading(connector, tmp_path, 300) as (process, lines):
        time.sleep(1)  # nobody reads, so the pipe fills and the process is about to write when the signal comes
        began = time.monotonic()
        process.send_signal(number)
        messages, errors, code = ended(process, lines)
        seconds = time.monotonic() - began

    assert code != 0
    assert seconds < PATIENCE
    assert "Traceback" not in errors
    assert_goes_on(slow, connector, messages)


def test_a_closed_output_ends_the_process_soon(slow: Sandbox, tmp_path: Path) -> None:
    """As with `source-exact-online read ... | head`."""
    connector = slow.connection()
    with reading(connector, tmp_path, 200) as (process, lines):
        assert process.stdout is not None
        process.stdout.close()
        began = time.monotonic()
        code = process.wait(PATIENCE)
        seconds = time.monotonic() - began
        assert process.stderr is not None
        errors = process.stderr.read()

    assert code != 0
    assert seconds < PATIENCE
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert_goes_on(slow, connector, parse_output("".join(lines)))


def test_a_process_that_waits_for_its_quota_ends_soon(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    sandbox: Sandbox = start_sandbox(
        "--divisions", "1", "--size", "300", "--minute-limit", "4", "--minute-seconds", "120"
    )
    connector = sandbox.connection()
    process = connector.start_read(configured_catalog([STREAM, "accounts", "items", "journals"]), None, tmp_path)
    deadline = time.monotonic() + 30
    while len(sandbox.calls()) < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    assert process.poll() is None, "it should be waiting"

    process.send_signal(signal.SIGTERM)
    messages, errors, code = ended(process, [])

    assert code != 0
    assert "Traceback" not in errors
    assert latest_config(messages, connector.config) != connector.config, "the new tokens were handed over"
    sandbox.stop()


def test_a_page_that_never_comes_does_not_keep_the_process_alive(slow: Sandbox, tmp_path: Path) -> None:
    connector = slow.connection()
    slow.fault("slow", path=ENDPOINTS[STREAM], seconds=60, after=4)
    try:
        with reading(connector, tmp_path, 100) as (process, lines):
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            _, _, code = ended(process, lines)
            seconds = time.monotonic() - began
    finally:
        slow.clear()
        slow.post("settings", page_sizes={"sync": PAGE})

    assert code != 0
    assert seconds < PATIENCE


def test_a_wrong_verb_is_refused_with_the_usage() -> None:
    run = subprocess.run(
        [*command(), "reed"], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )

    assert run.returncode != 0
    assert "usage" in run.stderr.lower()
    assert members(parse_output(run.stdout), "RECORD") == []
