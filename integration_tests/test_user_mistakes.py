"""What goes wrong in a first hour is understood, or refused in one sentence that says what to do.

The rows of user_mistakes.yaml, each a run of the console script against the sandbox. Most run in children of a process
that has imported it (integration_tests/warm.py); those about streams and encodings start the real script.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration_tests.connector import command, discovered_streams, environment, without_debug
from integration_tests.outputs import OUTPUTS
from integration_tests.protocol import members, parse_output
from integration_tests.sandbox_client import Sandbox
from integration_tests.warm import Warm, warm_connector

MISTAKES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("user_mistakes.yaml").read_text("utf-8"))

STREAMS = ("journals", "aging_overview")

PEOPLE = ("load", "login")
"""Verbs that tell people things on the way, and `login` all of it on stdout."""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with warm_connector(tmp_path_factory.mktemp("mistakes")) as started:
        yield started


@pytest.fixture(scope="module")
def at_hand(sandbox: Sandbox) -> Mapping[str, str]:
    """What a user has of earlier commands, as texts."""
    streams = [discovered_streams()[name] for name in STREAMS]
    log = {"type": "LOG", "log": {"level": "INFO", "message": "hello"}}
    message = {"type": "CATALOG", "catalog": {"streams": streams}}
    run = sandbox.connection().read(["journals"])
    state = [one for one in run.messages if one["type"] == "STATE"][-1]
    return {
        "discovered": f"{json.dumps(log)}\n{json.dumps(message)}\n",
        "message": json.dumps(message),
        "streams": json.dumps(streams),
        "messages": run.stdout,
        "state": json.dumps(state),
        "inner": json.dumps(state["state"]),
        "stream": json.dumps(state["state"]["stream"]),
    }


def filled(value: Any, texts: Mapping[str, str]) -> Any:
    """A value with texts in place of their names in curly brackets."""
    if isinstance(value, dict):
        return {name: filled(one, texts) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, texts) for one in value]
    if isinstance(value, str):
        for name, text in texts.items():
            value = value.replace(f"{{{name}}}", text)
    return value


def config_of(mistake: dict[str, Any], sandbox: Sandbox, folder: Path) -> dict[str, Any]:
    config = sandbox.config()
    texts = {**config["credentials"], "folder": str(folder)}
    changes = filled(mistake.get("config", {}), texts)
    merged = {**config, **changes, "credentials": {**config["credentials"], **changes.get("credentials", {})}}
    for field in mistake.get("without", ()):
        *parents, name = field.split(".")
        del (merged[parents[0]] if parents else merged)[name]
    return merged


def arguments_of(mistake: dict[str, Any], sandbox: Sandbox, at_hand: Mapping[str, str], folder: Path) -> list[str]:
    """The command line of a row, its files written."""
    encoding = mistake.get("encoding", "utf-8")
    texts = {**at_hand, "folder": str(folder)}
    config = mistake["file"] if "file" in mistake else json.dumps(config_of(mistake, sandbox, folder))
    files = {"config": config}
    for name in ("catalog", "state"):
        content = mistake.get(name)
        if content is not None:
            files[name] = filled(content, texts) if isinstance(content, str) else json.dumps(content)
    if "state" in files:
        files["catalog"] = json.dumps({"streams": [{"stream": {"name": "journals"}, "sync_mode": "incremental"}]})
    options = []
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text, encoding)
        options += [f"--{name}", str(folder / f"{name}.json")]
    if "arguments" in mistake:
        return list(filled(mistake["arguments"], {**sandbox.config()["credentials"], **texts}))
    return ["read" if "catalog" in files else "check", *options]


def run_script(
    arguments: list[str], variables: Mapping[str, str], mistake: Mapping[str, Any], folder: Path
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the real console script."""
    line, output, stdout = list(command()), folder / "stdout", mistake.get("stdout")
    for stream, closes in (("stdin", "<&-"), ("stdout", ">&-")):
        if mistake.get(stream) == "closed":
            line = ["sh", "-c", f'exec "$@" {closes}', "sh", *line]
    with open("/dev/full" if stdout == "full" else output, "w") as file:
        ended = subprocess.run(
            [*line, *arguments],
            stdout=file,
            stderr=subprocess.PIPE,
            env=environment(variables),
            timeout=60,
            check=False,
        )
    return ended.returncode, output.read_text("utf-8") if output.exists() else "", ended.stderr.decode("utf-8")


@pytest.mark.parametrize("mistake", MISTAKES, ids=[row["mistake"].replace("`", "") for row in MISTAKES])
def test_it_is_understood_or_refused_in_one_sentence(
    mistake: dict[str, Any], sandbox: Sandbox, at_hand: Mapping[str, str], warm: Warm, tmp_path: Path
) -> None:
    arguments = arguments_of(mistake, sandbox, at_hand, tmp_path)
    variables = filled(mistake.get("environment", {}), {"folder": str(tmp_path)})
    if variables or mistake.keys() & {"stdin", "stdout"}:
        code, stdout, stderr = run_script(arguments, variables, mistake, tmp_path)
        OUTPUTS.keep(stdout, stderr)
    else:
        child = warm.start(*arguments)
        code = child.wait(60)
        stdout, stderr = child.output.read_text("utf-8"), child.errors.read_text("utf-8")

    said = f"{stdout}\n{stderr}"
    assert code == mistake["exit"], said
    messages = parse_output(without_debug(stdout)) if arguments[0] in ("check", "read") else []
    logs = [log["message"] for log in members(messages, "LOG") if log["level"] != "INFO"]
    traces = [trace["error"]["message"] for trace in members(messages, "TRACE") if trace["type"] == "ERROR"]
    statuses = [one["message"] for one in members(messages, "CONNECTION_STATUS") if "message" in one]
    told = [*logs, *traces, *statuses, *stderr.splitlines(), *(stdout.splitlines() if arguments[0] in PEOPLE else ())]
    assert not [one for one in told if "Traceback" in one or 'File "' in one], told
    words = filled(mistake.get("says", ""), {"folder": str(tmp_path)})
    assert not words or any(words in one for one in told), said
    if code == 1 and arguments[0] not in PEOPLE:
        assert len({*traces, *statuses, *(stderr.splitlines() if not messages else ())}) == 1, "one sentence"
    if code == 0 and not words:
        assert told == [], "nothing to say"
    if "reads" in mistake or code != 0:
        assert bool(members(messages, "RECORD")) is mistake.get("reads", False), said
