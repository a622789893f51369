"""The token file: who may use it, what it survives, what it refuses."""

from __future__ import annotations

import json
import os
import stat
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_exact_online.auth import private_files, token_record
from source_exact_online.auth import token_file as token_file_module
from source_exact_online.auth.credentials import Credentials
from source_exact_online.auth.token_file import TokenFile
from source_exact_online.auth.token_record import fingerprint
from source_exact_online.auth.token_store import TokenStore
from unit_tests.auth_fakes import (
    CLIENT_ID,
    CLIENT_SECRET,
    OLD_TOKEN,
    FakeClock,
    FakeTokenServer,
    Fault,
    Login,
    config_for,
    configuration,
)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def content(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def config_error(login: Login) -> str:
    with pytest.raises(AirbyteTracedException) as caught:
        login.auth.get_access_token()
    assert caught.value.failure_type == FailureType.config_error
    return str(caught.value)


def test_file_holds_the_tokens_and_no_trace_of_the_configured_one(token_file: Path) -> None:
    login = Login(token_file)
    login.auth.get_access_token()
    record = content(token_file)
    assert record["refresh_token"] == "refresh!1"
    assert record["access_token"] == "access-1"
    assert record["expires_at"] == "2025-03-03T09:10:00+00:00"
    assert record["refreshed_at"] == "2025-03-03T09:00:00+00:00"
    assert (record["site"], record["host"], record["client_id"]) == ("nl", "start.exactonline.nl", CLIENT_ID)
    assert "refresh!0" not in token_file.read_text()
    assert CLIENT_SECRET not in token_file.read_text()


def test_only_the_owner_may_read_the_file(token_file: Path) -> None:
    before = os.umask(0)
    try:
        Login(token_file).auth.get_access_token()
    finally:
        os.umask(before)
    for path in token_file.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_file_is_written_before_the_configuration_message(token_file: Path) -> None:
    login = Login(token_file)
    seen: list[str] = []
    login.auth._credentials._on_control = lambda _: seen.append(content(token_file)["access_token"])
    login.auth.get_access_token()
    assert seen == ["access-1"]


def test_file_and_directory_are_synced_around_the_rename(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def fsync(handle: int) -> None:
        events.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")

    def replace(source: Path, target: Path) -> None:
        events.append("rename")
        source.rename(target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    Login(token_file).auth.get_access_token()
    assert events == ["file", "file", "rename", "directory"]  # the journal, the new file, the change of names


def test_refusal_leaves_no_journal_behind(token_file: Path) -> None:
    login = Login(token_file)
    login.auth.get_access_token()
    login.clock.advance(700)
    login.server.faults.extend([Fault(401, OLD_TOKEN)] * 2)
    assert "two connections" in config_error(login)
    assert not token_file.with_name("tokens.json.pending").exists()
    assert "two connections" in config_error(login.again(configuration()))


def test_lost_answer_stays_the_reason_in_every_later_run(token_file: Path) -> None:
    login = Login(token_file)
    login.server.faults.append(Fault(error=requests.ReadTimeout(), rotates=True))
    assert "lost" in config_error(login)
    for _ in range(2):
        assert "cut off" in config_error(login.again(configuration()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_lost_answers_leave_no_file_open(token_file: Path) -> None:
    logins = [Login(token_file) for _ in range(5)]
    before = len(os.listdir("/proc/self/fd"))
    for login in logins:
        login.server.faults.append(Fault(error=requests.ReadTimeout()))
        config_error(login)
    assert len(os.listdir("/proc/self/fd")) == before


def test_nothing_is_left_beside_the_file(token_file: Path) -> None:
    Login(token_file).auth.get_access_token()
    assert sorted(path.name for path in token_file.parent.iterdir()) == ["tokens.json", "tokens.json.lock"]


def test_frozen_configuration_works_for_ever(token_file: Path) -> None:
    login = Login(token_file)
    for _ in range(30):
        login = login.again(configuration())
        login.auth.get_access_token()
        login.clock.advance(700)
    assert set(login.server.answers) == {200}
    assert login.server.calls == 30


def test_frozen_configuration_shares_one_access_token(token_file: Path) -> None:
    login = Login(token_file)
    for _ in range(10):
        login = login.again(configuration())
        assert login.auth.get_access_token() == "access-1"
        assert login.config["credentials"]["refresh_token"] == "refresh!1"
        login.clock.advance(50)
    assert login.server.calls == 1


def test_configuration_of_any_age_is_known(token_file: Path) -> None:
    login = Login(token_file)
    configurations = [deepcopy(login.config)]
    for _ in range(8):
        login.auth.get_access_token()
        configurations.append(deepcopy(login.config))
        login.clock.advance(590)
    for config in configurations:
        login.again(config).auth.get_access_token()
    assert set(login.server.answers) == {200}


def test_new_refresh_token_in_the_configuration_starts_the_file_afresh(token_file: Path) -> None:
    first = Login(token_file)
    first.auth.get_access_token()
    server = FakeTokenServer(first.clock, refresh_token="second!0")
    second = Login(token_file, server=server, config=configuration("second!0"))
    assert second.auth.get_access_token() == "access-1"
    assert server.answers == [200]
    assert content(token_file)["refresh_token"] == server.live_refresh_token
    following = second.again(configuration("second!0"))
    following.clock.advance(600)
    assert following.auth.get_access_token() == "access-2"


def test_new_login_that_is_refused_leaves_the_file_alone(token_file: Path) -> None:
    login = Login(token_file)
    login.auth.get_access_token()
    before = token_file.read_bytes()
    config_error(login.again(configuration("never-issued")))
    assert token_file.read_bytes() == before
    login.clock.advance(700)
    assert login.again(configuration()).auth.get_access_token() == "access-2"


def test_access_token_of_a_fresh_login_is_used_beside_an_older_file(token_file: Path) -> None:
    first = Login(token_file)
    first.auth.get_access_token()
    expiry = (first.clock.now() + timedelta(seconds=500)).isoformat()
    config = configuration("second!0", access_token="second-access", token_expiry_date=expiry)
    assert first.again(config).auth.get_access_token() == "second-access"
    assert first.server.calls == 1


DAMAGES = {
    "empty": b"",
    "blank": b"\n",
    "cut off": b'{"format": 1, "refresh_token": "refr',
    "no JSON": b"\x00\x01\x02",
    "a list": b"[]",
    "another file": b'{"site": "nl", "credentials": {}}',
    "half a record": b'{"format": 1, "refresh_token": "r", "site": "nl"}',
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_file_is_named_and_left_as_it_is(token_file: Path, damage: bytes) -> None:
    token_file.write_bytes(damage)
    login = Login(token_file)
    message = config_error(login)
    assert str(token_file) in message
    assert "else delete the file, log in again with `source-exact-online login`" in message
    assert token_file.read_bytes() == damage
    assert login.server.calls == 0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("client_id", "another-app", "another app"),
        ("site", "be", "another country site: be instead of nl"),
        ("host", "127.0.0.1", "another server: 127.0.0.1 instead of start.exactonline.nl"),
        ("format", 2, "newer version"),
        ("refresh_token", "", "lacks parts"),
        ("expires_at", "soon", "lacks parts"),
        ("previous_fingerprints", "none", "lacks parts"),
        ("superseded_fingerprints", None, "lacks parts"),
    ],
)
def test_file_of_somebody_else_is_refused_and_left_alone(
    token_file: Path, field: str, value: object, words: str
) -> None:
    login = Login(token_file)
    login.auth.get_access_token()
    record = {**content(token_file), field: value}
    token_file.write_text(json.dumps(record))
    message = config_error(login.again(configuration()))
    assert words in message
    assert "another-app" not in message
    assert content(token_file) == record
    assert login.server.calls == 1


def test_missing_directory_is_named(tmp_path: Path) -> None:
    assert "directory" in config_error(Login(tmp_path / "nowhere" / "tokens.json"))


def test_directory_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    login = Login(tmp_path)
    assert str(tmp_path) in config_error(login)
    assert login.server.calls == 0


def test_file_that_is_mounted_by_itself_is_named_before_a_refresh_token_is_spent(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bind mount of the one file into a container: it cannot be replaced by rename."""
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == token_file)
    login = Login(token_file)
    message = config_error(login)
    assert message.startswith(f"The token file {token_file} is a mount of its own and cannot be replaced.")
    assert login.server.calls == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_file_without_permission_is_named(token_file: Path) -> None:
    token_file.write_text("{}")
    token_file.chmod(0)
    assert "permission" in config_error(Login(token_file)).lower()


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_full_disk_is_noticed_before_a_refresh_token_is_spent(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = Login(token_file)
    monkeypatch.setattr(private_files, "write", no_space)
    message = config_error(login)
    assert "cannot be written (No space left on device). Check directory, permissions and space." in message
    assert login.server.calls == 0


def test_error_of_a_disk_without_a_text_is_told_by_its_type(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(private_files, "write", broken)
    assert "cannot be written (PermissionError)" in config_error(Login(token_file))


def test_disk_that_fills_up_during_the_refresh_still_gets_the_message_out(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = Login(token_file)
    with monkeypatch.context() as patch:
        patch.setattr(TokenFile, "_replace", no_space)
        assert "No space left" in config_error(login)
        assert login.messages[0]["credentials"]["refresh_token"] == "refresh!1"
        config_error(login)
    assert login.auth.get_access_token() == "access-1"
    assert content(token_file)["refresh_token"] == "refresh!1"
    assert login.server.calls == 1


def test_disk_that_gets_room_again_costs_nothing(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    login = Login(token_file)
    real = TokenFile._replace
    failures = iter([True, True, False])

    def sometimes(file: TokenFile, record: bytes) -> None:
        if next(failures):
            no_space()
        real(file, record)

    monkeypatch.setattr(TokenFile, "_replace", sometimes)
    assert login.auth.get_access_token() == "access-1"
    assert content(token_file)["refresh_token"] == "refresh!1"


def test_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "data" / "tokens.json")
    Login(link).auth.get_access_token()
    assert link.is_symlink()
    assert content(tmp_path / "data" / "tokens.json")["access_token"] == "access-1"


def test_long_history_is_cut_at_its_oldest_end(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_record, "LONGEST_HISTORY", 3)
    login = Login(token_file)
    for _ in range(6):
        login.auth.get_access_token()
        login.clock.advance(590)
    record = content(token_file)
    assert record["previous_fingerprints"] == [fingerprint(record["salt"], f"refresh!{number}") for number in (3, 4, 5)]
    assert login.again(configuration()).auth.get_access_token() == "access-7"


def test_file_that_was_deleted_during_the_run_is_written_again(token_file: Path) -> None:
    login = Login(token_file)
    login.auth.get_access_token()
    token_file.unlink()
    login.clock.advance(590)
    login.auth.get_access_token()
    login.clock.advance(590)
    assert login.again(configuration()).auth.get_access_token() == "access-3"
    assert set(login.server.answers) == {200}


class ProcessDiedError(BaseException):
    """Stands for kill -9."""


def die(*_: object, **__: object) -> None:
    raise ProcessDiedError


DEATHS = ("begin_refresh", "send", "on_chunk", "save", "create", "fsync", "replace", "unlink", "emit_config_update")


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deaths=st.lists(st.tuples(st.sampled_from(DEATHS), st.floats(0, 900)), min_size=1, max_size=6))
def test_login_survives_death_at_any_point_but_the_moment_of_the_answer(
    deaths: list[tuple[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    token_file = tmp_path_factory.mktemp("chain") / "tokens.json"
    server = FakeTokenServer(FakeClock())
    lost = False
    for point, seconds in deaths:
        calls = server.issued
        with pytest.MonkeyPatch.context() as patch:
            arm(patch, point)
            try:
                Login(token_file, server=server, config=configuration()).auth.get_access_token()
            except ProcessDiedError:
                lost = lost or (point == "on_chunk" and server.issued > calls)
            except AirbyteTracedException:
                assert lost
        server.clock.advance(seconds)
    server.clock.advance(700)
    survivor = Login(token_file, server=server, config=configuration())
    if lost:
        assert "cut off" in config_error(survivor)
    else:
        assert survivor.auth.get_access_token() == f"access-{server.issued}"
        assert set(server.answers) == {200}
        assert sorted(path.name for path in token_file.parent.iterdir()) == ["tokens.json", "tokens.json.lock"]


def arm(patch: pytest.MonkeyPatch, point: str) -> None:
    """Lets the process die at a point of the next refresh."""
    if point == "send":
        patch.setattr(FakeTokenServer, "send", die)
    elif point == "emit_config_update":
        patch.setattr(Credentials, "emit_config_update", die)
    elif point in ("begin_refresh", "on_chunk", "save"):
        patch.setattr(TokenStore, point, die)
    else:  # a system call while the outcome is saved
        real = TokenFile._replace
        name, module = {
            "create": ("create", private_files),
            "fsync": ("fsync", os),
            "replace": ("replace", os),
            "unlink": ("unlink", Path),
        }[point]

        def replace(file: TokenFile, record: bytes) -> None:
            patch.setattr(module, name, die)
            real(file, record)

        patch.setattr(TokenFile, "_replace", replace)


def half_done(token_file: Path) -> tuple[Login, Path]:
    """A login whose second refresh died between the answer and the saving of it, and what is left beside the file."""
    login = Login(token_file)
    login.auth.get_access_token()
    login.clock.advance(590)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenStore, "save", die)
        with pytest.raises(ProcessDiedError):
            login.auth.get_access_token()
    return login, token_file.with_name("tokens.json.pending")


def test_answer_of_a_run_that_died_is_taken_over(token_file: Path) -> None:
    login, journal = half_done(token_file)
    following = login.again(configuration())
    assert following.auth.get_access_token() == "access-2"
    assert content(token_file)["refresh_token"] == "refresh!2"
    assert not journal.exists()
    assert following.server.calls == 2


def test_answer_that_was_saved_already_is_not_taken_over_again(token_file: Path) -> None:
    login, journal = half_done(token_file)
    left = journal.read_bytes()
    login.again(configuration()).auth.get_access_token()
    login.clock.advance(590)
    assert login.again(configuration()).auth.get_access_token() == "access-3"
    journal.write_bytes(left)
    assert login.again(configuration()).auth.get_access_token() == "access-3"
    login.clock.advance(590)
    assert login.again(configuration()).auth.get_access_token() == "access-4"
    assert set(login.server.answers) == {200}


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6, 0.8])
def test_answer_that_was_written_in_part_is_no_token(token_file: Path, keep: float) -> None:
    login, journal = half_done(token_file)
    left = journal.read_bytes()
    journal.write_bytes(left[: int(len(left) * keep)])
    assert "cut off" in config_error(login.again(configuration()))


def test_file_without_its_record_is_rebuilt_from_the_answer_of_a_run_that_died(token_file: Path) -> None:
    login = Login(token_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenStore, "save", die)
        with pytest.raises(ProcessDiedError):
            login.auth.get_access_token()
    assert not token_file.exists()
    assert login.again(configuration()).auth.get_access_token() == "access-1"
    login.clock.advance(600)
    assert login.again(configuration()).auth.get_access_token() == "access-2"


def test_lock_that_is_never_released_is_a_transient_error(
    token_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(token_file_module, "LOCK_HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(token_file_module, "LOCK_HEARTBEATS", 3)
    login = Login(token_file)
    with TokenFile(token_file).locked():
        with pytest.raises(AirbyteTracedException) as caught:
            login.auth.get_access_token()
        assert caught.value.failure_type == FailureType.transient_error
        assert f"{token_file} is kept locked by another process" in str(caught.value)
    assert sum("holds the lock" in line for line in caplog.messages) == 3
    assert login.auth.get_access_token() == "access-1"


def test_settings_show_no_secret() -> None:
    shown = repr(config_for(configuration()))
    assert CLIENT_SECRET not in shown
    assert CLIENT_ID not in shown
