"""The rules of a token store on a storage whose lock can be lost while its holder lives, as that of a database can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth import credentials as credentials_module
from source_exact_online.auth.token_record import Owner, Place
from source_exact_online.auth.token_store import UNDER_WAY, StorageError, TokenStore
from source_exact_online.auth.tokens import Tokens
from source_exact_online.failures import TokenStoreUnavailableError
from unit_tests.auth_fakes import Fault, Login, configuration
from unit_tests.fake_clock import FakeClock


class MemoryStorage:
    """A `TokenStorage` in memory."""

    place = journal_place = Place("The token store", "token store", "it", "one of its own", "Check it.")

    def __init__(self) -> None:
        self.lock_may_break = True
        self.record: bytes | None = None
        self.journal: bytes | None = None
        self.failure: StorageError | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def read(self) -> tuple[bytes | None, bytes | None]:
        return self.record, self.journal

    def begin_journal(self, head: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.journal = head

    def append_journal(self, data: bytes) -> None:
        self.journal = (self.journal or b"") + data

    def close_journal(self) -> None:
        """Nothing to close."""

    def drop_journal(self) -> None:
        self.journal = None

    def replace(self, record: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.record, self.journal = record, None


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> MemoryStorage:
    found = MemoryStorage()
    monkeypatch.setattr(credentials_module, "_storage", lambda *_: found)
    return found


def cut_short(storage: MemoryStorage) -> Login:
    """A login whose last refresh was begun by a process from which nothing has been heard since."""
    login = Login()
    login.auth.get_access_token()
    login.clock.advance(700)
    credentials = login.auth._credentials
    credentials.begin_refresh(credentials.newest())
    return login


def test_a_refresh_that_may_be_under_way_is_waited_for_and_its_tokens_used(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = cut_short(storage)
    other = login.again(configuration())
    sleep = FakeClock.sleep

    def answer_comes(clock: FakeClock, seconds: float) -> None:
        sleep(clock, seconds)
        if len(clock.slept) == 2:
            storage.append_journal(login.clock.now().isoformat().encode() + b"\n")
            storage.append_journal(b'{"access_token":"access-2","refresh_token":"refresh!2","expires_in":"600"}')

    monkeypatch.setattr(FakeClock, "sleep", answer_comes)

    assert other.auth.get_access_token() == "access-2"
    assert other.server.calls == 1
    assert len(other.clock.slept) == 2


def test_a_refresh_that_is_certainly_over_is_made_again(storage: MemoryStorage) -> None:
    other = cut_short(storage).again(configuration())
    assert other.auth.get_access_token() == "access-2"
    assert sum(other.clock.slept) == pytest.approx(UNDER_WAY.total_seconds())


def test_a_lock_that_only_death_ends_is_proof_enough(storage: MemoryStorage) -> None:
    storage.lock_may_break = False
    other = cut_short(storage).again(configuration())
    assert other.auth.get_access_token() == "access-2"
    assert other.clock.slept == []


def test_a_refresh_of_one_s_own_is_not_waited_for(storage: MemoryStorage) -> None:
    login = Login()
    login.server.faults.append(Fault(502, "<html>Bad Gateway</html>"))
    with pytest.raises(AirbyteTracedException):
        login.auth.get_access_token()
    login.clock.advance(6)
    assert storage.journal is not None
    assert login.auth.get_access_token() == "access-1"
    assert login.clock.slept == []


FAILURES = pytest.mark.parametrize(
    ("failure", "kind", "advice"),
    [
        (FailureType.transient_error, TokenStoreUnavailableError, "No token was spent. Try again later."),
        (FailureType.config_error, AirbyteTracedException, "Check it."),
    ],
)


@FAILURES
def test_a_store_that_cannot_be_written_is_known_before_a_token_is_spent(
    storage: MemoryStorage, failure: FailureType, kind: type[AirbyteTracedException], advice: str
) -> None:
    storage.failure = StorageError("connection lost", failure)
    login = Login()
    with pytest.raises(AirbyteTracedException) as caught:
        login.auth.get_access_token()
    assert type(caught.value) is kind
    assert caught.value.failure_type is failure
    assert str(caught.value) == f"The token store cannot be written (connection lost). {advice}"
    assert login.server.calls == 0


@FAILURES
def test_tokens_that_were_found_and_cannot_be_saved_are_left_where_they_are(
    storage: MemoryStorage, failure: FailureType, kind: type[AirbyteTracedException], advice: str
) -> None:
    login = cut_short(storage)
    storage.append_journal(login.clock.now().isoformat().encode() + b"\n")
    storage.append_journal(b'{"access_token":"access-2","refresh_token":"refresh!2","expires_in":"600"}')
    left, storage.failure = storage.journal, StorageError("connection lost", failure)
    other = login.again(configuration())
    with pytest.raises(AirbyteTracedException) as caught:
        other.auth.get_access_token()
    assert type(caught.value) is kind
    assert str(caught.value) == f"The token store cannot be written (connection lost). {advice}"
    assert storage.journal == left
    storage.failure = None
    assert other.auth.get_access_token() == "access-2"
    assert other.server.calls == 1


def test_nothing_is_saved_that_was_not_begun(storage: MemoryStorage) -> None:
    store = TokenStore(storage, Owner("app", "nl", "start.exactonline.nl"))
    with pytest.raises(RuntimeError):
        store.save(None, Tokens("refresh!1"))
    assert storage.record is None


def test_a_store_that_is_lost_during_the_refresh_leaves_the_new_pair_to_the_platform(storage: MemoryStorage) -> None:
    login = Login()
    send = login.server.send

    def sending(request: requests.PreparedRequest, **options: object) -> requests.Response:
        storage.failure = StorageError("connection lost", FailureType.transient_error)
        return send(request, **options)

    login.server.send = sending  # type: ignore[assignment]
    with pytest.raises(AirbyteTracedException, match="could not be written to the token store") as caught:
        login.auth.get_access_token()
    assert caught.value.failure_type is FailureType.config_error
    assert [message["credentials"]["refresh_token"] for message in login.messages] == ["refresh!1"]
    storage.failure = None
    assert login.auth.get_access_token() == "access-1"
    assert login.server.calls == 1
