"""`source-exact-online login` in a terminal of its own (a pty), and a stand-in for the browser."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from html import unescape
from urllib.parse import urljoin

import requests

from integration_tests.connector import command, environment
from integration_tests.outputs import OUTPUTS

INTERRUPT, END = b"\x03", b"\x04"
"""What Ctrl-C and Ctrl-D send."""

PATIENCE = 60
"""Seconds to wait for a text or for the end."""


class Terminal:
    """A command of the console script, run in a terminal. Use as a context: a process left over is killed.

    Args:
        arguments: of the console script.
        variables: environment variables; None takes one away.
    """

    def __init__(self, *arguments: str, variables: Mapping[str, str | None] | None = None) -> None:
        self.shown = ""
        self._at = 0
        self._code: int | None = None
        line = [*command(), *arguments]
        wanted = {"DISPLAY": None, "WAYLAND_DISPLAY": None, **(variables or {})}
        found = {name: value for name, value in {**environment(), **wanted}.items() if value is not None}
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            # A test run in the background of a script ignores Ctrl-C, and a child would inherit that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(line[0], line, found)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)
        OUTPUTS.keep(self.shown)

    def until(self, text: str, seconds: float = PATIENCE) -> str:
        """Wait until a text is shown; gives what was shown since the last one."""
        deadline = time.monotonic() + seconds
        while (place := self.shown.find(text, self._at)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} was not shown: {self.shown!r}")
        since, self._at = self.shown[self._at : place], place + len(text)
        return since

    def address(self) -> str:
        """The address of the consent page, when the person is asked for the one that the browser ended at."""
        self.until("Open this address in a browser")
        shown = self.until("aste the address")
        found = re.search(r"http\S+/api/oauth2/auth\?\S+", shown)
        assert found is not None, shown
        return found[0]

    def type(self, text: str | bytes) -> None:
        """Type a line, or keys as they are."""
        os.write(self._terminal, text if isinstance(text, bytes) else text.encode() + b"\n")

    def exit_code(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; gives the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        _, status = os.waitpid(self._pid, 0)
        self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def _read(self, deadline: float) -> bool:
        """Take what is shown next; False at the end."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more was shown: {self.shown!r}"
        received = b""
        with suppress(OSError):  # Linux says so when the other end has closed the terminal
            received = os.read(self._terminal, 65536)
        self.shown += received.decode(errors="replace")
        return bool(received)


def consent(url: str, divisions: Iterable[int] | None = None, *, user: str = "pat", decision: str = "allow") -> str:
    """What a person does in the browser: log in, choose divisions (None = all), allow or deny.

    Returns:
        The address that the browser ends at.
    """
    with requests.Session() as browser:
        page = browser.get(url)
        if 'name="sandbox_password"' in page.text:
            page = _submit(browser, page, [("sandbox_user", user), ("sandbox_password", "secret")])
        offered = re.findall(r'name="division" value="(\d+)"', page.text)
        ticked = offered if divisions is None else [str(code) for code in divisions]
        page = _submit(browser, page, [*(("division", code) for code in ticked), ("decision", decision)])
        return page.headers["Location"]


def _submit(browser: requests.Session, page: requests.Response, fields: list[tuple[str, str]]) -> requests.Response:
    action = re.search(r'action="([^"]+)"', page.text)
    assert action is not None, page.text
    hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    form = [(name, unescape(value)) for name, value in hidden]
    return browser.post(urljoin(page.url, action[1]), data=[*form, *fields], allow_redirects=False)
