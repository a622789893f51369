"""What a person sees of a load, and what is said where it cannot begin."""

from __future__ import annotations

import argparse
import builtins
import io
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.load import command
from source_exact_online.load.config_file import LoadConfig
from source_exact_online.load.errors import LoadError
from source_exact_online.load.screen import Screen, ScreenLog
from source_exact_online.load.summary import Tally, lines

CONFIG = {
    "site": "nl",
    "credentials": {"client_id": "qx-app-1", "client_secret": "qx-hidden-2", "refresh_token": "qx-spent-3"},
}


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def log(screen: Screen, level: int, text: str) -> None:
    ScreenLog(screen, lambda line: line.replace("secret", "****")).handle(
        logging.LogRecord("airbyte", level, "", 0, text, None, None)
    )


def test_elsewhere_than_in_a_terminal_there_are_plain_lines_and_no_progress() -> None:
    out = io.StringIO()
    screen = Screen(out)
    log(screen, logging.INFO, "Waiting 40 s for the quota.")
    log(screen, logging.INFO, "Cost of this run:\na table")
    log(screen, logging.WARNING, "A secret is strange.")
    screen.progress(lambda: ["12 rows"])
    screen.clear()
    assert out.getvalue() == "Waiting 40 s for the quota.\nWarning: A **** is strange.\n"


def test_in_a_terminal_one_line_moves_and_warnings_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out, seconds = Tty(), Seconds()
    screen = Screen(out, seconds)
    seconds.now = 61.5
    screen.progress(lambda: ["1,000 rows of many streams"])
    screen.progress(lambda: ["too soon after that"])
    log(screen, logging.WARNING, "Strange.")
    assert out.getvalue() == "\r  1:01 1,000 rows o\x1b[K\r\x1b[KWarning: Strange.\n"


def test_in_a_narrow_terminal_words_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Tty()
    screen = Screen(out, Seconds())
    log(screen, logging.INFO, "Waiting 14 s for the quota; resumes at 09:07:20 UTC.")
    log(screen, logging.WARNING, "Tokens are kept in /data/my-books/config.tokens.json from now on.")
    assert out.getvalue() == (
        "\r  0:00 Waiting 14 s for the quota\x1b[K\r\x1b[K"
        "Warning: Tokens are kept in\n/data/my-books/config.tokens.json from\nnow on.\n"
    )


