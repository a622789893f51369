"""Keeps what the runs of the tests said, to look for secrets in all of it when they are done."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

HANDOVER = '{"type":"CONTROL"'
"""Beginning of the one kind of line that has to bear tokens."""

WORD = re.compile(r"[A-Za-z0-9_-]{16,}")
"""A part of a token that looks the same wherever it stands: in a URL, in JSON, in a Python literal."""

KNOWN_BY = 16
"""Characters at the beginning of such a part by which it is recognised, also where the rest was cut off."""


class Outputs:
    """Everything that runs of the connector wrote, and the secrets that must not be in it. Thread-safe."""

    def __init__(self) -> None:
        self._lines = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115
        self._short: set[str] = set()
        self._words: set[str] = set()
        self._lock = threading.Lock()

    def keep(self, *texts: str) -> None:
        """Take what a run wrote. The lines that hand a login to the platform are left out."""
        kept = [line for text in texts for line in text.split("\n") if line and not line.startswith(HANDOVER)]
        with self._lock:
            self._lines.writelines(f"{line}\n" for line in kept)

    def keep_secrets(self, secrets: Iterable[str]) -> None:
        """Take what must not be in any output: a sandbox's tokens of all times, and the secrets of its apps."""
        for secret in secrets:
            words = WORD.findall(secret)
            if words:
                self._words.update(word[:KNOWN_BY] for word in words)
            else:
                self._short |= {secret, quote(secret, safe=""), quote_plus(secret)}

    def leaks(self) -> list[str]:
        """The beginnings of the lines with a secret in them."""
        self._lines.seek(0)
        return [line[:300] for line in self._lines if self._tells(line) or ("%" in line and self._tells(unquote(line)))]

    def _tells(self, line: str) -> bool:
        return any(secret in line for secret in self._short) or any(
            word[:KNOWN_BY] in self._words for word in WORD.findall(line)
        )


OUTPUTS = Outputs()
"""Those of this run of the tests."""
