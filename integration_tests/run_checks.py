"""What a run has to have brought."""

from __future__ import annotations

from integration_tests.connector import Run
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import assert_same, by_key


def assert_complete(run: Run, sandbox: Sandbox, *streams: str, divisions: list[int] | None = None) -> None:
    """Holds some streams of a run against the sandbox, and expects each to have ended well."""
    for stream in streams:
        assert_same(stream, by_key(stream, run.records(stream)), sandbox.expected(stream, divisions))
        assert run.statuses[stream] == "COMPLETE", run.explain()
