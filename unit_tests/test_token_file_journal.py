"""The journal beside the token file: whose answer it holds, and whether the file has it already."""

from __future__ import annotations

import errno
import os
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth import private_files
from source_exact_online.auth.token_file import TokenFile
from source_exact_online.auth.token_record import Owner, TokenRecord, User
from source_exact_online.auth.token_store import StoreContent, TokenStore
from source_exact_online.auth.tokens import Tokens
from unit_tests.auth_fakes import Login

NOW = datetime(2025, 3, 3, 9, 0, tzinfo=timezone.utc)
OWNER = Owner("app", "nl", "start.exactonline.nl")


def store(path: Path, owner: Owner = OWNER) -> TokenStore:
    return TokenStore(TokenFile(path), owner)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def issued(name: str, minutes: float = 0) -> Tokens:
    return Tokens(f"refresh-{name}", f"access-{name}", at(minutes + 10), at(minutes), 600.0)


def answer(name: str) -> bytes:
    return f'{{"access_token":"access-{name}","expires_in":"600","refresh_token":"refresh-{name}"}}'.encode()


def refreshed(path: Path, stored: TokenRecord | None, spent: str, name: str, minutes: float) -> TokenRecord:
    """A refresh that went well."""
    file = store(path)
    with file.locked():
        file.begin_refresh(stored, spent, spent, at(minutes))
        record = file.save(stored, issued(name, minutes)).record
    assert record is not None
    return record


def journal_of(path: Path, stored: TokenRecord | None, spent: str, name: str, minutes: float) -> bytes:
    """What a process leaves behind that dies before it saves."""
    file = store(path)
    with file.locked():
        file.begin_refresh(stored, spent, spent, at(minutes))
        file.on_chunk(at(minutes), answer(name), True)
    return pending(path).read_bytes()


def pending(path: Path) -> Path:
    return path.with_name(path.name + ".pending")


def loaded(path: Path) -> StoreContent:
    file = store(path)
    with file.locked():
        return file.load()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "tokens.json"


def test_an_answer_that_came_in_parts_is_taken_over_whole(path: Path) -> None:
    body = answer("1")
    file = store(path)
    with file.locked():
        file.begin_refresh(None, "refresh-0", "refresh-0", NOW)
        file.on_chunk(at(0.1), body[:20], True)
        file.on_chunk(at(0.2), body[20:50], False)
        file.on_chunk(at(0.3), body[50:], False)

    found = loaded(path).record

    assert found is not None
    assert (found.tokens.refresh_token, found.tokens.access_token) == ("refresh-1", "access-1")
    assert found.tokens.received_at == at(0.1)


def test_a_journal_of_another_app_is_named_and_left_alone(path: Path) -> None:
    left = journal_of(path, None, "refresh-0", "1", 0)
    file = store(path, Owner("another app", "nl", "start.exactonline.nl"))

    with file.locked(), pytest.raises(AirbyteTracedException) as raised:
        file.load()

    assert raised.value.failure_type is FailureType.config_error
    assert str(pending(path)) in str(raised.value)
    assert pending(path).read_bytes() == left


class TestWhatTheFileHasAlready:
    def test_is_told_by_the_token_that_was_spent_whatever_the_clock_says(self, path: Path) -> None:
        """The clock was set back between the start of the refresh and its answer."""
        first = refreshed(path, None, "refresh-0", "1", 0)
        left = journal_of(path, first, "refresh-1", "2", 70)
        second = refreshed(path, first, "refresh-1", "2", 10)
        pending(path).write_bytes(left)

        assert loaded(path) == StoreContent(second)

    def test_is_not_what_was_spent_later_whatever_the_clock_says(self, path: Path) -> None:
        """The clock was set back before the refresh began."""
        first = refreshed(path, None, "refresh-0", "1", 60)
        journal_of(path, first, "refresh-1", "2", 0)

        record = loaded(path).record

        assert record is not None
        assert record.tokens.refresh_token == "refresh-2"

    def test_is_told_by_time_once_the_file_was_made_anew(self, path: Path) -> None:
        """Fingerprints of one file say nothing about another."""
        left = journal_of(path, None, "refresh-0", "1", 0)
        pending(path).unlink()
        record = refreshed(path, None, "other-0", "other", 5)
        pending(path).write_bytes(left)

        assert loaded(path) == StoreContent(record)

    @pytest.mark.parametrize("minutes", [0, 5], ids=["at the moment of its tokens", "after them"])
    def test_is_not_what_came_after_the_file_was_put_back(self, path: Path, minutes: float) -> None:
        left = journal_of(path, None, "refresh-0", "1", minutes)
        pending(path).unlink()
        refreshed(path, None, "other-0", "other", 0)
        pending(path).write_bytes(left)

        record = loaded(path).record

        assert record is not None
        assert record.tokens.refresh_token == "refresh-1"


class TestWhatMayFail:
    def test_a_disk_that_fills_up_while_the_answer_comes(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        login, write = Login(path), private_files.write

        def full_for_the_answer(handle: int, data: bytes) -> None:
            if b"access_token" in data and b"salt" not in data:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(handle, data)

        monkeypatch.setattr(private_files, "write", full_for_the_answer)

        assert login.auth.get_access_token() == "access-1"
        assert login.again().auth.get_access_token() == "access-1"

    def test_a_journal_that_cannot_be_taken_away(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        login, unlink = Login(path), Path.unlink

        def held_fast(file: Path, missing_ok: bool = False) -> None:
            if file == pending(path) and path.exists():
                raise PermissionError
            unlink(file, missing_ok)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", held_fast)
            assert login.auth.get_access_token() == "access-1"
        assert login.again().auth.get_access_token() == "access-1"

    def test_a_directory_that_cannot_be_synced(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fsync = os.fsync

        def files_only(handle: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            fsync(handle)

        monkeypatch.setattr(os, "fsync", files_only)

        assert Login(path).auth.get_access_token() == "access-1"


def test_whose_login_it_is_stays_in_the_file(path: Path) -> None:
    record = refreshed(path, None, "refresh-0", "1", 0)
    file = store(path)
    with file.locked():
        noted = file.note_user(record, User("guid", "Anna"))

    assert noted == loaded(path)
    assert noted.record is not None
    assert (noted.record.user, noted.record.tokens) == (User("guid", "Anna"), issued("1"))
