"""The token file: one login's newest tokens, shared by processes and safe against a crash at any moment.

A file for runners that do not keep the configuration updates of a connector. What is promised:

* Whoever reads the file sees a complete state. It is replaced by rename, never written in place; mode 0600.
* Written tokens survive the death of the process from the moment of one `write` call, and the death of the machine from
  the end of `save`. New tokens are first written beside the file (``<name>.new``) and then renamed; a process that dies
  in between leaves them there, and the next one takes them over.
* A refresh first leaves a mark in ``<name>.new``. It proves that the directory can be written before a token is spent,
  and tells a later run that a refresh was cut short.
* The file belongs to one app at one site, and grew from one login. It is never overwritten when it is damaged or
  belongs to somebody else.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from filelock import FileLock, Timeout

from source_exact_online.api.tokens import Tokens, parse_life, parse_moment

logger = logging.getLogger("airbyte.exact_online")

FORMAT = 1

LONGEST_HISTORY = 4096
"""Earlier refresh tokens that are recognised; four weeks of refreshes every ten minutes without a pause."""

LOCK_HEARTBEAT_SECONDS = 50.0
LOCK_HEARTBEATS = 15
"""Lines about a lock held by another process before giving up; a holder works for seconds, not minutes."""


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """Content of a token file.

    Attributes:
        tokens: the newest pair.
        salt: of the fingerprints, random per file.
        grew_from: fingerprint of the configured refresh token that this chain began with.
        former: fingerprints of all refresh tokens that were replaced, oldest first.
    """

    tokens: Tokens
    salt: str
    grew_from: str
    former: tuple[str, ...] = field(default=(), repr=False)

    def knows(self, refresh_token: str) -> bool:
        """Whether this is a refresh token of the chain, or of an earlier one in this file: not a new login."""
        mark = fingerprint(self.salt, refresh_token)
        return refresh_token == self.tokens.refresh_token or mark == self.grew_from or mark in self.former


def fingerprint(salt: str, refresh_token: str) -> str:
    """Short keyed hash of a refresh token: recognises it and does not tell it."""
    digest = hmac.digest(salt.encode(), refresh_token.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:9]).decode()


def succeed(stored: StoredLogin | None, configured: str, spent: str, tokens: Tokens) -> StoredLogin:
    """What the file holds after a refresh.

    Args:
        stored: what it held, None where there was no file.
        configured: refresh token of the configuration.
        spent: refresh token that bought the new pair.
        tokens: the new pair.
    """
    salt = stored.salt if stored else secrets.token_hex(16)
    former = list(stored.former) if stored else []
    if stored and not stored.knows(configured):  # a new login: the old chain ends here and is remembered as known
        former += [stored.grew_from, fingerprint(salt, stored.tokens.refresh_token)]
        stored = None
    former.append(fingerprint(salt, spent))
    kept = tuple(dict.fromkeys(former))[-LONGEST_HISTORY:]
    return StoredLogin(tokens, salt, stored.grew_from if stored else fingerprint(salt, configured), kept)


class TokenStore:
    """A token file of one app at one site. All methods but `lock` ask for the lock to be held.

    Args:
        path: of the file; its directory must exist. A symbolic link is followed.
        client_id: of the app.
        site: e.g. ``nl``.
        host: host name that the tokens are for.
    """

    def __init__(self, path: Path, client_id: str, site: str, host: str) -> None:
        self.path = Path(os.path.realpath(path.expanduser()))
        self.refresh_cut_short_at: datetime | None = None
        self._owner = {"client_id": client_id, "site": site, "host": host}
        self._new = self.path.with_name(self.path.name + ".new")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the lock that all processes with this file share; says so at least once a minute while it waits.

        Raises:
            AirbyteTracedException: the directory is missing or the lock file cannot be made (config error), or another
                process keeps it for more than ten minutes (transient error).
        """
        if not self.path.parent.is_dir():
            raise _file_error(self.path, "cannot be made: its directory does not exist.")
        lock = FileLock(str(self.path) + ".lock", mode=0o600)
        for _ in range(LOCK_HEARTBEATS):
            try:
                lock.acquire(timeout=LOCK_HEARTBEAT_SECONDS)
                break
            except Timeout:
                logger.info("Waiting for another process that holds the lock of the token file %s.", self.path)
            except OSError as error:
                raise self._unwritable(error) from error
        else:
            raise AirbyteTracedException(
                message=f"Another process keeps the lock of the token file {self.path} for more than ten minutes. "
                "See whether a run hangs.",
                failure_type=FailureType.transient_error,
            )
        try:
            yield
        finally:
            lock.release()

    def load(self) -> StoredLogin | None:
        """The newest state, None where there is no file yet. Takes over what a process that died left behind.

        Raises:
            AirbyteTracedException: the file is damaged, unreadable, or of another app or site (config error).
        """
        stored = self._read(self.path)
        left_behind = self._left_behind()
        if left_behind is None or (stored is not None and not _newer(left_behind, stored)):
            return stored
        logger.warning("An earlier run died while it saved new tokens; they were found complete and are used.")
        self._publish()
        return left_behind

    def begin_refresh(self, now: datetime) -> None:
        """Leaves a mark that tokens are about to be asked for, and proves that they can be stored.

        Raises:
            AirbyteTracedException: the directory cannot be written, or the file cannot be replaced (config error).
        """
        if os.path.ismount(self.path):
            raise _file_error(self.path, "is a mount of its own and cannot be replaced. Mount its directory instead.")
        try:
            self._write_beside({"refresh_began_at": now.isoformat()})
        except OSError as error:
            raise self._unwritable(error) from error

    def end_refresh(self) -> None:
        """Takes the mark away: the refresh ended without new tokens, and none are under way."""
        with suppress(OSError):
            self._new.unlink(missing_ok=True)

    def save(self, login: StoredLogin) -> None:
        """Makes a state durable.

        Raises:
            OSError: it could not be written; the file holds what it held.
        """
        tokens = login.tokens
        content = {
            "about": "Tokens of one Exact Online login. Secret, and replaced at every refresh: do not copy or edit.",
            "format": FORMAT,
            **self._owner,
            "refresh_token": tokens.refresh_token,
            "access_token": tokens.access_token,
            "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
            "expires_in": tokens.life,
            "refreshed_at": tokens.received_at.isoformat() if tokens.received_at else None,
            "salt": login.salt,
            "grew_from": login.grew_from,
            "former": list(login.former),
        }
        self._write_beside(content)
        self._publish()
        self.refresh_cut_short_at = None

    def _write_beside(self, content: Mapping[str, Any]) -> None:
        data = json.dumps(content, indent=1).encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self._new, flags, 0o600)
        try:
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)

    def _publish(self) -> None:
        os.replace(self._new, self.path)
        with suppress(OSError):  # some file systems cannot sync a directory; the rename itself has happened
            handle = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _left_behind(self) -> StoredLogin | None:
        """Tokens that a process wrote beside the file before it died; remembers a mark of a refresh cut short."""
        try:
            content = json.loads(self._new.read_bytes())
            modified = self._new.stat().st_mtime
        except FileNotFoundError:
            return None
        except (OSError, ValueError):  # died while writing: nothing to be had from it but the fact
            self.refresh_cut_short_at = self.refresh_cut_short_at or datetime.now(timezone.utc)
            return None
        if not isinstance(content, dict) or "refresh_token" not in content:
            began = parse_moment(content.get("refresh_began_at")) if isinstance(content, dict) else None
            self.refresh_cut_short_at = began or datetime.fromtimestamp(modified, timezone.utc)
            return None
        return _parse(self._new, content, self._owner)

    def _read(self, path: Path) -> StoredLogin | None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _file_error(path, f"cannot be read ({error.strerror}). Check its permissions.") from error
        try:
            content = json.loads(data)
        except ValueError:
            raise _damaged(path, "is empty" if not data.strip() else "is cut off or is no JSON") from None
        return _parse(path, content, self._owner)

    def _unwritable(self, error: OSError) -> AirbyteTracedException:
        return _file_error(self.path, f"cannot be written ({error.strerror}). Check directory, permissions and space.")


