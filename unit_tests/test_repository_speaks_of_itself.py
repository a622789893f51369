"""No file of the repository points at the machine it was written on, and the lock files pin what they install."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCK_FILES = sorted((ROOT / "requirements").glob("*.txt"))

# Homes and mounts of some machine; a path inside the image or under /tmp in an example is no such thing.
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home/(?!airbyte\b)[a-z]|Users/[A-Za-z]|root/|mnt/)")
INDEX_OPTION = re.compile(r"^\s*(--(extra-)?index-url|--find-links|--trusted-host|-[if] )|\s@\s+\w+://", re.MULTILINE)


def tracked_text_files() -> list[Path]:
    """Returns the files that are in version control, or that would be, without binary ones and links."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    files = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink() and b"\0" not in file.read_bytes()]


def test_no_file_names_a_path_of_one_machine() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("without git and a clone it cannot be told which files belong to the repository")
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for file in tracked_text_files()
        if file != Path(__file__)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]

    assert found == []


def test_no_merge_is_left_half_done() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("without git and a clone it cannot be told which files belong to the repository")
    marker = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
    found = [file for file in tracked_text_files() if marker.search(file.read_text(encoding="utf-8"))]

    assert found == []


def test_files_that_hold_secrets_are_ignored_by_git_and_by_the_image() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("without git and a clone nothing can be ignored")
    names = [
        "config.json",
        "tokens.json",
        "tokens.json.lock",
        "tokens.json.new",
        "tokens.json.pending",
        "config.tokens.json",
        "config.tokens.json.pending",
        "exact.duckdb",
        "exact.duckdb.lock",
        "report.html",
        "secrets/config.json",
        ".tmp/config.json",
    ]
    ignored = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ignored.stdout.splitlines() == names
    image = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in image, "what is not allowed stays out"
    assert not [line for line in image if line.startswith("!") and ("json" in line or "secrets" in line)]


@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=lambda file: file.name)
def test_lock_files_pin_each_package_with_hashes_and_name_no_index(lock_file: Path) -> None:
    text = lock_file.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())

    assert INDEX_OPTION.search(text) is None
    assert [entry.splitlines()[0] for entry in entries if not re.match(r"[\w.-]+(\[[^]]+\])?==\S+", entry)] == []
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_runtime_is_locked_alike_for_users_and_developers() -> None:
    runtime, dev = (
        set(re.findall(r"^[A-Za-z0-9][^\\\n]*", (ROOT / "requirements" / name).read_text(encoding="utf-8"), re.M))
        for name in ("runtime.txt", "dev.txt")
    )

    assert runtime <= dev
