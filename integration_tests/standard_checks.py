"""Airbyte's standard connector tests (FAST) on the connector, with the sandbox as Exact Online.

`make fast` runs them, `make fast-image` those that need the image. Not collected by `make test`: they bring pytest
options of their own. The scenarios stand in acceptance-test-config.yml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from airbyte_cdk.test.standard_tests.source_base import SourceTestSuiteBase

from integration_tests.conftest import MANY_CALLS
from integration_tests.sandbox_client import SOME_OF_ALL
from source_exact_online import SourceExactOnline

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "secrets/config.json"


@pytest.fixture(scope="module", autouse=True)
def config_of_the_sandbox(request: pytest.FixtureRequest) -> Iterator[None]:
    """Puts the configuration of a sandbox where the scenarios look for one; a file that is there already is used as is.

    It has an access token that lives: each scenario reads the file anew, and would spend the refresh token otherwise.
    """
    if CONFIG.exists():
        yield
        return
    # Each stream has to bring a record, the log of deleted rows among them.
    sandbox = request.getfixturevalue("start_sandbox")(
        "--divisions",
        "1",
        *SOME_OF_ALL,
        "--minute-limit",
        MANY_CALLS,
        "--daily-limit",
        MANY_CALLS,
    )
    (division,) = sandbox.divisions
    sandbox.delete(division, "documents/Documents", sandbox.truth("documents/Documents", division)[0]["ID"])
    CONFIG.parent.mkdir(exist_ok=True)
    try:
        CONFIG.write_text(json.dumps(sandbox.config(access=True)), encoding="utf-8")
        yield
    finally:
        CONFIG.unlink()


class TestStandard(SourceTestSuiteBase):
    """Airbyte's tests; `make fast-image` runs those among them that need the image."""

    connector = SourceExactOnline
    connector_name = "source-exact-online"

    @classmethod
    def get_connector_root_dir(cls) -> Path:
        """The repository, whatever its directory is called."""
        return ROOT
