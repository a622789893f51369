"""What `make mutate` prints of a change that no test noticed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools.mutate import BESIDE, CHANGE_NOTHING, PACKAGE, TESTS, Change, change_of, changes_nothing
from tools.reference import REPOSITORY

SOURCE = """\
import math


# A comment that mutmut counts as part of the function.
def area(side: float) -> float:
    if side < 0:
        return 0.0
    return side * side


class Square:
    def area(self) -> float:
        if self.side < 0:
            return 0.0
        return self.side * self.side

    def other(self) -> float:
        return dict(
            side=self.side,
            area=self.area(),
        )
"""


@pytest.mark.parametrize(
    ("name", "diff", "change"),
    [
        (
            "shapes.x_area__mutmut_3",
            "--- a\n+++ a\n@@ -1,5 +1,5 @@\n # A comment\n def area(side: float) -> float:\n"
            "-    if side < 0:\n+    if side <= 0:\n         return 0.0\n",
            Change(6, "if side < 0:", "if side <= 0:"),
        ),
        (
            "shapes.xǁSquareǁarea__mutmut_1",
            "--- a\n+++ a\n@@ -1,4 +1,4 @@\n def area(self) -> float:\n     if self.side < 0:\n"
            "-        return 0.0\n+        return 1.0\n     return self.side * self.side\n",
            Change(14, "return 0.0", "return 1.0"),
        ),
        (
            "shapes.xǁSquareǁother__mutmut_2",
            "--- a\n+++ a\n@@ -1,5 +1,4 @@\n def other(self) -> float:\n     return dict(\n"
            "         side=self.side,\n-        area=self.area(),\n     )\n",
            Change(20, "area=self.area(),", ""),
        ),
    ],
    ids=["in a function", "in a method of the same name", "of nothing but a removal"],
)
def test_a_change_has_its_place_in_the_module(name: str, diff: str, change: Change) -> None:
    assert change_of(diff, name, SOURCE) == change


def test_modules_and_tests_exist() -> None:
    paths = [Path(PACKAGE, module) for module in TESTS]
    paths += [Path("unit_tests", name) for names in TESTS.values() for name in names]

    assert [path for path in paths if not (REPOSITORY / path).is_file()] == []


def test_what_the_tests_import_is_beside_them() -> None:
    needed = set()
    for name in {name for names in TESTS.values() for name in names}:
        for node in ast.walk(ast.parse((REPOSITORY / "unit_tests" / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                needed.add(node.module.partition(".")[0])

    assert {name for name in needed if (REPOSITORY / name).is_dir()} <= {PACKAGE, *BESIDE}


@pytest.mark.parametrize(
    ("removed", "added", "nothing"),
    [
        ("self._warned = False", "self._warned = None", True),
        ("self._warned = False", "self._warned = True", False),
        ("warned = False", "warned = None", False),
        ("self.headerless_until_ms = 0.0", "self.headerless_until_ms = 1.0", True),
    ],
)
def test_a_change_that_changes_nothing_is_known(removed: str, added: str, nothing: bool) -> None:
    assert changes_nothing("api/rate_limits.py", Change(7, removed, added)) is nothing


def test_changes_that_change_nothing_are_still_possible() -> None:
    gone = [
        (module, removed)
        for module, changes in CHANGE_NOTHING.items()
        for removed, _ in changes
        if removed not in (REPOSITORY / PACKAGE / module).read_text(encoding="utf-8")
    ]

    assert gone == []
