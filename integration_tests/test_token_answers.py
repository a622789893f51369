"""What a person hears for each kind of answer of the token endpoint, and what the next run does."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from integration_tests.connector import Connector, Run
from integration_tests.sandbox_client import Sandbox

SAYS_HOW_TO_LOG_IN = "source-exact-online login"
TOKENS = "oauth2/token"


@pytest.fixture
def brief(clean: Sandbox) -> Sandbox:
    """The sandbox with access tokens that live a second, so that the next run needs a new one."""
    clean.post("settings", tokens={"life_seconds": 1.0})
    return clean


def told(run: Run) -> str:
    """What a failed `check` tells the person."""
    assert run.exit_code != 0, run.explain()
    return str(run.connection["message"]) if not run.errors else run.errors[0]


def statuses(sandbox: Sandbox) -> list[int | None]:
    return [call.status for call in sandbox.token_calls()]


def with_token_file(sandbox: Sandbox, folder: Path) -> Connector:
    return sandbox.connection(credentials={"token_file": str(folder / "tokens.json")})


def frozen(connector: Connector) -> Connector:
    """The same connection in the hands of a runner that keeps no configuration."""
    return Connector(deepcopy(connector.config))


def test_too_early_keeps_the_access_token_at_hand(clean: Sandbox) -> None:
    """As with a wrong clock: the configuration says that the token is over, and Exact says that it is not."""
    connector = clean.connection(access=True)
    connector.config["credentials"]["token_expiry_date"] = "2020-01-01T00:00:00Z"

    run = connector.read(["journals"])

    assert run.records("journals")
    assert statuses(clean) == [400]
    assert [line for line in run.logs("INFO") if "stays in use" in line]


def test_a_second_login_of_the_same_app_and_user_is_named(clean: Sandbox) -> None:
    clean.post("login", user="twice")
    earlier = clean.post("login", user="twice")
    connector = clean.connection(credentials={"refresh_token": earlier["refresh_token"]})
    clean.post("login", user="twice")

    message = told(connector.check())

    assert "same app and user" in message
    assert SAYS_HOW_TO_LOG_IN in message
    assert statuses(clean) == [400], "a refusal is not repeated"


def test_faults_of_the_gateway_are_waited_out(clean: Sandbox) -> None:
    clean.fault("gateway_fault", path=TOKENS, count=1)
    clean.fault("status", path=TOKENS, status=503, body="", count=1)
    connector = clean.connection()

    run = connector.check()

    assert run.exit_code == 0, run.explain()
    assert sorted(filter(None, statuses(clean))) == [200, 500, 503]


def test_a_lost_answer_is_not_asked_for_twice_and_the_next_run_knows_why_the_login_is_dead(
    clean: Sandbox, tmp_path: Path
) -> None:
    connector = with_token_file(clean, tmp_path)
    clean.fault("lost_answer", path=TOKENS, count=1)

    first = told(frozen(connector).check())
    calls_of_the_first = len(clean.token_calls())
    second = told(frozen(connector).check())

    assert "answer to the token refresh was lost" in first
    assert SAYS_HOW_TO_LOG_IN in first
    assert calls_of_the_first == 1
    assert "cut off before its answer" in second
    assert SAYS_HOW_TO_LOG_IN in second
    assert len(clean.token_calls()) == 2


def test_a_reset_connection_is_no_lost_login(clean: Sandbox, tmp_path: Path) -> None:
    """Exact never carried the refresh out: the run ends, and the next one goes on with the same token."""
    connector = with_token_file(clean, tmp_path)
    clean.fault("reset", path=TOKENS, count=1)

    first = told(frozen(connector).check())
    second = frozen(connector).check()

    assert "Run the sync once more" in first
    assert second.exit_code == 0, second.explain()


def test_two_connections_on_one_login_are_named(brief: Sandbox, tmp_path: Path) -> None:
    """The token that this connection got and saved has been used by somebody else."""
    connector = with_token_file(brief, tmp_path)
    assert frozen(connector).check().exit_code == 0
    newest = json.loads((tmp_path / "tokens.json").read_text())["refresh_token"]
    somebody_else = Connector(deepcopy(connector.config))
    somebody_else.config["credentials"]["refresh_token"] = newest
    del somebody_else.config["credentials"]["token_file"]
    time.sleep(1)
    assert somebody_else.check().exit_code == 0

    message = told(frozen(connector).check())

    assert "two connections" in message
    assert SAYS_HOW_TO_LOG_IN in message


def test_two_users_on_one_token_file_are_told_apart(brief: Sandbox, tmp_path: Path) -> None:
    """Two companies, one app, one EXACT_ONLINE_TOKEN_FILE: the one that comes later keeps the file."""
    first = with_token_file(brief, tmp_path)
    second = with_token_file(brief, tmp_path)
    second.config["credentials"]["refresh_token"] = brief.post("login", user="anna.visser")["refresh_token"]
    assert frozen(first).check().exit_code == 0
    assert frozen(second).check().exit_code == 0
    before = (tmp_path / "tokens.json").read_bytes()
    brief.forget_calls()

    message = told(frozen(first).check())

    assert "later login" in message
    assert "Anna Visser" in message
    assert SAYS_HOW_TO_LOG_IN in message
    assert (tmp_path / "tokens.json").read_bytes() == before
    assert brief.token_calls() == []


def test_a_login_that_was_idle_for_weeks_is_warned_of_while_it_lives(brief: Sandbox, tmp_path: Path) -> None:
    connector = with_token_file(brief, tmp_path)
    frozen(connector).check()
    token_file = tmp_path / "tokens.json"
    age(token_file, timedelta(days=21))
    time.sleep(1)

    run = frozen(connector).check()
    again = frozen(connector).check()

    assert run.exit_code == 0, run.explain()
    assert len([line for line in run.warnings if "not been used for 21 days" in line and "30 idle days" in line]) == 1
    assert [line for line in again.warnings if "idle days" in line] == []


def test_a_new_login_in_the_configuration_replaces_a_chain_that_is_dead(brief: Sandbox, tmp_path: Path) -> None:
    connector = with_token_file(brief, tmp_path)
    frozen(connector).check()
    damaged = json.loads((tmp_path / "tokens.json").read_text())
    damaged["refresh_token"] = "Gcp7!IAAAAneverIssuedByAnybody"
    (tmp_path / "tokens.json").write_text(json.dumps(damaged))
    time.sleep(1)
    assert SAYS_HOW_TO_LOG_IN in told(frozen(connector).check())

    connector.config["credentials"]["refresh_token"] = brief.login()["refresh_token"]

    assert frozen(connector).check().exit_code == 0


@pytest.mark.parametrize("content", ["", '{"format": 1, "refr'])
def test_a_damaged_token_file_is_named_and_left_alone(content: str, clean: Sandbox, tmp_path: Path) -> None:
    connector = with_token_file(clean, tmp_path)
    (tmp_path / "tokens.json").write_text(content)

    message = told(connector.check())

    assert str(tmp_path / "tokens.json") in message
    assert (tmp_path / "tokens.json").read_text() == content
    assert clean.token_calls() == []


def age(token_file: Path, by: timedelta) -> None:
    """Let a token file be from an earlier time."""
    content: dict[str, Any] = json.loads(token_file.read_text())
    for name in ("refreshed_at", "expires_at"):
        content[name] = (datetime.fromisoformat(content[name]).astimezone(timezone.utc) - by).isoformat()
    token_file.write_text(json.dumps(content))
