"""Write docs/licences.md: the licence of each package that the image installs. `python -m tools.licences`.

Names come from the lock file, licences from what the packages themselves say.
"""

from __future__ import annotations

import re
from collections import defaultdict
from importlib import metadata

from packaging.markers import Marker

from tools.reference import REPOSITORY

LOCK = REPOSITORY / "requirements" / "runtime.txt"
PAGE = REPOSITORY / "docs" / "licences.md"

_IMAGE = {"python_version": "3.11", "python_full_version": "3.11.16", "sys_platform": "linux", "os_name": "posix"}
"""What the image is, for the lock file's conditions."""

_NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""Short names of the licences that packages spell out; BSD alone where they do not say which."""

_TEXT = """\
# Licences

The connector is under the MIT licence. Its image also has the packages that `requirements/runtime.txt` locks, each
under its own licence, as the package itself states it. Those that `setup.py` does not name come with Airbyte's CDK.

**Unidecode is under the GPL** (version 2 or later). The CDK demands it; neither the CDK's code nor the connector
imports it. Whoever passes the image on passes Unidecode on too, under its terms. `certifi`, `orjson` and `tqdm` are
under the Mozilla Public License, wholly or in part. All others are permissive.

The base image has CPython (PSF-2.0) and packages of Debian, whose licences are in it under `/usr/share/doc`.

{table}
`make docs` writes this page anew from the installed packages.
"""


def locked_packages() -> list[str]:
    """Return the names of the packages that the image installs."""
    entries = re.findall(
        r"^([\w.-]+)(?:\[[^\]]*\])?==[^\s;]+ *(?:; *([^\\\n]*))?", LOCK.read_text("utf-8"), re.MULTILINE
    )
    return sorted({name for name, condition in entries if not condition or Marker(condition).evaluate(_IMAGE)})


def licence_of(package: str) -> str:
    """Return the licence that an installed package states.

    Raises:
        LookupError: it states none.
    """
    stated = metadata.metadata(package)
    expressions = stated.get_all("License-Expression") or ()
    if expressions:
        return str(expressions[0])
    classified = [
        text.rpartition(" :: ")[2] for text in stated.get_all("Classifier") or () if text.startswith("License")
    ]
    lines = "".join(map(str, (stated.get_all("License") or ())[:1])).strip().splitlines()
    if not classified and not lines:
        raise LookupError(f"{package} states no licence")
    return " OR ".join(_NAMES.get(name, name) for name in classified or lines[:1])


def page() -> str:
    """Return the page."""
    packages = defaultdict(list)
    for package in locked_packages():
        packages[licence_of(package)].append(f"`{package}`")
    rows = [f"| {licence} | {', '.join(names)} |" for licence, names in sorted(packages.items())]
    return _TEXT.format(table="\n".join(["| Licence | Packages |", "| --- | --- |", *rows, ""]))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
