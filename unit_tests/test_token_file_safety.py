"""The token file in a place where others may write: nothing is followed, read or waited for that is not ours."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth import private_files
from unit_tests.auth_fakes import Login

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "tokens.json"


def token_within(login: Login, seconds: float = 5.0) -> str | AirbyteTracedException:
    """What a first use gives; fails if it hangs."""
    outcome: list[str | AirbyteTracedException] = []

    def use() -> None:
        try:
            outcome.append(login.auth.get_access_token())
        except AirbyteTracedException as error:
            outcome.append(error)

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, "it hangs"
    return outcome[0]


@pytest.mark.parametrize("suffix", [".new", ".pending"])
def test_a_file_made_ready_by_somebody_else_never_gets_the_tokens(token_file: Path, suffix: str) -> None:
    planted = token_file.with_name(token_file.name + suffix)
    planted.write_text("")
    planted.chmod(0o666)
    with planted.open() as spy:
        assert token_within(Login(token_file)) == "access-1"
        assert spy.read() == ""
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600


def test_a_file_that_is_put_back_in_the_last_moment_is_not_written_to(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = token_file.with_name("tokens.json.pending")
    planted.write_text("")
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    login = Login(token_file)
    error = token_within(login)
    assert isinstance(error, AirbyteTracedException)
    assert login.server.calls == 0
    assert planted.read_text() == ""


@pytest.mark.parametrize("suffix", [".new", ".pending"])
def test_a_link_made_ready_by_somebody_else_is_not_followed(token_file: Path, suffix: str) -> None:
    victim = token_file.with_name("precious")
    victim.write_text("as it was")
    token_file.with_name(token_file.name + suffix).symlink_to(victim)

    token_within(Login(token_file))

    assert victim.read_text() == "as it was"


def test_a_pipe_in_place_of_the_new_file_stops_nothing(token_file: Path) -> None:
    os.mkfifo(token_file.with_name("tokens.json.new"))
    assert token_within(Login(token_file)) == "access-1"
    assert json.loads(token_file.read_text())["access_token"] == "access-1"


@pytest.mark.parametrize("suffix", ["", ".pending"])
def test_a_pipe_to_be_read_is_named_and_nothing_is_spent(token_file: Path, suffix: str) -> None:
    os.mkfifo(token_file.with_name(token_file.name + suffix))
    login = Login(token_file)

    error = token_within(login)

    assert isinstance(error, AirbyteTracedException)
    assert error.failure_type is FailureType.config_error
    assert "no regular file" in str(error)
    assert login.server.calls == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_of_the_machine_is_not_used(token_file: Path) -> None:
    Login(token_file).auth.get_access_token()
    os.chown(token_file, 4711, -1)
    login = Login(token_file)

    error = token_within(login)

    assert isinstance(error, AirbyteTracedException)
    assert "another user of this machine" in str(error)
    assert login.server.calls == 0


def test_a_file_that_is_no_token_record_is_not_read_whole(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "LONGEST", 100)
    token_file.write_bytes(b" " * 101)
    error = token_within(Login(token_file))
    assert isinstance(error, AirbyteTracedException)
    assert "too long" in str(error)


def test_a_mode_that_was_wider_is_narrowed_by_the_next_write(token_file: Path) -> None:
    first = Login(token_file)
    first.auth.get_access_token()
    token_file.chmod(0o644)
    first.clock.advance(590)
    first.auth.get_access_token()
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600


def test_what_cannot_be_cleared_away_is_noticed_before_a_token_is_spent(token_file: Path) -> None:
    token_file.with_name("tokens.json.new").mkdir()
    login = Login(token_file)
    error = token_within(login)
    assert isinstance(error, AirbyteTracedException)
    assert "cannot be written" in str(error)
    assert login.server.calls == 0


@pytest.mark.parametrize(("mode", "warned"), [(0o700, 0), (0o755, 0), (0o770, 0), (0o777, 1), (0o1777, 1)])
def test_a_directory_that_everybody_may_write_is_warned_of_once(
    token_file: Path, mode: int, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    token_file.parent.chmod(mode)
    login = Login(token_file)
    for _ in range(3):
        login.auth.get_access_token()
        login.clock.advance(600)
    token_file.parent.chmod(0o700)
    assert len([line for line in caplog.messages if "directory of its own" in line]) == warned
