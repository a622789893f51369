"""`source-exact-online login` in a terminal: what is asked, what is written, and how it ends when somebody gives up."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from integration_tests.connector import Connector, command, environment
from integration_tests.outputs import OUTPUTS
from integration_tests.sandbox_client import Sandbox
from integration_tests.terminal import END, INTERRUPT, Terminal, consent

REDIRECT = "https://app.example.com/exact-online/callback"
SECRET = "Client secret"
DIVISIONS = "Enter for all:"


@pytest.fixture
def app(clean: Sandbox) -> dict[str, str]:
    """The sandbox's app."""
    return {name: str(value) for name, value in clean.login().items()}


def arguments(sandbox: Sandbox, app: dict[str, str], folder: Path, *more: str) -> list[str]:
    return [
        *("login", "--site", "nl", "--client-id", app["client_id"], "--redirect-uri", REDIRECT),
        *("--base-url", sandbox.base_url, "--config", str(folder / "config.json"), *more),
    ]


def test_a_login_over_ssh_ends_with_a_configuration_that_works(
    clean: Sandbox, app: dict[str, str], tmp_path: Path
) -> None:
    """No browser is opened there, although the session forwards a display."""
    ssh = {"DISPLAY": ":10", "SSH_CONNECTION": "192.0.2.1 5000 192.0.2.2 22"}
    chosen = clean.divisions[1]
    with Terminal(*arguments(clean, app, tmp_path), variables=ssh) as terminal:
        terminal.until(SECRET)
        terminal.type(app["client_secret"])
        url = terminal.address()
        terminal.type("https://app.example.com/exact-online/callback?code=stampNL001.other&state=other")
        terminal.until("state is missing or another one")
        terminal.type(consent(url))
        listed = terminal.until(DIVISIONS)
        terminal.type(str(chosen))
        code = terminal.exit_code()

    config_file = tmp_path / "config.json"
    config = json.loads(config_file.read_text())
    assert code == 0, terminal.shown
    assert "browser window" not in terminal.shown
    assert all(str(division) in listed for division in clean.divisions)
    assert "The connection works." in terminal.shown
    assert app["client_secret"] not in terminal.shown
    assert stat.S_IMODE(config_file.stat().st_mode) == 0o600
    assert config["divisions"] == [chosen]
    assert Connector(config).read(["journals"]).records("journals")


def test_a_code_that_is_too_old_leads_to_a_new_consent_and_an_existing_file_is_kept_until_a_yes(
    clean: Sandbox, app: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("mine")
    variables = {"EXACT_ONLINE_CLIENT_SECRET": app["client_secret"]}
    more = ["--divisions", "all", "--token-file", str(tmp_path / "tokens.json")]
    with Terminal(*arguments(clean, app, tmp_path, *more), variables=variables) as terminal:
        terminal.until("Replace it? [y/N]")
        terminal.type("y")
        address = consent(terminal.address())
        clean.post("clock", advance=200)
        try:
            terminal.type(address)
            terminal.until("refuses the code")
            terminal.type(consent(terminal.address()))
            code = terminal.exit_code()
        finally:
            clean.post("clock", advance=-200)

    config = json.loads((tmp_path / "config.json").read_text())
    assert code == 0, terminal.shown
    assert "divisions" not in config
    assert config["credentials"]["token_file"] == str(tmp_path / "tokens.json")


@pytest.mark.parametrize(
    ("prompt", "key", "code"),
    [
        (SECRET, INTERRUPT, 130),
        (SECRET, END, 1),
        ("aste the address", INTERRUPT, 130),
        (DIVISIONS, INTERRUPT, 130),
        (DIVISIONS, END, 1),
    ],
)
def test_whoever_gives_up_at_a_prompt_is_let_go(
    prompt: str, key: bytes, code: int, clean: Sandbox, app: dict[str, str], tmp_path: Path
) -> None:
    with Terminal(*arguments(clean, app, tmp_path)) as terminal:
        terminal.until(SECRET)
        if prompt != SECRET:
            terminal.type(app["client_secret"])
            url = terminal.address()
            if prompt == DIVISIONS:
                terminal.type(consent(url))
                terminal.until(DIVISIONS)
        terminal.type(key)
        assert terminal.exit_code() == code

    assert "Traceback" not in terminal.shown
    assert ("Stopped." if key == INTERRUPT else "run this in a terminal") in terminal.shown
    written = (tmp_path / "config.json").exists()  # a code cannot be traded twice, so tokens are written at once
    assert written == (prompt == DIVISIONS)
    assert written == ("is written nevertheless" in terminal.shown)


@pytest.mark.parametrize("stdin", ["empty", "closed"])
@pytest.mark.parametrize("asked", ["secret", "address"])
def test_without_a_terminal_the_way_to_get_one_is_told(
    stdin: str, asked: str, clean: Sandbox, app: dict[str, str], tmp_path: Path
) -> None:
    """As in `docker run` without `-it`."""
    line = [*command(), *arguments(clean, app, tmp_path)]
    run = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *line] if stdin == "closed" else line,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment({} if asked == "secret" else {"EXACT_ONLINE_CLIENT_SECRET": app["client_secret"]}),
        timeout=60,
        check=False,
    )
    OUTPUTS.keep(run.stdout, run.stderr)

    assert run.returncode == 1
    assert "docker run -it" in run.stdout
    assert run.stderr == ""


def test_a_denied_consent_names_the_approval_that_the_app_may_lack(
    clean: Sandbox, app: dict[str, str], tmp_path: Path
) -> None:
    with Terminal(*arguments(clean, app, tmp_path)) as terminal:
        terminal.until(SECRET)
        terminal.type(app["client_secret"])
        terminal.type(consent(terminal.address(), decision="deny"))
        code = terminal.exit_code()

    assert code == 1
    assert "request permission" in terminal.shown
    assert not (tmp_path / "config.json").exists()


def test_a_wrong_client_secret_names_itself_and_the_site(clean: Sandbox, app: dict[str, str], tmp_path: Path) -> None:
    with Terminal(*arguments(clean, app, tmp_path)) as terminal:
        terminal.until(SECRET)
        terminal.type("someThingElse")
        terminal.type(consent(terminal.address()))
        code = terminal.exit_code()

    assert code == 1
    assert "client secret" in terminal.shown
    assert "country" in terminal.shown
