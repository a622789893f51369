"""Files that only this user may read or write, in a directory that others may have prepared.

Nothing that was there before is written to or followed: a file is made anew. What is read must be a regular file of
this user, and reading it never waits (a named pipe would).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

LONGEST = 4 * 1024 * 1024
"""Bytes of a file that are read; a token record with its longest histories has some 130,000."""


class UnfitFileError(Exception):
    """What is there is not to be read; the text says why."""


def create(path: Path) -> int:
    """Make a file anew, in place of whatever is there, and open it for writing.

    Returns:
        The descriptor; the caller closes it.

    Raises:
        OSError: it cannot be made.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    handle = os.open(path, flags, 0o600)
    with suppress(OSError, AttributeError):  # some mounts have one mode for all files, and Windows has none
        os.fchmod(handle, 0o600)
    return handle


def write(handle: int, data: bytes) -> None:
    """Write all of it.

    Raises:
        OSError: the disk is full or broken.
    """
    while data:
        data = data[os.write(handle, data) :]


def read(path: Path) -> bytes | None:
    """Return the content of a file, None where there is none.

    Raises:
        OSError: it cannot be read.
        UnfitFileError: it is no regular file, of another user or too long.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise UnfitFileError("is no regular file")
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            raise UnfitFileError(f"belongs to another user of this machine (uid {found.st_uid})")
        if found.st_size > LONGEST:
            raise UnfitFileError("is too long for a token file")
        return b"".join(iter(lambda: os.read(handle, 65536), b""))
    finally:
        os.close(handle)


def everybody_may_write(directory: Path) -> bool:
    """Return whether every user of the machine may write into a directory."""
    try:
        return bool(directory.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return False
