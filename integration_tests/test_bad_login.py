"""A login or division that Exact Online refuses is told in words that lead on."""

from __future__ import annotations

from copy import deepcopy

import pytest

from integration_tests.bad_input import assert_refused
from integration_tests.connector import Connector
from integration_tests.sandbox_client import Sandbox


def test_a_division_the_login_cannot_read_is_named(clean: Sandbox) -> None:
    connector = clean.connection(divisions=[999_999])

    assert_refused(connector.check(), "999999", "divisions")
    assert_refused(connector.read(["journals"], succeeds=False), "999999", "divisions")


def test_one_unknown_division_among_others_fails_check_and_is_told_by_read(clean: Sandbox) -> None:
    connector = clean.connection(divisions=[999_999, clean.divisions[0]])

    checked = connector.check()
    read = connector.read(["journals"], succeeds=None)

    assert checked.exit_code != 0
    assert checked.connection["status"] == "FAILED"
    assert "999999" in checked.connection["message"]
    assert any("999999" in line for line in read.warnings)
    assert {record["Division"] for record in read.records("journals")} == {clean.divisions[0]}


def test_excluding_every_division_there_is_leaves_nothing_to_read(clean: Sandbox) -> None:
    connector = clean.connection(exclude_divisions=clean.divisions)

    assert_refused(connector.read(["journals"], succeeds=False), "exclude_divisions")


def test_a_login_without_any_division_is_told(clean: Sandbox) -> None:
    connector = clean.connection(login_divisions=[])

    run = connector.check()

    assert run.exit_code != 0
    assert run.connection["status"] == "FAILED"
    assert any(word in run.connection["message"] for word in ("consent", "administration")), run.explain()
    assert connector.read(["journals"], succeeds=False).by_stream == {}


@pytest.mark.parametrize("field", ["client_secret", "client_id"])
def test_a_wrong_client_is_told_apart_from_a_dead_login(field: str, clean: Sandbox) -> None:
    connector = clean.connection()
    connector.config["credentials"][field] = "someThingElse"

    run = connector.check()

    assert run.exit_code != 0
    assert_refused(run, "client id", "client secret")
    assert len(clean.token_calls()) == 1, "a refusal is not repeated"


def test_an_old_refresh_token_asks_for_a_new_login(clean: Sandbox) -> None:
    config = clean.config()
    Connector(deepcopy(config)).check()
    clean.forget_calls()

    run = Connector(config).read(["journals"], succeeds=False)

    assert_refused(run, "used", "source-exact-online login", "token_file")
    assert run.failure_types == ["config_error"] * len(run.failure_types)
    assert len(clean.token_calls()) == 1, "a refusal is not repeated"


def test_a_refresh_token_that_was_idle_for_a_month_asks_for_a_new_login(clean: Sandbox) -> None:
    connector = clean.connection()
    clean.post("clock", advance=31 * 86_400)
    try:
        run = connector.check()
    finally:
        clean.post("clock", advance=-31 * 86_400)

    assert_refused(run, "30 days", "source-exact-online login")


def test_a_refresh_token_from_nowhere_asks_for_a_new_login(clean: Sandbox) -> None:
    connector = clean.connection(credentials={"refresh_token": "Gcp7!IAAAAmadeUp"})

    assert_refused(connector.check(), "refresh token", "source-exact-online login")
