"""The command line: help that names every verb, remedies for what is missing, and output that is whole or told of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from source_exact_online import offline
from source_exact_online.catalog.definitions import UNDOCUMENTED, catalog
from source_exact_online.command_line import LOAD_EXTRA, REPORT_EXTRA, command_parser
from source_exact_online.version import VERSION
from unit_tests.exact_fakes import raw_config

SCRIPT = "from source_exact_online.run import run; run()"
VERBS = ("login", "load", "report", "catalog", "check", "discover", "read", "spec")


def script(*arguments: str, stdout: object = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=stdout,  # type: ignore[arg-type]
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        timeout=60,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(raw_config(stream_groups=["hrm"], include_binary=True)))
    return str(path)


@pytest.mark.parametrize(("verb", "command"), [("load", LOAD_EXTRA), ("report", REPORT_EXTRA)])
def test_a_command_to_copy_stands_on_a_line_of_its_own(
    verb: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        command_parser().parse_args([verb, "--help"])
    assert command in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", ["80", "120"])
def test_help_has_a_line_for_each_verb(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = command_parser().format_help().splitlines()

    assert [verb for verb in VERBS if not any(line.startswith(f"    {verb} ") for line in lines)] == []
    assert len(max(lines, key=len)) <= int(columns)
    assert any("https://" in line for line in lines)


@pytest.mark.parametrize("verb", ["check", "discover", "read"])
def test_options_that_mean_nothing_here_are_taken_and_not_shown(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--catalog", "y"] if verb == "read" else []
    command_parser().parse_args([verb, "--config", "x", *more, "--manifest-path", "m", "--components-path", "c"])

    with pytest.raises(SystemExit):
        command_parser().parse_args([verb, "--help"])

    shown = capsys.readouterr().out
    assert "--config" in shown
    assert "-path" not in shown


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["read", "--config", "x"], "source-exact-online catalog --streams core > catalog.json"),
        (["read", "--catalog", "x"], "source-exact-online login"),
        (["check"], "source-exact-online login"),
        (["login"], "--site"),
        (["raed"], "login"),
    ],
    ids=str,
)
def test_what_is_missing_is_told_with_a_remedy(
    arguments: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_parser().parse_args(arguments)

    assert ended.value.code == 2
    assert remedy in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_can_complete_verbs_options_and_files(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_parser().parse_args(["--print-completion", shell])

    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in printed for word in (*VERBS, "--streams", "full_refresh", "--no-token-file"))
    assert ("_shtab_compgen_files" if shell == "bash" else "_files") in printed
    assert "manifest-path" not in printed


def test_catalog_heeds_groups_and_binary_columns_of_a_configuration(config: str) -> None:
    def printed(streams: str, path: str | None) -> dict[str, set[str]]:
        document = json.loads(offline.catalog_text(streams, "incremental", path))
        found = [one["stream"] for one in document["streams"]]
        return {one["name"]: set(one["json_schema"]["properties"]) for one in found}

    assert printed("all", config).keys() == {name for name, one in catalog().items() if one.group == "hrm"}
    documented = {name for name, one in catalog().items() if one.group != UNDOCUMENTED}
    assert printed("all", None).keys() == documented
    assert printed("items", config)["items"] - printed("items", None)["items"] == {"Picture"}


@pytest.mark.slow
class TestInAProcessOfItsOwn:
    def test_version(self) -> None:
        ended = script("--version")

        assert (ended.returncode, ended.stdout.decode()) == (0, f"source-exact-online {VERSION}\n")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--streams", "Accounts"], "did you mean accounts?"),
            (["--config", "absent.json"], "absent.json cannot be read: No such file or directory."),
            (["--config", os.devnull], "empty"),
        ],
        ids=str,
    )
    def test_a_catalogue_that_cannot_be_is_one_sentence_on_stderr(self, arguments: list[str], words: str) -> None:
        ended = script("catalog", *arguments)

        assert ended.returncode == 1
        assert ended.stdout == b""
        (line,) = ended.stderr.decode().splitlines()
        assert words in line

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--help"],
            ["--version"],
            ["--print-completion", "zsh"],
            ["catalog"],
            ["spec"],
            ["spec", "--debug"],
            ["check", "--config", os.devnull],
            ["login", "--site", "nl", "--client-id", "x", "--redirect-uri", "https://a.example", "--config", "none/c"],
        ],
        ids=" ".join,
    )
    def test_a_full_stdout_is_one_sentence(self, arguments: list[str]) -> None:
        with open("/dev/full", "wb") as full:
            ended = script(*arguments, stdout=full, EXACT_ONLINE_CLIENT_SECRET="x")

        assert ended.returncode == 1
        assert ended.stderr.decode().splitlines() == [
            "The output cannot be written to stdout: No space left on device."
        ]

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    @pytest.mark.parametrize("arguments", [["catalog", "--streams", "all"], ["spec", "--debug"], ["--help"]], ids=str)
    def test_output_is_utf_8_whatever_the_locale(self, arguments: list[str], encoding: str) -> None:
        ended = script(*arguments, PYTHONIOENCODING=encoding, PYTHONUTF8="0", LC_ALL="C")

        assert ended.returncode == 0
        assert ended.stdout.decode("utf-8") == script(*arguments).stdout.decode("utf-8")

    @pytest.mark.parametrize(
        "arguments", [["--help"], ["login", "--help"], ["catalog"], ["--print-completion", "bash"]], ids=str
    )
    def test_the_cdk_is_not_imported_for_it(self, arguments: list[str]) -> None:
        ended = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
        )

        assert ended.stdout
        assert "airbyte_cdk" not in ended.stderr
