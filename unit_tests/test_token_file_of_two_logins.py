"""One token file, two logins: the tokens of one never serve the connection of the other."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.token_file import TokenFile
from source_exact_online.auth.token_store import TokenStore
from unit_tests.auth_fakes import FakeClock, FakeTokenServer, Login, configuration


class User:
    """A user of the app with connections of their own, which all use one token file."""

    def __init__(self, name: str, token_file: Path, clock: FakeClock) -> None:
        self.name = name
        self.token_file = token_file
        self.server = FakeTokenServer(clock, refresh_token=f"{name}!0")
        self.config = configuration(f"{name}!0")

    def connection(self, config: dict[str, Any] | None = None) -> Login:
        """The next process, with the configuration of the login or the one given."""
        return Login(self.token_file, server=self.server, config=config or deepcopy(self.config))

    def log_in_again(self) -> None:
        """A new login, whose configuration replaces the one before."""
        self.server = FakeTokenServer(self.server.clock, refresh_token=f"{self.name}-again!0")
        self.config = configuration(f"{self.name}-again!0")


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def alice(token_file: Path, clock: FakeClock) -> User:
    return User("alice", token_file, clock)


@pytest.fixture
def bob(token_file: Path, clock: FakeClock) -> User:
    return User("bob", token_file, clock)


def refused(login: Login) -> str:
    """The config error of a superseded login, which changes nothing and calls nobody."""
    assert isinstance(login.token_store, Path)
    before, calls = login.token_store.read_bytes(), login.server.calls
    with pytest.raises(AirbyteTracedException) as caught:
        login.auth.get_access_token()
    assert caught.value.failure_type is FailureType.config_error
    assert login.token_store.read_bytes() == before
    assert login.server.calls == calls
    assert login.messages == []
    return str(caught.value)


def test_a_superseded_login_is_an_error_and_never_gets_the_other_ones_tokens(
    alice: User, bob: User, clock: FakeClock, token_file: Path
) -> None:
    first = alice.connection()
    assert first.auth.get_access_token() == "access-1"
    clock.advance(300)
    assert bob.connection().auth.get_access_token() == "access-1"

    for config in (alice.config, first.config):
        message = refused(alice.connection(deepcopy(config)))
        assert str(token_file) in message
        assert "later login" in message
        assert "A token file keeps one login." in message
        assert "give this connection a token file of its own" in message
        assert "source-exact-online login --site nl" in message
    clock.advance(700)
    assert bob.connection().auth.get_access_token() == "access-2"
    assert set(bob.server.answers) == {200}


def test_the_user_whose_file_it_is_now_is_named(alice: User, bob: User) -> None:
    alice.connection().auth.get_access_token()
    later = bob.connection()
    later.auth.get_access_token()
    assert later.auth.wants_user
    later.auth.remember_user("3f0b-bob", "Bob de Bouwer")
    assert not later.auth.wants_user

    message = refused(alice.connection())

    assert "Bob de Bouwer" in message
    assert "3f0b-bob" in message


def test_the_name_outlives_refreshes_and_ends_with_the_login(
    alice: User, bob: User, clock: FakeClock, token_file: Path
) -> None:
    for _ in range(3):
        login = alice.connection()
        login.auth.get_access_token()
        login.auth.remember_user("1-alice", "Alice")
        clock.advance(700)
    assert json.loads(token_file.read_text())["user_name"] == "Alice"
    following = alice.connection()
    following.auth.get_access_token()
    assert not following.auth.wants_user

    bob.connection().auth.get_access_token()

    assert "user_name" not in json.loads(token_file.read_text())
    assert "Alice" not in refused(alice.connection())


def test_a_name_without_end_does_not_make_the_file_unreadable(alice: User) -> None:
    login = alice.connection()
    login.auth.get_access_token()

    login.auth.remember_user("1" * 5_000_000, "A" * 5_000_000)

    assert alice.connection().auth.get_access_token() == "access-1"


def test_the_user_of_another_login_is_not_noted(alice: User, bob: User, token_file: Path) -> None:
    login = alice.connection()
    login.auth.get_access_token()
    bob.connection().auth.get_access_token()

    login.auth.remember_user("1-alice", "Alice")

    assert "user_name" not in json.loads(token_file.read_text())


def test_without_a_token_file_no_user_is_wanted() -> None:
    login = Login()
    login.auth.get_access_token()
    assert not login.auth.wants_user
    login.auth.remember_user("1", "Somebody")


def test_a_new_login_takes_the_file_back(alice: User, bob: User, clock: FakeClock) -> None:
    alice.connection().auth.get_access_token()
    bob.connection().auth.get_access_token()

    first_config = deepcopy(alice.config)

    alice.log_in_again()

    assert alice.connection().auth.get_access_token() == "access-1"
    assert "later login" in refused(bob.connection())
    assert "later login" in refused(alice.connection(first_config)), "no login that ever was is forgotten"
    clock.advance(700)
    assert alice.connection().auth.get_access_token() == "access-2"
    assert set(alice.server.answers) == {200}


def test_a_login_goes_on_with_all_its_own_older_tokens(alice: User, bob: User, clock: FakeClock) -> None:
    alice.connection().auth.get_access_token()
    bob.connection().auth.get_access_token()
    configurations = [bob.config]
    for _ in range(4):
        login = bob.connection(deepcopy(configurations[0]))
        login.auth.get_access_token()
        configurations.append(deepcopy(login.config))
        clock.advance(590)

    for config in configurations:
        bob.connection(deepcopy(config)).auth.get_access_token()

    assert set(bob.server.answers) == {200}


def test_a_process_that_runs_on_while_another_login_takes_the_file(alice: User, bob: User, clock: FakeClock) -> None:
    running = alice.connection()
    token = running.auth.get_access_token()
    bob.connection().auth.get_access_token()
    assert running.auth.get_access_token() == token, "its own access token is good until its end"
    running.messages.clear()
    clock.advance(590)

    assert "later login" in refused(running)
    assert bob.connection().auth.get_access_token() == "access-2"


class ProcessDiedError(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("arrived", [True, False])
def test_after_a_crash_of_the_other_login(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    """Its answer is taken over by whoever comes next, and is still not theirs to use."""
    alice.connection().auth.get_access_token()

    def die(*_: object) -> None:
        raise ProcessDiedError

    with monkeypatch.context() as patch:
        patch.setattr(TokenStore, "save" if arrived else "on_chunk", die)
        with pytest.raises(ProcessDiedError):
            bob.connection().auth.get_access_token()

    login = alice.connection()
    if arrived:
        with pytest.raises(AirbyteTracedException, match="later login"):
            login.auth.get_access_token()
        assert bob.connection().auth.get_access_token() == "access-1"
        assert login.messages == []
    else:
        assert login.auth.get_access_token() == "access-1"
    assert set(alice.server.answers) == {200}


def test_tokens_that_could_not_be_saved_do_not_overwrite_a_later_login(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.connection().auth.get_access_token()
    running = alice.connection()
    running.clock.advance(700)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(TokenFile, "_replace", no_space)
        with pytest.raises(AirbyteTracedException, match="No space left"):
            running.auth.get_access_token()
    bob.connection().auth.get_access_token()
    running.messages.clear()

    assert "later login" in refused(running)
