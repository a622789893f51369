"""Change the rooms where a silent mistake costs data or a login, a line at a time, and see whether their tests notice.

`python -m tools.mutate` changes all of them, `python -m tools.mutate page records` some. mutmut makes the changes and
runs the tests. Each module meets the few test files that speak of its rules, so that a run has an end; what a test far
above might have noticed counts as unnoticed. Not changed are module level, functions with a decorator, and wording:
lines that log or hold a sentence.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.reference import REPOSITORY

PACKAGE = "source_exact_online"
WORKSHOP = REPOSITORY / ".cache" / "mutate"
"""Where the changed copies live, a directory per module."""

BESIDE = ("reference", "sandbox", "tools", "unit_tests")
"""What the tests need of the repository beside the package."""

TESTS: Mapping[str, Sequence[str]] = {
    "state/transitions.py": ["test_transitions.py", "test_position_promises.py"],
    "api/page.py": ["test_page.py"],
    "api/repair.py": ["test_page.py"],
    "api/rate_limits.py": ["test_quota.py", "test_request_quota.py"],
    "read/list_partition.py": [
        "test_damaged_answers.py",
        "test_feeds.py",
        "test_full_refresh.py",
        "test_listing_by_year.py",
        "test_lists.py",
        "test_login_listings.py",
        "test_order_charge_lines.py",
        "test_resuming.py",
        "test_start_date.py",
        "test_undocumented.py",
        "test_values.py",
    ],
    "read/records.py": ["test_records.py", "test_values.py"],
    "auth/token_file.py": [
        "test_token_file_journal.py",
        "test_token_file_of_two_logins.py",
        "test_token_file_safety.py",
        "test_token_store_file.py",
    ],
    "auth/token_store.py": [
        "test_token_file_journal.py",
        "test_token_file_of_two_logins.py",
        "test_token_store_file.py",
        "test_token_store_rules.py",
    ],
    "auth/precedence.py": ["test_auth_state.py"],
    "auth/refresh_transitions.py": ["test_auth_refresh_rules.py", "test_auth_state.py"],
}
"""Unit tests of each module."""

CHANGE_NOTHING: Mapping[str, Mapping[tuple[str, str], str]] = {
    "api/page.py": {
        ("link: Any = None", 'link: Any = ""'): "neither is a link",
    },
    "api/rate_limits.py": {
        ("self.headerless_until_ms = 0.0", "self.headerless_until_ms = 1.0"): "either moment of 1970 has passed",
        (
            "elif reset_ms > self.reset_ms or (reset_ms > now_ms and not self.from_headers):",
            "elif reset_ms >= self.reset_ms or (reset_ms > now_ms and not self.from_headers):",
        ): "what is said of a window that has ended ends with it",
    },
    "read/list_partition.py": {
        (
            "if len(found) < len(listings) or len({listing.started_at for listing in found}) > 1:",
            "if len(found) < len(listings) or len({listing.started_at for listing in found}) > 2:",
        ): "no listing serves more than two streams",
        **{
            (
                "self._listing = min(found, key=lambda listing: listing.pages)",
                f"self._listing = min(found, {added})",
            ): "of today's lists none serves more than one stream"
            for added in ("key=None", "", "key=lambda listing: None")
        },
    },
    "read/records.py": {
        (
            "for row, text in zip(rows, texts, strict=True):",
            f"for row, text in zip(rows, texts, {added}):",
        ): "a text a row"
        for added in ("strict=None", "", "strict=False")
    },
}
"""Changes that no test can notice, by what they take away and what they put in its place, and why."""

_FALSE = re.compile(r"(self\.\w+ = )False")
"""None in its place changes nothing either: mypy holds the attribute to be a bool, of which only the truth is asked."""

SETTINGS = """
[tool.mutmut]
source_paths = ["{package}"]
only_mutate = ["{package}/{module}"]
also_copy = {beside}
process_isolation = "forkserver"
forkserver_warmup = "import"
preload_modules_file = "preload.txt"
timeout_multiplier = 10.0
do_not_mutate_patterns = ['logger\\.', '"[^"]* [^"]* [^"]*"']
pytest_add_cli_args = ["-m", "not slow and not soak", "-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
"""
"""What mutmut is told. A server forks one process per change. It has imported neither our code nor its tests yet, so
that no cache and no constant of a test hides a change."""

PRELOAD = ("airbyte_cdk.entrypoint", "hypothesis", "msgspec", "requests")
"""What that server imports, as it takes long."""

KILLED = {1, 3}
TIMED_OUT = {36, -24, 24, 152, 255, -9}
"""Exit codes of mutmut's processes. A change that makes the tests hang has been noticed."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that no test noticed.

    Attributes:
        line: in the module.
        removed: text that it took away.
        added: text in its place.
    """

    line: int
    removed: str
    added: str


def change_of(diff: str, name: str, source: str) -> Change:
    """Return the change that a diff of one function shows.

    Args:
        diff: unified; its line numbers count from somewhere before the function.
        name: mutmut's, with the function in it.
        source: text of the module.
    """
    removed = [line[1:] for line in diff.splitlines() if re.match(r"-(?!--)", line)]
    added = [line[1:] for line in diff.splitlines() if re.match(r"\+(?!\+\+)", line)]
    hunk = re.search(r"^@@ -(\d+)[^\n]*\n((?: [^\n]*\n?)*)", diff, re.MULTILINE)
    offset = int(hunk[1]) + hunk[2].count("\n") if hunk else 1
    start, end = _lines_of(name, source)
    text = source.splitlines()
    same = [n for n in range(start, end + 1) if removed and text[n - 1].strip() == removed[0].strip()]
    line = min(same, key=lambda n: abs(n - start - offset + 1), default=start)
    return Change(line, _one_line(removed), _one_line(added))


def _one_line(lines: Iterable[str]) -> str:
    return " ".join(line.strip() for line in lines)


def _lines_of(name: str, source: str) -> tuple[int, int]:
    """Return the first and the last line of the function that mutmut's name of a change stands for."""
    *_, owner, function = re.split("ǁ|\\.x_", name.partition("__mutmut_")[0])
    for node in ast.walk(ast.parse(source)):
        body = node.body if isinstance(node, ast.ClassDef) and node.name == owner else []
        if isinstance(node, ast.Module) and "ǁ" not in name:
            body = node.body
        for one in body:
            if isinstance(one, ast.FunctionDef) and one.name == function:
                return one.lineno, one.end_lineno or one.lineno
    raise LookupError(f"no function for {name}")


def changes_nothing(module: str, change: Change) -> bool:
    """Return whether a change that no test noticed is one that none can notice."""
    same = _FALSE.fullmatch(change.removed)
    if same is not None and change.added == f"{same[1]}None":
        return True
    return (change.removed, change.added) in CHANGE_NOTHING.get(module, {})


def check(module: str, arguments: Sequence[str]) -> tuple[int, int, list[Change]]:
    """Run all changes of a module. Return how many there were, how many were noticed, and the others.

    Args:
        module: path within the package.
        arguments: more for mutmut's command line.

    Raises:
        CalledProcessError: mutmut or the unchanged tests failed; its output is on stdout.
    """
    folder = WORKSHOP / module.removesuffix(".py").replace("/", ".")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in (PACKAGE, *BESIDE):
        (folder / name).symlink_to(REPOSITORY / name)
    tests = [f"unit_tests/{name}" for name in TESTS[module]]
    settings = SETTINGS.format(package=PACKAGE, module=module, tests=json.dumps(tests), beside=json.dumps(BESIDE))
    (folder / "preload.txt").write_text("\n".join(PRELOAD))
    (folder / "pyproject.toml").write_text((REPOSITORY / "pyproject.toml").read_text() + settings)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    run = subprocess.run([mutmut, "run", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        print(re.sub(r"[^\n]*\r", "", run.stdout)[-10_000:], run.stderr, sep="\n")
        run.check_returncode()
    results = json.loads((folder / "mutants" / PACKAGE / f"{module}.meta").read_text())["exit_code_by_key"]
    source = (REPOSITORY / PACKAGE / module).read_text()
    unnoticed = []
    for name, code in results.items():
        if code not in KILLED | TIMED_OUT:
            shown = subprocess.run([mutmut, "show", name], cwd=folder, capture_output=True, text=True, check=True)
            unnoticed.append(change_of(shown.stdout, name, source))
    return len(results), len(results) - len(unnoticed), sorted(unnoticed, key=lambda change: change.line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the chosen modules and print what was noticed; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [Path(module).stem for module in TESTS]
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"one of {', '.join(names)}; all of them if none")
    parser.add_argument("--processes", default="2", help="changes tried at once")
    options = parser.parse_args(arguments)
    if unknown := set(options.modules) - set(names):
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    lines = []
    for module in TESTS:
        if not options.modules or Path(module).stem in options.modules:
            total, noticed, unnoticed = check(module, ["--max-children", options.processes])
            left = [change for change in unnoticed if not changes_nothing(module, change)]
            for change in left:
                print(f"{PACKAGE}/{module}:{change.line}\n  - {change.removed}\n  + {change.added}", flush=True)
            total -= len(unnoticed) - len(left)
            lines.append(f"{module:28} {noticed:4} of {total:4} changes noticed: {noticed / total:.1%}")
            print(lines[-1], flush=True)
    if len(lines) > 1:
        print("", *lines, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
