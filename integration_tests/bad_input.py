"""How the refusal of bad input has to look."""

from __future__ import annotations

from integration_tests.connector import Run
from integration_tests.protocol import members

SECRET = "KeepThisSecret4711"
CLIENT_ID = "7bb77a6e-1f0a-4b5c-9e0d-6a31a9c05a5e"
REFRESH_TOKEN = "stampNL001.KeepThisTokenToo!IAAAAsecond"


def sentence(run: Run) -> str:
    """The one sentence in which a run says what is wrong; `check` may say it as status and as error."""
    statuses = [status["message"] for status in members(run.messages, "CONNECTION_STATUS")]
    said = {*statuses, *run.errors}
    assert len(said) == 1, run.explain()
    return str(said.pop())


def assert_refused(run: Run, *words: str) -> None:
    """Refuses the run's input: one clear sentence with these words, no record, no secret, and an exit code."""
    assert run.exit_code != 0, run.explain()
    text = sentence(run)
    assert 10 < len(text) < 700, text
    assert not any(noise in text for noise in ("Traceback", 'File "', "Error(", "airbyte_cdk", "NoneType")), text
    for word in words:
        assert word.lower() in text.lower(), f"{word!r} is not in: {text}"
    assert not run.by_stream, "records were emitted"
    assert not members(run.messages, "STATE"), "a state was emitted"
    for output in (run.stdout, run.stderr):
        assert SECRET not in output
        assert REFRESH_TOKEN not in output
    assert "Traceback" not in run.stderr, run.stderr