@pytest.mark.parametrize(
    ("columns", "shown"), [(40, "1,000 rows, 2 of 21 streams"), (80, "1,000 rows, 2 of 21 streams, ~3 min left")]
)
def test_what_does_not_fit_into_a_narrow_terminal_is_left_out(
    columns: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out, seconds = Tty(), Seconds()
    screen = Screen(out, seconds)
    seconds.now = 1
    screen.progress(lambda: ["1,000 rows", "2 of 21 streams", "~3 min left"])
    assert out.getvalue() == f"\r  0:01 {shown}\x1b[K"


def test_what_exact_says_moves_no_cursor() -> None:
    out = Tty()
    screen = Screen(out, Seconds())
    log(screen, logging.WARNING, "No right \x1b]0;title\x07\x1b[2J.")
    log(screen, logging.INFO, "Reading \x9b2J111.")
    assert out.getvalue() == "Warning: No right ]0;title[2J.\n\r  0:00 Reading 2J111.\x1b[K"


def test_nor_does_it_in_the_summary() -> None:
    tally = Tally(["units"], failures={"units": "No \x1b[2Jright."})
    assert "INCOMPLETE units: No [2Jright." in told(tally)
    assert "INCOMPLETE: of Eve [2J." in told(Tally(["units"], error="of Eve \x1b[2J."))


def told(tally: Tally) -> list[str]:
    return list(lines(tally, "exact.duckdb", 3.2, "ask: {sql}", "exact_online", "load again"))


def test_the_summary_has_rows_by_stream_a_first_question_and_what_to_do_next() -> None:
    tally = Tally(["accounts", "items", "units"], Counter(accounts=1200, items=0), Counter(items=2))
    assert told(tally) == [
        "Loaded 1,200 rows of 2 streams into exact.duckdb in 3 s.",
        "",
        "  stream           rows  deletions",
        "  accounts        1,200",
        "  items               0          2",
        "",
        "Nothing new in 1 other stream.",
        "A first question:",
        "",
        "ask: select * from exact_online.accounts limit 10",
        "",
        "Load what changes from now on: load again",
    ]


def test_the_summary_names_streams_that_are_incomplete_and_why() -> None:
    tally = Tally(["accounts", "units"], Counter(accounts=1), failures={"units": "No right."}, error="All in all.")
    assert told(tally)[-2:] == [
        "INCOMPLETE units: No right.",
        "What was read is loaded. The next load goes on from there.",
    ]


def test_a_run_without_anything_to_load_says_so() -> None:
    assert told(Tally(["accounts"])) == [
        "Loaded 0 rows of 0 streams into exact.duckdb in 3 s.",
        "Nothing new in 1 stream.",
    ]


def options(**changed: Any) -> argparse.Namespace:
    return argparse.Namespace(
        **{"config": Path("config.json"), "to": None, "streams": "core", "full": False, **changed}
    )


def test_without_the_extra_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def import_(name: str, *args: Any) -> Any:
        if name.startswith("source_exact_online.load.destination"):
            raise ModuleNotFoundError("No module named 'dlt'", name="dlt")
        return original(name, *args)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", import_)
    assert command.run(options()) == 1
    assert capsys.readouterr().err == (
        '`load` needs dlt and pyarrow, which are not installed: pip install "airbyte-source-exact-online[load]"\n'
    )


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [(LoadError("No."), 1, "No.\n"), (KeyboardInterrupt(), 130, "Stopped. What was loaded stays; the next load goes")],
)
def test_what_ends_a_load_is_told_in_a_sentence(
    error: BaseException, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(command, "_load", fail)
    assert command.run(options()) == code
    assert capsys.readouterr().err.startswith(sentence)


def test_tokens_are_kept_beside_a_configuration_that_does_not_say_where(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, tokens = tmp_path / "config.json", tmp_path / "config.tokens.json"
    file.write_text(json.dumps(CONFIG), encoding="utf-8")
    with caplog.at_level(logging.WARNING, "airbyte.exact_online"):
        login = LoadConfig.read(file)
        login.announce()
        assert login.raw["credentials"]["token_file"] == str(tokens)
        assert str(tokens) in caplog.text
        caplog.clear()
        tokens.touch()
        LoadConfig.read(file).announce()
    assert caplog.text == ""
    assert json.loads(file.read_text()) == CONFIG


@pytest.mark.parametrize("named", [{"token_file": "/elsewhere"}, {"token_store": "postgresql://u@h/d"}])
def test_tokens_are_kept_where_the_configuration_says(tmp_path: Path, named: dict[str, str]) -> None:
    file = tmp_path / "config.json"
    config = {**CONFIG, "credentials": {**CONFIG["credentials"], **named}}
    file.write_text(json.dumps(config), encoding="utf-8")
    assert LoadConfig.read(file).raw == config


def test_a_configuration_without_a_file_needs_a_place_for_its_tokens(tmp_path: Path) -> None:
    with pytest.raises(AirbyteTracedException, match="pass the path of the configuration file"):
        LoadConfig.of(CONFIG)
    kept = {**CONFIG, "credentials": {**CONFIG["credentials"], "token_file": str(tmp_path / "tokens.json")}}
    assert LoadConfig.of(kept).raw is kept


def test_a_configuration_that_is_not_there_is_named() -> None:
    with pytest.raises(AirbyteTracedException, match=r"nowhere\.json cannot be read: No such file or directory\."):
        LoadConfig.read(Path("nowhere.json"))


def test_what_is_wrong_with_all_streams_is_told_once() -> None:
    tally = Tally(["accounts", "items", "units"], failures=dict.fromkeys(("accounts", "items", "units"), "Dead."))
    assert told(tally)[1:] == ["INCOMPLETE all streams: Dead.", "Nothing was loaded."]
    tally.failures = {"accounts": "No right.", "items": "Dead.", "units": "No right."}
    assert told(tally)[1:3] == ["INCOMPLETE accounts, units: No right.", "INCOMPLETE items: Dead."]
