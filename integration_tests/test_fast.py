"""Airbyte's standard connector tests (FAST) pass against the sandbox; `make fast` runs them alone and shows each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from integration_tests.connector import ROOT, environment

PLUGIN = "airbyte_cdk.test.standard_tests.pytest_hooks"


def test_the_standard_tests_pass() -> None:
    """In a process of their own, since they bring command line options."""
    if (ROOT / "secrets/config.json").exists():
        pytest.skip(
            "secrets/config.json holds a login of yours, which no test spends: `make fast` does, if you want it"
        )
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", "-m", "not image_tests", "-q"]
    run = subprocess.run(
        [*command, "integration_tests/standard_checks.py"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
