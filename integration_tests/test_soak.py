"""A day of hourly syncs in which all goes wrong that can; `make soak` makes it weeks."""

from __future__ import annotations

import subprocess
import sys

from integration_tests.connector import ROOT, environment

DIVISIONS = 5


def test_after_a_day_of_faults_kills_and_changes_the_destination_equals_the_books() -> None:
    command = [
        sys.executable,
        "-m",
        "integration_tests.soak",
        "--days",
        "1",
        "--divisions",
        str(DIVISIONS),
        "--seed",
        "1",
    ]

    # A process of its own: it forks, which pytest's threads forbid, and holds its own memory and descriptors constant.
    ended = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
