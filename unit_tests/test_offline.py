"""`spec` and `discover` without the CDK: the same answers that it gives, and everything unusual left to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessageSerializer

from source_exact_online import entrypoint, offline
from source_exact_online.command_line import command_parser
from source_exact_online.source import SourceExactOnline
from unit_tests.exact_fakes import raw_config

SCRIPT = "from source_exact_online.run import run; run()"


def config_file(folder: Path, content: object) -> str:
    path = folder / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return str(path)


def same(arguments: list[str]) -> dict[str, Any]:
    """The message that both ways give, with the CDK's defaults in their places."""
    answer = offline.answer(arguments)
    assert answer is not None
    assert answer.endswith(b"}\n")
    found: dict[str, Any] = AirbyteMessageSerializer.dump(AirbyteMessageSerializer.load(json.loads(answer)))
    (message,) = [
        json.loads(line) for line in entrypoint.messages(SourceExactOnline(), command_parser().parse_args(arguments))
    ]
    assert found == message
    return found


def test_the_spec_is_the_one_that_the_cdk_prints() -> None:
    assert same(["spec"])["spec"]["supportsIncremental"] is True


@pytest.mark.parametrize("more", [{}, {"stream_groups": ["hrm"]}, {"include_binary": True}], ids=str)
def test_the_catalogue_is_the_one_that_the_cdk_prints(more: dict[str, Any], tmp_path: Path) -> None:
    path = config_file(tmp_path, raw_config(**more))
    assert same(["discover", "--config", path])["catalog"]["streams"]


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["spec", "--debug"], ["discover"], ["check", "--config", "x"], ["read"]], ids=str
)
def test_all_else_is_left_to_the_cdk(arguments: list[str]) -> None:
    assert offline.answer(arguments) is None


@pytest.mark.parametrize("content", ["no JSON", "[]", {"site": "nl"}], ids=str)
def test_so_is_a_configuration_that_cannot_be_used(content: object, tmp_path: Path) -> None:
    assert offline.answer(["discover", "--config", config_file(tmp_path, content)]) is None


def test_so_is_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    assert offline.answer(["discover", "--config", str(tmp_path / "none.json")]) is None


@pytest.mark.parametrize("verb", ["spec", "discover", "--version"])
def test_the_cdk_is_not_imported_for_it(verb: str, tmp_path: Path) -> None:
    arguments = [verb, "--config", config_file(tmp_path, raw_config())] if verb == "discover" else [verb]

    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
    )

    assert ended.stdout
    assert "source_exact_online" in ended.stderr
    assert "airbyte_cdk" not in ended.stderr
