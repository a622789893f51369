"""Several real processes on one token file."""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path

import pytest

from unit_tests.token_process import (
    ARRIVED,
    ASKING,
    DURABLE,
    FIRST_REFRESH_TOKEN,
    authenticator,
    kill_at_random,
    token_server,
    use_tokens,
)

pytestmark = pytest.mark.slow

SPAWN = multiprocessing.get_context("spawn")


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_share_a_token_file_are_never_refused(processes: int, tmp_path: Path) -> None:
    token_file = tmp_path / "tokens.json"
    with token_server(life=0.5) as (base_url, rules):
        children = [SPAWN.Process(target=use_tokens, args=(base_url, str(token_file), 2.5)) for _ in range(processes)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0] * processes
        assert rules.refusals == []
        assert rules.issued >= 5
        assert json.loads(token_file.read_text())["refresh_token"] == rules.refresh_token


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_login_outlives_a_kill_at_any_moment_once_the_answer_has_arrived(tmp_path: Path) -> None:
    with token_server(life=0.05) as (base_url, _), SPAWN.Pool(1) as pool:
        outcomes = pool.apply(kill_at_random, (base_url, str(tmp_path / "tokens.json"), 30, 7))
    lost = [reached for survived, reached in outcomes if not survived]
    assert len(outcomes) == 30
    assert DURABLE not in lost
    assert lost.count(ARRIVED) <= 1  # a kill may hit the 0.3 ms until the answer is on record
    assert lost.count(ASKING) < 10  # nobody can help where the answer was still under way


def test_process_that_comes_later_goes_on_with_the_token_of_the_first(tmp_path: Path) -> None:
    with token_server(life=600.0) as (base_url, rules):
        tokens = {authenticator(base_url, str(tmp_path / "tokens.json")).get_access_token() for _ in range(3)}
        assert len(tokens) == 1
        assert rules.issued == 1
        assert rules.refresh_token != FIRST_REFRESH_TOKEN
