"""A headless Chromium, driven by chromedriver over the W3C WebDriver protocol."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""Key under which the protocol names an element (W3C WebDriver, section 12)."""

PATIENCE = 20
"""Seconds to wait for a page."""

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class MissingBrowserError(Exception):
    """There is no browser here; the text says what to install."""


class WebDriverError(Exception):
    """The browser cannot do what it is told."""


class Browser:
    """A browser with a session of its own.

    Args:
        session_url: of chromedriver's session.
    """

    def __init__(self, session_url: str) -> None:
        self._url = session_url

    def open(self, url: str) -> None:
        """Go to an address."""
        self._ask("POST", "url", url=url)

    def address(self, beginning: str) -> str:
        """What stands in the address bar, as soon as it begins like this."""
        return self._await(lambda: str(self._ask("GET", "url")), lambda url: url.startswith(beginning))

    def shows(self, text: str) -> bool:
        """Wait until the page shows a text; fails if it does not come."""
        return bool(
            self._await(lambda: str(self._ask("GET", f"element/{self._find('body')}/text")), lambda t: text in t)
        )

    def click(self, selector: str) -> None:
        """Click on an element."""
        self._ask("POST", f"element/{self._find(selector)}/click")

    def fill(self, selector: str, text: str) -> None:
        """Type into a field, in place of what is in it."""
        element = self._find(selector)
        self._ask("POST", f"element/{element}/clear")
        self._ask("POST", f"element/{element}/value", text=text)

    def picture(self, path: Path) -> None:
        """Write a screenshot (PNG)."""
        path.write_bytes(base64.b64decode(self._ask("GET", "screenshot")))

    @staticmethod
    def _await(ask: Callable[[], str], is_there: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = ask()
            except WebDriverError as error:  # the page goes just now
                found = str(error)
            if is_there(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"the browser stays where it is: {found}")
            time.sleep(0.05)

    def _find(self, selector: str) -> str:
        found = self._ask("POST", "element", using="css selector", value=selector)
        return str(found[ELEMENT])

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        answer = requests.request(method, f"{self._url}/{path}", json=body if method == "POST" else None, timeout=60)
        value = answer.json()["value"]
        if not answer.ok and "net::ERR_NAME_NOT_RESOLVED" not in value["message"]:
            raise WebDriverError(f"{path}: {value['error']}: {value['message']}")
        return value


def programs() -> tuple[str, str]:
    """Paths of Chromium and of chromedriver.

    Raises:
        MissingBrowserError: one of them is not installed.
    """
    binary = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        missing = [name for name, path in (("Chromium", binary), ("chromedriver", driver)) if path is None]
        raise MissingBrowserError(
            f"{' and '.join(missing)} cannot be found on the PATH (Debian: apt install chromium chromium-driver)."
        )
    return binary, driver


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A headless Chromium that knows this machine only.

    Args:
        profile: an empty folder.

    Raises:
        MissingBrowserError: Chromium or chromedriver is not installed.
    """
    binary, driver = programs()
    arguments = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        f"--user-data-dir={profile}",
        "--window-size=900,900",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ]
    process = subprocess.Popen(
        [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        driver_url = f"http://127.0.0.1:{_port(process)}"
        options = {"browserName": "chrome", "goog:chromeOptions": {"binary": binary, "args": arguments}}
        answer = requests.post(f"{driver_url}/session", json={"capabilities": {"alwaysMatch": options}}, timeout=120)
        value = answer.json()["value"]
        if not answer.ok:
            raise WebDriverError(f"Chromium does not start: {value['message']}")
        session_url = f"{driver_url}/session/{value['sessionId']}"
        try:
            yield Browser(session_url)
        finally:
            requests.delete(session_url, timeout=60)
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"started successfully on port (\d+)", line)
        if found:
            return int(found[1])
    raise WebDriverError("chromedriver does not start")
