"""The folder in which a load's rows wait: what a killed load leaves goes with the next one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from source_exact_online.load.scratch import scratch_folder

DIES = """
import os
from source_exact_online.load.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "rows.arrows").write_text("rows")
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_for_its_user_alone_and_goes_in_the_end(temporary: Path) -> None:
    with scratch_folder() as folder:
        (folder / "rows.arrows").touch()
        (made,) = temporary.iterdir()
        assert made.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []


def test_what_a_killed_load_has_left_goes_with_the_next_one(temporary: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES], env={"TMPDIR": str(temporary)}, check=False)
    (left,) = temporary.glob("*/*/rows.arrows")
    with scratch_folder():
        assert not left.exists()
    assert list(temporary.iterdir()) == []


DIES_CLEANING_UP = """
import os
from source_exact_online.load.scratch import scratch_folder
rmdir = os.rmdir
os.rmdir = lambda *folder, **options: (rmdir(*folder, **options), os.kill(os.getpid(), 9))
with scratch_folder():
    pass
"""


def test_what_a_load_has_left_that_was_killed_while_it_cleaned_up_goes_with_the_next_one(temporary: Path) -> None:
    for program in (DIES, DIES_CLEANING_UP):
        subprocess.run([sys.executable, "-c", program], env={"TMPDIR": str(temporary)}, check=False)
    assert list(temporary.iterdir())
    with scratch_folder():
        pass
    assert list(temporary.iterdir()) == []


def test_what_another_load_still_uses_stays(temporary: Path) -> None:
    with scratch_folder() as other:
        (other / "rows.arrows").touch()
        with scratch_folder():
            assert (other / "rows.arrows").exists()


def test_a_folder_without_content_goes_a_day_after_it_was_made(temporary: Path) -> None:
    now = time.time()
    for name, hours in (("young", 23), ("old", 25)):
        folder = temporary / f"exact-online-load-{name}"
        folder.mkdir()
        (folder / "lock").touch()
        os.utime(folder, (now - hours * 3600, now - hours * 3600))
    with scratch_folder():
        pass
    assert [folder.name for folder in temporary.iterdir()] == ["exact-online-load-young"]


def test_what_is_no_folder_of_a_load_stays(temporary: Path) -> None:
    (temporary / "elsewhere" / "rows").mkdir(parents=True)
    (temporary / "exact-online-load-link").symlink_to("elsewhere")
    (temporary / "exact-online-load-notes.txt").touch()
    (temporary / "exact-online-load-just-made").mkdir()
    before = sorted(temporary.rglob("*"))
    with scratch_folder():
        pass
    assert sorted(temporary.rglob("*")) == before
