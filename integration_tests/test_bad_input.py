"""What is wrong in the files is said in one clear sentence, with an exit code, and leaves nothing behind."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from integration_tests.bad_input import CLIENT_ID, REFRESH_TOKEN, SECRET, assert_refused
from integration_tests.connector import Config, Connector, configured_catalog, run_command
from integration_tests.protocol import members


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
