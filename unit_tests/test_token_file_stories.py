"""Two users of one app on one token file, and what happens to them by chance: neither gets what is the other's."""

from __future__ import annotations

import random
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth.token_store import TokenStore
from unit_tests.auth_fakes import FakeClock, FakeTokenServer, Login, configuration
from unit_tests.test_token_file_of_two_logins import ProcessDiedError, User


class Story:
    """Two users of one app with one token file, and what happens to them by chance."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.clock = FakeClock()
        self.chance = chance
        self.users = [User(name, folder / "tokens.json", self.clock) for name in ("alice", "bob")]
        for user in self.users:
            user.server.names_access_tokens = True
        self.logins = {user.name: 0 for user in self.users}
        self.connections: dict[str, list[Login]] = {user.name: [] for user in self.users}
        self.configurations = {user.name: [user.config] for user in self.users}
        self.steps: list[str] = []
        self.refused = self.granted = 0

    def step(self) -> None:
        user = self.chance.choice(self.users)
        what = self.chance.choices(
            [self.run, self.go_on, self.crash, self.log_in_again, self.let_time_pass], [6, 3, 2, 1, 3]
        )[0]
        self.steps.append(f"{user.name}: {what.__name__}")
        what(user)

    def run(self, user: User) -> None:
        """A new process, with one of the configurations that the user has ever had."""
        login = user.connection(deepcopy(self.chance.choice(self.configurations[user.name][-4:])))
        self.connections[user.name].append(login)
        self.ask(user, login)

    def go_on(self, user: User) -> None:
        """A process that has been running asks for a token once more."""
        if self.connections[user.name]:
            self.ask(user, self.chance.choice(self.connections[user.name][-2:]))

    def crash(self, user: User) -> None:
        """A process is killed while it refreshes."""
        method = self.chance.choice(["save", "on_chunk", "begin_refresh", "load"])
        login = user.connection(deepcopy(user.config))

        def die(*_: object) -> None:
            raise ProcessDiedError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TokenStore, method, die)
            with suppress(ProcessDiedError, AirbyteTracedException):
                login.auth.get_access_token()

    def log_in_again(self, user: User) -> None:
        self.logins[user.name] += 1
        name = f"{user.name}-{self.logins[user.name]}"
        user.server = FakeTokenServer(self.clock, refresh_token=f"{name}!0")
        user.server.names_access_tokens = True
        user.config = configuration(f"{name}!0")
        self.configurations[user.name] = [user.config]
        self.connections[user.name] = []  # the login that they are of is dead

    def let_time_pass(self, _: User) -> None:
        self.clock.advance(self.chance.choice([30, 300, 590, 4000]))

    def ask(self, user: User, login: Login) -> None:
        """Whatever a process gets, hands over or sends is its own user's."""
        sent = len(login.server.forms)
        try:
            token = login.auth.get_access_token()
        except AirbyteTracedException:
            self.refused += 1
        else:
            assert token.startswith(user.name), self.steps
            self.granted += 1
        handed_over = [message["credentials"]["refresh_token"] for message in login.messages]
        asked_with = [form["refresh_token"] for form in login.server.forms[sent:]]
        assert [text for text in (*handed_over, *asked_with) if not text.startswith(user.name)] == [], self.steps
        assert login.config["credentials"]["refresh_token"].startswith(user.name), self.steps
        self.configurations[user.name].append(deepcopy(login.config))


@pytest.mark.parametrize(
    "sequences", [40, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1500)])], ids=str
)
def test_whatever_happens_to_two_logins_on_one_file_neither_gets_what_is_the_other_s(
    sequences: int, tmp_path: Path
) -> None:
    granted = refused = 0
    for number in range(sequences):
        folder = tmp_path / str(number)
        folder.mkdir()
        story = Story(folder, random.Random(number))
        for _ in range(20):
            story.step()
        granted, refused = granted + story.granted, refused + story.refused
    print(f"{sequences} sequences: {granted} tokens, {refused} config errors, none of another login")
    assert granted > sequences
    assert refused > sequences
