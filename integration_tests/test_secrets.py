"""No secret appears in any output, whatever happens, except in the messages that hand a new login to the platform."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from integration_tests.connector import Connector, Run, configured_catalog, stdout_lines
from integration_tests.outputs import Outputs
from integration_tests.protocol import members
from integration_tests.sandbox_client import Sandbox

SECRETS = ("client_secret", "refresh_token", "access_token")


def secrets_of(*configs: dict[str, Any]) -> set[str]:
    """Every secret of some configurations, also in the forms it has in a URL or a form."""
    found = {config["credentials"].get(name) for config in configs for name in SECRETS}
    plain = {secret for secret in found if secret}
    return plain | {quote(secret, safe="") for secret in plain} | {quote_plus(secret) for secret in plain}


def assert_silent(run: Run, secrets: set[str]) -> None:
    lines = [line for line in stdout_lines(run.stdout) if json.loads(line)["type"] != "CONTROL"]
    for secret in secrets:
        assert secret not in run.stderr
        assert [line[:300] for line in lines if secret in line] == []
    for output in (*lines, *run.stderr.splitlines()):
        assert "Bearer ey" not in output
        assert "Bearer stamp" not in output


def nothing(sandbox: Sandbox, config: dict[str, Any]) -> None:
    """All goes well."""


def expired(sandbox: Sandbox, config: dict[str, Any]) -> None:
    """The refresh token has been used by somebody else."""
    Connector(json.loads(json.dumps(config))).check()
    config["credentials"].pop("access_token", None)


def forbidden(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.deny("scope", scope="financial.generalledgers")


def echoing(sandbox: Sandbox, config: dict[str, Any]) -> None:
    """The server quotes the login in its error text."""
    credentials = config["credentials"]
    text = f"Bad Request - token {credentials['refresh_token']} secret {credentials['client_secret']}"
    sandbox.fault("error_200", path="financial/Journals", text=text, count=1)
    body = json.dumps({"error": {"code": "", "message": {"lang": "", "value": text}}})
    sandbox.fault("status", path="sync/CRM/Accounts", status=400, body=body)


def broken_token_endpoint(sandbox: Sandbox, config: dict[str, Any]) -> None:
    credentials = config["credentials"]
    body = json.dumps({"error": "invalid_grant", "error_description": f"Unknown token {credentials['refresh_token']}"})
    sandbox.fault("status", path="oauth2/token", status=400, body=body)


@pytest.mark.parametrize(
    ("spoil", "debug"),
    [
        (nothing, False),
        (nothing, True),
        (expired, False),
        (forbidden, False),
        (echoing, False),
        (echoing, True),
        (broken_token_endpoint, False),
    ],
)
def test_no_secret_in_the_output(spoil: Callable[[Sandbox, dict[str, Any]], None], debug: bool, clean: Sandbox) -> None:
    connector = clean.connection()
    before = json.loads(json.dumps(connector.config))
    spoil(clean, connector.config)

    runs = [connector.read(configured_catalog(["accounts", "journals"]), succeeds=None, debug=debug)]
    if spoil in (nothing, expired):
        runs.append(connector.check(debug=debug))

    secrets = secrets_of(before, connector.config, *(config for run in runs for config in run.controls))
    assert len(secrets) >= 2
    for run in runs:
        assert_silent(run, secrets)


def test_a_new_login_is_handed_over_before_anything_is_read(clean: Sandbox) -> None:
    connector = clean.connection()
    old = connector.config["credentials"]["refresh_token"]

    run = connector.read(["journals"])

    (config,) = run.controls
    assert config["credentials"]["refresh_token"] != old
    assert config["credentials"]["access_token"]
    assert config["credentials"]["token_expiry_date"].endswith("+00:00")
    assert config["site"] == "nl"
    types = [message["type"] for message in run.messages]
    assert types.index("CONTROL") < types.index("RECORD")


@pytest.mark.parametrize(
    ("mode", "calls"),
    [pytest.param("cloud", False, marks=pytest.mark.soak), ("oss", True)],  # the first waits for a site
)
def test_on_airbyte_cloud_nothing_is_sent_to_the_machine_itself(clean: Sandbox, mode: str, calls: bool) -> None:
    """A `base_url` may be a loopback address, for a sandbox; there the CDK forbids calls to it."""
    connector = clean.connection()
    clean.forget_calls()

    run = connector.check(variables={"DEPLOYMENT_MODE": mode})

    assert (run.exit_code == 0) is calls
    assert bool(clean.calls() or clean.token_calls()) is calls
    assert bool(run.controls) is calls, "no token was spent"


def test_every_secret_of_the_spec_is_marked_as_one(sandbox: Sandbox) -> None:
    (spec,) = members(sandbox.connection().spec().messages, "SPEC")
    credentials = spec["connectionSpecification"]["properties"]["credentials"]["properties"]

    assert {name for name, field in credentials.items() if field.get("airbyte_secret")} >= set(SECRETS)


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"LOG","log":{"level":"DEBUG","message":"sent Gcp7!IAAAAabcdefghijklmnop+/qrstuvwxyz012345=="}}',
        "GET /token?refresh_token=Gcp7%21IAAAAabcdefghijklmnop%2B%2Fqrstuvwxyz012345%3D%3D",
        "a token that was cut off: Gcp7!IAAAAabcdefghijkl...",
        "client_secret=VpEBOWfbZAVa",
        "access token ABCDEFGHIJKLMNOP!qrstuvwxyz0123456789",
    ],
)
def test_the_watch_over_all_output_finds_a_secret_in_every_form(line: str) -> None:
    outputs = Outputs()
    outputs.keep_secrets(
        ["Gcp7!IAAAAabcdefghijklmnop+/qrstuvwxyz012345==", "VpEBOWfbZAVa", "gAAAA!qrstuvwxyz0123456789"]
    )

    outputs.keep('{"type":"CONTROL","control":{"refresh_token":"Gcp7!IAAAAabcdefghijklmnop+/qrstuvwxyz012345=="}}')
    assert outputs.leaks() == []
    outputs.keep("nothing to see\n" + line)
    assert outputs.leaks() == [line + "\n"]
