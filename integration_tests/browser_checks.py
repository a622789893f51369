"""`source-exact-online login` with a real browser, headless Chromium, on the sandbox's login and consent pages
(`make browser-test`).

Not collected by `make test`: it needs Chromium and chromedriver. Nothing leaves the machine: the browser can resolve no
name but localhost, so that the redirect to the app's https address ends on an error page, as it does for most people.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration_tests.connector import Connector
from integration_tests.sandbox_client import Sandbox
from integration_tests.terminal import Terminal
from integration_tests.webdriver import Browser, MissingBrowserError, chromium, programs

PASTED = "https://app.example.com/exact-online/callback"


@pytest.fixture(scope="session", autouse=True)
def _programs_are_here() -> None:
    """Ends the run with what is missing where there can be no browser."""
    try:
        programs()
    except MissingBrowserError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A fresh browser."""
    profile = tmp_path / "profile"
    profile.mkdir()
    with chromium(profile) as found:
        yield found


@pytest.fixture
def app(clean: Sandbox) -> dict[str, str]:
    """The sandbox's app."""
    return {name: str(value) for name, value in clean.login().items()}


def login(sandbox: Sandbox, app: dict[str, str], folder: Path, redirect: str, *more: str) -> Terminal:
    """The command, in a terminal without a browser of its own."""
    arguments = [
        *("login", "--site", "nl", "--client-id", app["client_id"], "--redirect-uri", redirect),
        *("--base-url", sandbox.base_url, "--config", str(folder / "config.json"), "--divisions", "all", *more),
    ]
    return Terminal(*arguments, variables={"EXACT_ONLINE_CLIENT_SECRET": app["client_secret"]})


def log_in(browser: Browser, user: str) -> None:
    """Fill in the login page."""
    browser.fill("[name=sandbox_user]", user)
    browser.fill("[name=sandbox_password]", "secret")
    browser.click("#login")


def picture(browser: Browser, name: str) -> None:
    """Keep a screenshot where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        browser.picture(Path(folder) / f"{name}.png")


def test_the_address_of_the_error_page_is_pasted(
    clean: Sandbox, app: dict[str, str], browser: Browser, tmp_path: Path
) -> None:
    """Only the ticked division can be read with what comes out."""
    ticked, other = clean.divisions
    with login(clean, app, tmp_path, PASTED) as terminal:
        browser.open(terminal.address())
        picture(browser, "login")
        log_in(browser, "robin")
        assert browser.shows("Sandbox app asks for access to the data of robin")
        browser.click(f"[name=division][value='{other}']")
        picture(browser, "consent")
        browser.click("#allow")
        terminal.type(browser.address(f"{PASTED}?code=stampNL001."))
        code = terminal.exit_code()

    assert code == 0, terminal.shown
    assert str(ticked) in terminal.shown
    config = json.loads((tmp_path / "config.json").read_text())
    records = Connector(config).read(["journals"]).records("journals")
    assert {record["Division"] for record in records} == {ticked}


def test_a_loopback_redirect_needs_no_pasting(
    clean: Sandbox, app: dict[str, str], browser: Browser, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with login(clean, app, tmp_path, f"http://localhost:{port}/callback") as terminal:
        browser.open(terminal.address())
        log_in(browser, "kim")
        browser.click("#allow")
        assert browser.shows("Received. Go back to the terminal.")
        picture(browser, "received")
        code = terminal.exit_code()

    assert code == 0, terminal.shown
    assert "The connection works." in terminal.shown


def test_a_browser_that_is_logged_in_goes_on_to_the_consent_unless_another_user_is_wanted(
    clean: Sandbox, app: dict[str, str], browser: Browser, tmp_path: Path
) -> None:
    with login(clean, app, tmp_path, PASTED) as terminal:
        browser.open(terminal.address())
        log_in(browser, "alex")
        browser.click("#allow")
        terminal.type(browser.address(PASTED))
        assert terminal.exit_code() == 0, terminal.shown

    with login(clean, app, tmp_path, PASTED, "--overwrite") as terminal:
        browser.open(terminal.address())
        assert browser.shows("access to the data of alex")

    with login(clean, app, tmp_path, PASTED, "--overwrite", "--force-login") as terminal:
        browser.open(terminal.address())
        assert browser.shows("Password")


def test_a_denied_consent_ends_the_login(clean: Sandbox, app: dict[str, str], browser: Browser, tmp_path: Path) -> None:
    with login(clean, app, tmp_path, PASTED) as terminal:
        browser.open(terminal.address())
        log_in(browser, "eli")
        browser.click("#deny")
        terminal.type(browser.address(PASTED))
        code = terminal.exit_code()

    assert code == 1
    assert "Access was not granted" in terminal.shown
    assert not (tmp_path / "config.json").exists()


def test_the_hints_fit_what_the_browser_shows_where_no_login_is_possible(
    clean: Sandbox, app: dict[str, str], browser: Browser, tmp_path: Path
) -> None:
    """An app of another site, and one that Exact has not approved yet."""
    clean.post("apps", client_id="not-approved", client_secret="neverToBeUsed", redirect_uris=[PASTED], approved=False)
    for client_id, page, hint in (
        ("of-another-site", "not registered", "registered at another country site"),
        ("not-approved", "ask Exact for permission", "has to request it in the App Centre"),
    ):
        with login(clean, {**app, "client_id": client_id}, tmp_path, PASTED) as terminal:
            browser.open(terminal.address())
            assert browser.shows(page)
            assert hint in terminal.shown
