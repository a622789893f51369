"""A release that lacks a file, or brings one too many, is noticed before anybody publishes it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from source_exact_online.version import VERSION
from tools import check_release

STEM = f"airbyte_source_exact_online-{VERSION}"
LICENSE = f"{STEM}.dist-info/licenses/LICENSE"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    files = {"source_exact_online/run.py", "source_exact_online/spec.yaml"}
    monkeypatch.setattr(check_release, "package_files", lambda: files)
    return files


def built(folder: Path, wheel: set[str], sdist: set[str]) -> str:
    with zipfile.ZipFile(folder / f"{STEM}-py3-none-any.whl", "w") as archive:
        for name in wheel:
            archive.writestr(name, "")
    with tarfile.open(folder / f"{STEM}.tar.gz", "w:gz") as tar:
        for name in sdist:
            tar.addfile(tarfile.TarInfo(f"{STEM}/{name}"), io.BytesIO())
    return str(folder)


def test_complete_archives_pass_and_the_next_steps_are_printed(
    package: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = built(tmp_path, {*package, LICENSE}, {*package, *check_release.BESIDE_THE_PACKAGE})

    assert check_release.main([folder]) == 0
    assert f"git tag -a v{VERSION}" in capsys.readouterr().out


def test_missing_and_unwanted_files_are_named(
    package: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = built(
        tmp_path,
        {"source_exact_online/run.py", "unit_tests/conftest.py", LICENSE},
        {*package, "README.md", "pyproject.toml", "setup.py"},
    )

    assert check_release.main([folder]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{STEM}-py3-none-any.whl: missing: source_exact_online/spec.yaml",
        f"{STEM}-py3-none-any.whl: not wanted: unit_tests/conftest.py",
        f"{STEM}.tar.gz: missing: {STEM}/LICENSE",
    ]


def test_a_wheel_without_its_licence_is_noticed(package: set[str]) -> None:
    assert check_release.wheel_problems(package, package) == [f"missing: {LICENSE}"]


def test_the_files_of_the_package_are_those_in_version_control() -> None:
    assert {"source_exact_online/version.py", "source_exact_online/spec.yaml"} <= check_release.package_files()
