"""The console script: Airbyte's messages on stdout and nothing else, and an exit code that can be relied upon."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from source_exact_online import entrypoint, run
from source_exact_online.command_line import command_parser
from source_exact_online.source import SourceExactOnline
from source_exact_online.stdout import MessageBuffer
from unit_tests.exact_fakes import SECRETS, FakeClock, ScriptedApi, Sent, configured, page, raw_config, refusal, row

JOURNALS = "financial/Journals"
SCRIPT = "from source_exact_online.run import run; run()"


@contextmanager
def process_of_its_own() -> Iterator[None]:
    """Signals and log handlers belong to the script while it runs, and to the tests again afterwards."""
    signals = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    root = logging.getLogger()
    handlers, stdout = list(root.handlers), sys.stdout
    root.handlers = [handler for handler in handlers if not type(handler).__module__.startswith("_pytest")]
    streams = [(one, one.stream) for one in root.handlers if isinstance(one, logging.StreamHandler)]
    try:
        yield
    finally:
        for handler, stream in streams:
            handler.stream = stream
        root.handlers, sys.stdout = handlers, stdout
        for signum, own in signals.items():
            signal.signal(signum, own)


class Script:
    """Runs the verbs of the console script in this process."""

    def __init__(self, clock: FakeClock, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.clock = clock
        self.folder = folder
        self._capfd = capfd

    def file(self, name: str, content: Any) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return str(path)

    def __call__(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        self._capfd.readouterr()
        with process_of_its_own():
            code = run.speak(entrypoint.messages(SourceExactOnline(self.clock), command_parser().parse_args(arguments)))
        lines = self._capfd.readouterr().out.splitlines()
        return code, [json.loads(line) for line in lines]

    def verb(self, verb: str, *more: str, **config: Any) -> tuple[int, list[dict[str, Any]]]:
        return self(verb, "--config", self.file("config.json", raw_config(**config)), *more)

    def catalog(self, *streams: str) -> str:
        return self.file("catalog.json", ConfiguredAirbyteCatalogSerializer.dump(configured(*streams)))


@pytest.fixture
def script(clock: FakeClock, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Script:
    return Script(clock, tmp_path, capfd)


def of_type(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == kind]


def error_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [one["trace"]["error"] for one in of_type(messages, "TRACE") if one["trace"]["type"] == "ERROR"]
    assert errors, messages
    found: dict[str, Any] = errors[-1]
    assert not [secret for secret in SECRETS for message in messages if secret in json.dumps(message)]
    return found


class TestExitCodes:
    def test_spec_is_zero(self, script: Script) -> None:
        code, messages = script("spec")

        assert code == 0
        assert of_type(messages, "SPEC")[0]["spec"]["connectionSpecification"]["required"] == ["site", "credentials"]

    def test_discover_is_zero_without_network(self, script: Script) -> None:
        code, messages = script.verb("discover")

        assert code == 0
        assert len(of_type(messages, "CATALOG")[0]["catalog"]["streams"]) >= 21

    def test_a_check_that_succeeds_is_zero(self, script: Script, api: ScriptedApi) -> None:
        api.divisions(123).always("hrm/Divisions", page([]))

        code, messages = script.verb("check")

        assert code == 0
        assert of_type(messages, "CONNECTION_STATUS")[0]["connectionStatus"]["status"] == "SUCCEEDED"

    def test_a_check_that_fails_is_one(self, script: Script, api: ScriptedApi) -> None:
        api.divisions(123).always("hrm/Divisions", page([]))

        code, messages = script.verb("check", divisions=[999])

        assert code == 1
        status = of_type(messages, "CONNECTION_STATUS")[0]["connectionStatus"]
        assert status["status"] == "FAILED"
        assert "999" in status["message"]

    def test_a_check_that_breaks_off_is_a_failed_check(self, script: Script, api: ScriptedApi) -> None:
        """A platform waits for a connection status, whatever happens."""
        api.always("current/Me", refusal(403, reason="LicenseExpired"))

        code, messages = script.verb("check")

        assert code == 1
        (status,) = of_type(messages, "CONNECTION_STATUS")
        assert status["connectionStatus"]["status"] == "FAILED"
        assert "expired" in json.dumps(messages)

    def test_a_complete_read_is_zero(self, script: Script, api: ScriptedApi) -> None:
        api.divisions(123).on(JOURNALS, page([row("a")]))

        code, messages = script.verb("read", "--catalog", script.catalog("journals"))

        assert code == 0
        assert [one["record"]["data"]["ID"] for one in of_type(messages, "RECORD")] == ["a"]

    def test_the_first_log_line_is_ours(self, script: Script, api: ScriptedApi) -> None:
        """The CDK would begin with the settings of its memory monitor."""
        api.divisions(123).on(JOURNALS, page([row("a")]))

        _, messages = script.verb("read", "--catalog", script.catalog("journals"))

        lines = [one["log"]["message"] for one in of_type(messages, "LOG")]
        assert lines[0].startswith("Reading 1 stream of 123")
        assert not [line for line in lines if "MemoryMonitor" in line]

    def test_an_incomplete_read_is_one_and_keeps_its_progress(self, script: Script, api: ScriptedApi) -> None:
        api.divisions(123).on(JOURNALS, page([row("a")], more="1"), *[refusal(500)] * 6)

        code, messages = script.verb("read", "--catalog", script.catalog("journals"))

        assert code == 1
        assert of_type(messages, "STATE")
        assert error_of(messages)["failure_type"] == "transient_error"
        assert "journals" in error_of(messages)["message"]

    def test_a_read_goes_on_from_a_state_file(self, script: Script, api: ScriptedApi) -> None:
        api.divisions(123).always("sync/Deleted", page([])).on("sync/CRM/Accounts", page([row("a", 77)]), page([]))
        arguments = ("--catalog", script.catalog("accounts"))
        _, messages = script.verb("read", *arguments)
        state = script.file("state.json", [of_type(messages, "STATE")[-1]["state"]])

        code, _ = script.verb("read", *arguments, "--state", state)

        assert code == 0
        assert api.asked("sync/CRM/Accounts")[1].filter == "Timestamp gt 77L"


class TestBadInput:
    """One sentence each, and never a stack trace alone."""

    def test_a_bad_configuration(self, script: Script) -> None:
        code, messages = script.verb("read", "--catalog", script.catalog("journals"), start_date="yesterday")

        assert code == 1
        assert error_of(messages)["failure_type"] == "config_error"
        assert error_of(messages)["message"].startswith("start_date")
        assert not of_type(messages, "RECORD") + of_type(messages, "STATE")

    def test_a_field_without_effect_is_warned_of_and_the_run_goes_on(self, script: Script, api: ScriptedApi) -> None:
        api.divisions(123).on(JOURNALS, page([row("a")]))

        code, messages = script.verb("read", "--catalog", script.catalog("journals"), divison=[7])

        warnings = [one["log"]["message"] for one in of_type(messages, "LOG") if one["log"]["level"] == "WARN"]
        assert code == 0
        assert of_type(messages, "RECORD")
        assert len(warnings) == 1
        assert "divison (did you mean divisions?)" in warnings[0]

    def test_an_unknown_stream(self, script: Script) -> None:
        code, messages = script.verb("read", "--catalog", script.catalog("unicorns"))

        assert code == 1
        assert "unicorns" in error_of(messages)["message"]

    @pytest.mark.parametrize("argument", ["--config", "--catalog", "--state"])
    @pytest.mark.parametrize("content", ["{", "", "[1, 2]", "7", None])
    def test_a_file_that_cannot_be_used(self, script: Script, argument: str, content: str | None) -> None:
        files = {
            "--config": script.file("config.json", raw_config()),
            "--catalog": script.catalog("journals"),
            "--state": script.file("state.json", []),
        }
        bad = script.folder / "bad.json"
        if content is not None:
            bad.write_text(content, "utf-8")
        files[argument] = str(bad)

        code, messages = script("read", *(part for pair in files.items() for part in pair))

        error = error_of(messages)
        assert code == 1
        assert error["failure_type"] == "config_error"
        assert "bad.json" in error["message"]
        assert "\n" not in error["message"].strip()

    def test_a_newer_state(self, script: Script) -> None:
        descriptor = {"stream_descriptor": {"name": "journals"}, "stream_state": {"version": 99, "divisions": {}}}
        state = script.file("state.json", [{"type": "STREAM", "stream": descriptor}])

        code, messages = script.verb("read", "--catalog", script.catalog("journals"), "--state", state)

        assert code == 1
        assert "newer version" in error_of(messages)["message"]

    def test_a_verb_that_does_not_exist(self) -> None:
        with pytest.raises(SystemExit) as ended:
            command_parser().parse_args(["write"])

        assert ended.value.code == 2


class TestEnd:
    def test_sigterm_in_mid_read_ends_it_with_what_was_emitted(self, script: Script, api: ScriptedApi) -> None:
        pages = [page([row(str(number))], more=str(number)) for number in range(20)]
        api.divisions(123).on(JOURNALS, *pages)

        def end_at_page_five(sent: Sent) -> None:
            if sent.options.get("$skiptoken") == "5":
                os.kill(os.getpid(), signal.SIGTERM)

        api.before = end_at_page_five
        code, messages = script.verb("read", "--catalog", script.catalog("journals"))

        assert code == 128 + signal.SIGTERM
        assert len(of_type(messages, "RECORD")) == 6
        assert not [one for one in of_type(messages, "TRACE") if one["trace"]["type"] == "ERROR"]

    def test_a_signal_in_mid_line_waits_until_the_line_is_out(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        buffer = MessageBuffer()
        out = sys.__stdout__

        class SlowPipe:
            @property
            def buffer(self) -> SlowPipe:
                return self

            def write(self, data: bytes) -> None:
                print(data[:3].decode(), end="", file=out, flush=True)
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0)  # the handler runs here
                print(data[3:].decode(), end="", file=out, flush=True)

            def flush(self) -> None:
                """Nothing is held back."""

        with process_of_its_own():
            buffer.take_over()
            monkeypatch.setattr(sys, "__stdout__", SlowPipe())
            with pytest.raises(SystemExit) as ended:
                buffer.print_all(iter(["whole", "never"]))

        assert ended.value.code == 128 + signal.SIGTERM
        assert capfd.readouterr().out == "whole\n"

    def test_an_end_that_a_finalizer_swallows_comes_at_the_next_message(self) -> None:
        """Python ignores what is raised in a finalizer, and the handler may run in one."""
        buffer = MessageBuffer()

        def messages() -> Iterator[str]:
            yield "first"
            with contextlib.suppress(SystemExit):
                os.kill(os.getpid(), signal.SIGTERM)
            yield "second"
            yield "never"

        with process_of_its_own():
            buffer.take_over()
            with pytest.raises(SystemExit) as ended:
                buffer.print_all(messages())

        assert ended.value.code == 128 + signal.SIGTERM

    def test_an_end_that_is_swallowed_at_the_very_end_is_in_the_exit_code(
        self, script: Script, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api.divisions(123).on(JOURNALS, page([row("a")]))
        print_all = MessageBuffer.print_all

        def swallowed(buffer: MessageBuffer, messages: Iterator[str | bytes]) -> int:
            code = print_all(buffer, messages)
            with contextlib.suppress(SystemExit):
                os.kill(os.getpid(), signal.SIGTERM)
            return code

        monkeypatch.setattr(MessageBuffer, "print_all", swallowed)

        code, _ = script.verb("read", "--catalog", script.catalog("journals"))

        assert code == 128 + signal.SIGTERM

    @pytest.mark.slow
    @pytest.mark.parametrize("stdout", ["/dev/full", "closed"])
    def test_a_stdout_that_takes_nothing_is_one_sentence(self, stdout: str) -> None:
        closed = "import os; os.close(1)\n" if stdout == "closed" else ""
        with open(os.devnull if closed else stdout, "wb") as out:
            process = subprocess.run(
                [sys.executable, "-c", f"{closed}import sys; sys.argv[1:] = ['spec']\n{SCRIPT}"],
                stdout=out,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                timeout=60,
                check=False,
            )

        assert process.returncode == 1
        assert process.stderr.decode().splitlines() == [
            "The output cannot be written to stdout: "
            + ("Bad file descriptor." if closed else "No space left on device.")
        ]

    @pytest.mark.slow
    def test_output_is_utf_8_whatever_the_locale(self) -> None:
        process = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.argv[1:] = ['spec']\n{SCRIPT}"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
            timeout=60,
            check=False,
        )

        assert process.returncode == 0
        assert json.loads(process.stdout.decode("utf-8").splitlines()[-1])["type"] == "SPEC"

    def test_after_the_end_was_asked_for_the_run_can_still_log(self, capfd: pytest.CaptureFixture[str]) -> None:
        """A token refresh under way is waited for, and whoever waits there may say so."""
        buffer = MessageBuffer()
        with process_of_its_own():
            buffer.take_over()
            with pytest.raises(SystemExit):
                os.kill(os.getpid(), signal.SIGTERM)
            buffer.write("waiting for the refresh\n")
            buffer.flush()

        assert "waiting for the refresh\n" in capfd.readouterr().out

    def test_control_c_is_no_stack_trace(self, script: Script, api: ScriptedApi) -> None:
        def interrupt(sent: Sent) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        api.divisions(123).on(JOURNALS, page([row("a")]))
        api.before = interrupt

        code, messages = script.verb("read", "--catalog", script.catalog("journals"))

        assert code == 130
        assert not of_type(messages, "RECORD")

    @pytest.mark.slow
    def test_a_closed_pipe_ends_the_process_quietly(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "discover", "--config", os.devnull],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        process.stdout.close()
        began = time.monotonic()
        _, complaints = process.communicate(timeout=60)

        assert process.returncode not in (0, -signal.SIGKILL)
        assert b"Traceback" not in complaints
        assert b"Exception ignored" not in complaints
        assert time.monotonic() - began < 60
