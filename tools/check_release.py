"""Look into the archives of a release and print what is left to do: `python -m tools.check_release dist`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from source_exact_online.version import VERSION
from tools.reference import REPOSITORY

PACKAGE = "source_exact_online"
DISTRIBUTION = "airbyte_source_exact_online"
BESIDE_THE_PACKAGE = ("LICENSE", "README.md", "pyproject.toml", "setup.py")
"""Files that an sdist needs to be built from."""

NEXT_STEPS = """\
dist/ holds release {version}. Nothing has been published. What is left, for a person with the credentials:
  1. CHANGELOG.md: the day in place of "unreleased"; commit as "release: {version}".
  2. make lint test image image-test
  3. git tag -a v{version} -m "{version}" && git push origin main v{version}
  4. make release, at the tag; with a token of PyPI in UV_PUBLISH_TOKEN:
     .venv/bin/uv publish dist/{distribution}-{version}*
  5. make image IMAGE=airbyte/source-exact-online:{version}, and push that image to its registry
  6. The next version, in {package}/version.py; unit tests name the copies that have to follow, and CHANGELOG.md."""


def package_files() -> set[str]:
    """Return the package's files that are in version control."""
    listing = subprocess.run(["git", "ls-files", "-z", PACKAGE], cwd=REPOSITORY, capture_output=True, check=True)
    return set(listing.stdout.decode().split("\0")) - {""}


def wheel_problems(names: Iterable[str], package: set[str]) -> list[str]:
    """Return what is wrong with the list of a wheel's files: one missing, or one that no user needs."""
    information = f"{DISTRIBUTION}-{VERSION}.dist-info/"
    content = {name for name in names if not name.startswith(information)}
    licence = f"{information}licenses/LICENSE"
    missing = package - content | {licence} - set(names)
    return [f"missing: {name}" for name in sorted(missing)] + [
        f"not wanted: {name}" for name in sorted(content - package)
    ]


def sdist_problems(names: Iterable[str], package: set[str]) -> list[str]:
    """Return what is wrong with the list of an sdist's files: one missing that the wheel is built from."""
    folder = f"{DISTRIBUTION}-{VERSION}/"
    needed = {folder + name for name in {*package, *BESIDE_THE_PACKAGE}}
    return [f"missing: {name}" for name in sorted(needed - set(names))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the archives in a folder; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the wheel and the sdist are")
    folder: Path = parser.parse_args(arguments).folder
    wheel = folder / f"{DISTRIBUTION}-{VERSION}-py3-none-any.whl"
    sdist = folder / f"{DISTRIBUTION}-{VERSION}.tar.gz"
    package = package_files()
    with zipfile.ZipFile(wheel) as archive:
        problems = [f"{wheel.name}: {problem}" for problem in wheel_problems(archive.namelist(), package)]
    with tarfile.open(sdist) as archive:
        problems += [f"{sdist.name}: {problem}" for problem in sdist_problems(archive.getnames(), package)]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    print(NEXT_STEPS.format(version=VERSION, distribution=DISTRIBUTION, package=PACKAGE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
