"""The sandbox in a process of its own, and its control API."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

NOW = "2026-09-30T15:00:00Z"
"""When the demo takes place, so that it tells the same figures on any day."""

Summary = dict[str, dict[str, int]]
"""Rows by entity and action (inserted, updated, deleted)."""


class SandboxError(Exception):
    """The sandbox did not start, or does not do what it was asked for."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox."""

    login: dict[str, Any]
    """What it told when it was ready: address, credentials, divisions."""

    began: datetime
    """Moment at which its clock began."""

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.login["base_url"])

    def config(self) -> dict[str, Any]:
        """Return a configuration of the connector for it."""
        names = ("client_id", "client_secret", "refresh_token")
        return {"site": "nl", "base_url": self.url, "credentials": {name: self.login[name] for name in names}}

    def work(self, division: int, steps: int) -> Summary:
        """Let business go on in a division: orders, invoices, payments, changed accounts, deleted addresses.

        It does at the moment at which the clock began, as other moments make other documents: the demo tells the same
        figures each time.
        """
        body = {"division": division, "steps": steps, "seed": 1, "at": self.began.isoformat()}
        answer = self._ask("POST", "activity", body)
        summary: Summary = answer["summary"]
        return summary

    def calls(self) -> Counter[int]:
        """Return the calls made since the log was last cleared, by division; those without a division are under 0."""
        return Counter(call["division"] or 0 for call in self._ask("GET", "calls")["calls"])

    def limits(self) -> tuple[int, int]:
        """Return the calls that a minute and a day allow in each division."""
        quota = self._ask("GET", "settings")["quota"]
        return quota["minute_limit"], quota["daily_limit"]

    def forget_calls(self) -> None:
        """Clear the log of calls."""
        self._ask("DELETE", "calls")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/sandbox/{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except OSError as error:
            raise SandboxError(f"the sandbox does not do {path}: {error}") from error


@contextmanager
def sandbox(log: Path, size: str, now: str) -> Iterator[Sandbox]:
    """Serve two administrations for as long as the context lasts.

    Args:
        log: file for what the sandbox complains about.
        size: how much bookkeeping each has, by the sandbox's names.
        now: moment its clock begins at (ISO 8601); the books end there.

    Raises:
        SandboxError: it did not start; the message tells why.
    """
    command = [sys.executable, "-m", "exact_online_sandbox", "--divisions", "2", "--size", size, "--now", now]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True)
    try:
        ready = process.stdout.readline() if process.stdout else ""
        if not ready:
            raise SandboxError(f"the sandbox did not start: {log.read_text(encoding='utf-8').strip()[-300:]}")
        began = datetime.fromisoformat(now.replace("Z", "+00:00"))
        yield Sandbox(json.loads(ready), began if began.tzinfo else began.replace(tzinfo=timezone.utc))
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
