"""The person at the other end of the login."""

from __future__ import annotations

import getpass
import os
import select
import sys
import webbrowser
from collections.abc import Mapping
from typing import Protocol

from source_exact_online.login.redirect import LoginError, RedirectListener
from source_exact_online.words import printable

_LOOK_UP_SECONDS = 0.5
"""Longest wait for a key: a Ctrl-C in the moment before a wait begins does not end it, only the next look does."""

_NOBODY = "Nobody answers: run this in a terminal (in Docker with `docker run -it`)."


class Terminal(Protocol):
    """What the login asks of whoever runs it."""

    def say(self, text: str) -> None:
        """Show a text."""

    def ask(self, prompt: str) -> str:
        """Return one line, without its end.

        Raises:
            LoginError: there is nobody to answer.
        """

    def secret(self, prompt: str) -> str:
        """Return one line that is not shown while it is typed.

        Raises:
            LoginError: there is nobody to answer.
        """

    def address(self, prompt: str, listener: RedirectListener | None) -> str:
        """Return the address the browser ended at: pasted, or received by the listener, whichever comes first."""

    def open_browser(self, url: str) -> bool:
        """Open a browser window if there can be one; return whether it did."""


class Console:
    """Standard input and output, also over ssh and in ``docker run -it``.

    Reads the file descriptor itself, because it waits for a line and for the browser at the same time without threads.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._buffer = b""
        self._ended = sys.stdin is None  # it was closed, and its number may be that of another file by now

    def say(self, text: str) -> None:
        """Print a text, without what a terminal would take for a command."""
        print(printable(text), flush=True)

    def ask(self, prompt: str) -> str:
        """Return one line of standard input."""
        return self.address(prompt, None)

    def secret(self, prompt: str) -> str:
        """Return one line that is not shown while it is typed."""
        if sys.stdin is None or not sys.stdin.isatty():
            return self.ask(prompt)
        try:
            return getpass.getpass(f"{prompt} ")
        except EOFError:
            print()
            raise LoginError(_NOBODY) from None

    def address(self, prompt: str, listener: RedirectListener | None) -> str:
        """Return the address that was pasted or received."""
        print(printable(prompt), end=" ", flush=True)
        while True:
            line = self._line()
            if line is not None:
                return line
            if self._ended and listener is None:
                print()
                raise LoginError(_NOBODY)
            sources = [] if self._ended else [sys.stdin.fileno()]
            if listener is not None:
                sources.append(listener.fileno())
            ready, _, _ = select.select(sources, [], [], _LOOK_UP_SECONDS)
            if listener is not None and listener.fileno() in ready:
                received = listener.receive()
                if received is not None:
                    print()
                    return received
            if not self._ended and sys.stdin.fileno() in ready:
                self._read()

    def open_browser(self, url: str) -> bool:
        """Open a browser window if there can be one; return whether it did."""
        env = self._environment
        graphical = sys.platform in ("darwin", "win32") or bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))
        if not graphical or env.get("SSH_CONNECTION"):
            return False
        try:
            return webbrowser.open(url)
        except (webbrowser.Error, OSError):
            return False

    def _read(self) -> None:
        received = os.read(sys.stdin.fileno(), 65536)
        self._buffer += received
        self._ended = not received

    def _line(self) -> str | None:
        line, end, rest = self._buffer.partition(b"\n")
        if not end and not (self._ended and line):
            return None
        self._buffer = rest
        return line.decode("utf-8", errors="replace").strip()