def _newer(left_behind: StoredLogin, stored: StoredLogin) -> bool:
    ours, theirs = left_behind.tokens.received_at, stored.tokens.received_at
    return ours is not None and (theirs is None or ours > theirs)


def _parse(path: Path, content: object, owner: Mapping[str, str]) -> StoredLogin:
    if not isinstance(content, dict):
        raise _damaged(path, "holds no token record")
    if isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise _file_error(path, "was written by a newer version of this connector. Use that version.")
    if content.get("format") != FORMAT or not all(
        isinstance(content.get(name), str) for name in ("refresh_token", "access_token", "salt", "grew_from", *owner)
    ):
        raise _damaged(path, "lacks parts of the token record")
    for name, thing in (("site", "country site"), ("host", "server"), ("client_id", "app (client id)")):
        if content[name] != owner[name]:
            what = f": {content[name]} instead of {owner[name]}" if name != "client_id" else ""
            raise _file_error(
                path,
                f"belongs to another {thing}{what}. Give each login a token file of its own; this one was left alone.",
            )
    expires_at, received_at = parse_moment(content.get("expires_at")), parse_moment(content.get("refreshed_at"))
    former = content.get("former")
    if not content["refresh_token"] or expires_at is None or received_at is None or not isinstance(former, list):
        raise _damaged(path, "lacks parts of the token record")
    tokens = Tokens(
        refresh_token=content["refresh_token"],
        access_token=content["access_token"],
        expires_at=expires_at,
        received_at=received_at,
        life=parse_life(content.get("expires_in")),
    )
    return StoredLogin(tokens, content["salt"], content["grew_from"], tuple(map(str, former)))


def _damaged(path: Path, how: str) -> AirbyteTracedException:
    return _file_error(
        path,
        f"{how}. It was left as it is. Put the newest copy back if there is one; else delete the file, log in again "
        "with `source-exact-online login` and use the new configuration.",
    )


def _file_error(path: Path, what: str) -> AirbyteTracedException:
    return AirbyteTracedException(message=f"The token file {path} {what}", failure_type=FailureType.config_error)
