"""The folder of a load, in which rows wait and dlt works."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = "exact-online-load-"
_LOCK = "lock"
_CONTENT = "content"
"""Made once the lock is held: a folder with it and without a holder belongs to nobody any more."""
_NEVER_BEGUN = 24 * 3600
"""Age in seconds from which that also goes for a folder without it: its load died before it made it."""
_GONE = ".gone"
"""End of the name of a folder that is being removed, which may end half-way: without content it would look new."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder that only its user may read, and remove it in the end.

    Those of loads that were killed are removed before. A load holds a lock in its own, which the operating system frees
    when the process dies.
    """
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        own = Path(name)
        with FileLock(own / _LOCK):
            content = own / _CONTENT
            content.mkdir()
            for other in own.parent.glob(f"{_PREFIX}*"):
                if other != own:
                    _remove_abandoned(other, own.stat())
            yield content


def _remove_abandoned(folder: Path, own: os.stat_result) -> None:
    """Remove the folder of a load that has died; what belongs to another user than our own is left alone."""
    try:
        found = folder.lstat()
        if not (stat.S_ISDIR(found.st_mode) and found.st_uid == own.st_uid):
            return
        if not folder.name.endswith(_GONE):
            if not (folder / _CONTENT).is_dir() and own.st_mtime - found.st_mtime < _NEVER_BEGUN:
                return
            with FileLock(folder / _LOCK, timeout=0):
                pass
            folder = folder.rename(f"{folder}{_GONE}")
    except (OSError, Timeout):
        return
    shutil.rmtree(folder, ignore_errors=True)
