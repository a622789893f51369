"""What is wrong in the input is said in one clear sentence, ends the run with an exit code, and leaves nothing behind."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from integration_tests.connector import Config, Connector, Run, configured_catalog, run_command
from integration_tests.protocol import members
from integration_tests.sandbox_client import Sandbox
from integration_tests.truth import assert_same, by_key

SECRET = "KeepThisSecret4711"
CLIENT_ID = "7bb77a6e-1f0a-4b5c-9e0d-6a31a9c05a5e"
REFRESH_TOKEN = "stampNL001.KeepThisTokenToo!IAAAAsecond"


def offline_config(**changes: Any) -> Config:
    """A configuration whose faults show before anything is sent; nothing listens at its address."""
    config: Config = {
        "site": "nl",
        "base_url": "http://127.0.0.1:9",
        "credentials": {"client_id": CLIENT_ID, "client_secret": SECRET, "refresh_token": REFRESH_TOKEN},
    }
    credentials = changes.pop("credentials", {})
    config.update(changes)
    config["credentials"].update(credentials)
    return config


def without(*path: str) -> Config:
    config = offline_config()
    inner = config
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return config


def sentence(run: Run) -> str:
    """The one sentence in which a run says what is wrong; `check` may say it as status and as error."""
    statuses = [status["message"] for status in members(run.messages, "CONNECTION_STATUS")]
    said = {*statuses, *run.errors}
    assert len(said) == 1, run.explain()
    return said.pop()


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


# -- the files themselves ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["check", "discover", "read"])
def test_a_missing_config_file_is_named(verb: str, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps(configured_catalog(["journals"])))
    arguments = [verb, "--config", str(tmp_path / "absent.json")]
    if verb == "read":
        arguments += ["--catalog", str(catalog)]

    assert_refused(run_command(arguments), "absent.json")


@pytest.mark.parametrize("text", ['{"site": "nl", "credentials": {"client_secret": "' + SECRET + '"', "", "[1, 2]"])
def test_a_config_file_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)

    assert_refused(run_command(["check", "--config", str(path)]), "config.json")


@pytest.mark.parametrize("text", ["{", "[]", '{"streams": [{"stream": {}}]}'])
def test_a_catalogue_file_that_is_no_catalogue_is_refused(text: str, tmp_path: Path) -> None:
    config, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
    config.write_text(json.dumps(offline_config()))
    catalog.write_text(text)

    assert_refused(run_command(["read", "--config", str(config), "--catalog", str(catalog)]), "catalog")


@pytest.mark.parametrize("text", ["{", "7", '[{"type": "STREAM"}]', '[{"type": "NOTHING"}]'])
def test_a_state_file_that_is_no_state_is_refused(text: str, tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.json" for name in ("config", "catalog", "state")}
    paths["config"].write_text(json.dumps(offline_config()))
    paths["catalog"].write_text(json.dumps(configured_catalog(["journals"])))
    paths["state"].write_text(text)
    arguments = [argument for name, path in paths.items() for argument in (f"--{name}", str(path))]

    assert_refused(run_command(["read", *arguments]), "state")


# -- values of the configuration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "words"),
    [
        pytest.param(without("site"), ["site"], id="no site"),
        pytest.param(without("credentials"), ["credentials"], id="no credentials"),
        pytest.param(without("credentials", "client_id"), ["client_id"], id="no client_id"),
        pytest.param(without("credentials", "client_secret"), ["client_secret"], id="no client_secret"),
        pytest.param(without("credentials", "refresh_token"), ["refresh_token"], id="no refresh_token"),
        pytest.param(offline_config(site="us"), ["site"], id="unknown site"),
        pytest.param(offline_config(divisions=["all"]), ["divisions"], id="division in words"),
        pytest.param(offline_config(num_workers=51), ["num_workers"], id="too many workers"),
        pytest.param(offline_config(lookback_window_minutes=-1), ["lookback_window_minutes"], id="negative lookback"),
        pytest.param(offline_config(credentials={"client_secret": ""}), ["client_secret", "empty"], id="empty secret"),
        pytest.param(
            offline_config(credentials={"client_secret": f" {SECRET}"}),
            ["client_secret", "white space"],
            id="blank before",
        ),
        pytest.param(
            offline_config(credentials={"client_secret": f"{SECRET}\n"}),
            ["client_secret", "white space"],
            id="newline after",
        ),
        pytest.param(
            offline_config(credentials={"client_id": f"{CLIENT_ID[:8]} {CLIENT_ID[8:]}"}),
            ["client_id", "white space"],
            id="blank inside the client id",
        ),
        pytest.param(offline_config(start_date="yesterday"), ["start_date"], id="start_date in words"),
        pytest.param(
            offline_config(start_date=(datetime.now(timezone.utc) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")),
            ["start_date", "future"],
            id="start_date tomorrow",
        ),
        pytest.param(
            offline_config(divisions=[1, 2], exclude_divisions=[2, 1]),
            ["exclude_divisions"],
            id="all divisions excluded",
        ),
        pytest.param(
            offline_config(base_url="https://start.exactonline.example.com"), ["base_url"], id="base_url elsewhere"
        ),
        pytest.param(offline_config(base_url="http://start.exactonline.nl"), ["base_url"], id="base_url in the clear"),
        pytest.param(
            offline_config(base_url="https://start.exactonline.nl.example.com"), ["base_url"], id="base_url looks alike"
        ),
        pytest.param(
            offline_config(base_url="http://127.0.0.1@example.com"), ["base_url"], id="base_url with a loopback user"
        ),
        pytest.param(offline_config(base_url="http://127.0.0.1:port"), ["base_url"], id="base_url with a bad port"),
    ],
)
def test_a_bad_value_is_named_with_its_field(config: Config, words: list[str]) -> None:
    assert_refused(Connector(config).check(), *words)


def test_read_refuses_a_bad_value_like_check() -> None:
    config = offline_config(base_url="https://example.com")

    assert_refused(Connector(config).read(["journals"], succeeds=False), "base_url")


def test_unknown_fields_are_ignored() -> None:
    config = offline_config(__injected_declarative_manifest={}, workspace="a field of the platform's")

    run = Connector(config).discover()

    assert run.exit_code == 0, run.explain()
    assert len(members(run.messages, "CATALOG")) == 1


def test_a_stream_that_does_not_exist_is_named() -> None:
    catalog = configured_catalog(["journals", "accounts"])
    unknown = deepcopy(catalog["streams"][0])
    unknown["stream"]["name"] = "jornals"
    catalog["streams"].append(unknown)

    assert_refused(Connector(offline_config()).read(catalog, succeeds=False), "jornals")


# -- what only Exact Online can tell -------------------------------------------------------------------------------------


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


# -- states that do not fit ------------------------------------------------------------------------------------------------


def stream_state(stream: str, blob: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": blob}}]


UNFIT_STATES = {
    "journals": {"Modified": "2026-01-01T00:00:00Z"},
    "cost_centers": {"version": 1, "divisions": []},
    "cost_units": {"version": 1, "divisions": {"{division}": {"Modified": 4711}}},
    "gl_accounts": {"version": 1, "divisions": {"{division}": "done"}},
    "accounts": {"version": 1, "divisions": {"{division}": {"Timestamp": "many"}}},
    "items": {"version": 1, "divisions": {"{division}": {"pass": {}}}},
    "item_groups": {"version": "one", "divisions": {}},
}
"""By stream: a state of another connector, of a wrong type, with a number for a time, and so on."""


def test_states_that_do_not_fit_are_ignored_with_a_warning_each(clean: Sandbox) -> None:
    division = clean.divisions[0]
    filled = json.loads(json.dumps(UNFIT_STATES).replace("{division}", str(division)))
    state = [entry for stream, blob in filled.items() for entry in stream_state(stream, blob)]

    run = clean.connection(divisions=[division]).read(configured_catalog(UNFIT_STATES), state)

    for stream in UNFIT_STATES:
        assert [line for line in run.warnings if f" {stream} " in line and "state" in line], run.explain()
        assert_same(stream, by_key(stream, run.records(stream)), clean.expected(stream, [division]))


def test_a_state_from_the_future_skips_no_rows(clean: Sandbox) -> None:
    division = clean.divisions[0]
    blob = {"version": 1, "divisions": {str(division): {"Modified": "2199-01-01T00:00:00.000"}}}

    run = clean.connection(divisions=[division]).read(["journals"], stream_state("journals", blob), succeeds=None)

    if run.exit_code == 0:
        assert run.warnings
        assert_same("journals", by_key("journals", run.records("journals")), clean.expected("journals", [division]))
    else:
        assert_refused(run, "journals", "state")


def test_a_row_version_from_the_future_skips_no_rows(clean: Sandbox) -> None:
    division = clean.divisions[0]
    first = clean.connection(divisions=[division]).read(["accounts"])
    state = deepcopy(first.state)
    position = state[0]["stream"]["stream_state"]["divisions"][str(division)]
    position["Modified"] = "2199-01-01T00:00:00.000"
    position["Timestamp"] = str(10**17)

    run = clean.connection(divisions=[division]).read(["accounts"], state, succeeds=None)

    if run.exit_code == 0:
        assert run.warnings
        assert_same("accounts", by_key("accounts", run.records("accounts")), clean.expected("accounts", [division]))
    else:
        assert_refused(run, "accounts", "state")


def test_a_state_of_a_newer_version_is_refused(clean: Sandbox) -> None:
    run = clean.connection().read(
        ["journals"], stream_state("journals", {"version": 99, "divisions": {}}), succeeds=False
    )

    assert_refused(run, "journals", "newer")
