"""A sandbox in a process of its own, and its control API."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import requests

from integration_tests.connector import Config, Connector, Record, environment
from integration_tests.outputs import OUTPUTS
from integration_tests.truth import ENDPOINTS, belongs, expected_record, primary_key

Row = dict[str, Any]

START_SECONDS = 120
"""Longest time for a sandbox to invent its books and listen."""

NOW = os.environ.get("SANDBOX_NOW")
"""Moment at which the clock of every sandbox begins, ISO 8601; the machine's time where it is not set.

It makes visible which tests depend on the time: `SANDBOX_NOW=2025-10-26T00:30:00Z make integration`. It has to be past:
the connector runs by the machine's time, and reads anew what a state has of the future.
"""

SOME_OF_ALL = ("--size", "150", "--seed", "9", "--now", "2026-03-02T12:00:00Z", "--all-endpoints")
"""Small books with rows for every endpoint; by luck of the seed, there are open items to collect and to pay then."""

_numbers = itertools.count(1)


def noon() -> str:
    """Today at 12:00 UTC: far from the moment at which Exact's day ends, for tests that count a day's calls."""
    return datetime.now(timezone.utc).replace(hour=12, minute=0, second=0, microsecond=0).isoformat()


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the sandbox got.

    Attributes:
        endpoint: path of the endpoint, e.g. `sync/CRM/Accounts`; `oauth2/token` for token calls.
        division: administration in the address.
        status: of the answer; None where the connection was broken instead.
        options: query options, e.g. `$filter`.
        rows: rows in the answer.
        fault: kind of the fault that was injected.
    """

    endpoint: str
    division: int | None
    status: int | None
    options: dict[str, str]
    rows: int | None
    fault: str | None

    @property
    def columns(self) -> set[str]:
        """Columns of its `$select`."""
        return set(filter(None, self.options.get("$select", "").split(",")))

    @property
    def is_first_page(self) -> bool:
        """Whether it began a listing."""
        return "$skiptoken" not in self.options


class Sandbox:
    """A running sandbox."""

    def __init__(self, process: subprocess.Popen[str], base_url: str) -> None:
        self.base_url = base_url
        self._process = process
        self._session = requests.Session()
        self.settings = self.get("settings")
        self.divisions: list[int] = [division["code"] for division in self.get("")["divisions"]]

    @classmethod
    def start(cls, folder: Path, *options: str) -> Sandbox:
        """Start a sandbox on a free port and wait until it listens.

        Args:
            folder: for its files.
            options: of its command line.
        """
        ready = folder / f"ready-{next(_numbers)}.json"
        command = [sys.executable, "-m", "exact_online_sandbox", "--port", "0", "--ready-file", str(ready)]
        command += [*(("--now", NOW) if NOW else ()), *options]
        with (folder / f"{ready.stem}.log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), text=True)
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists() or not ready.read_text().strip():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"the sandbox did not start: {Path(log.name).read_text()[-3000:]}")
            time.sleep(0.05)
        return cls(process, json.loads(ready.read_text())["base_url"])

    def stop(self) -> None:
        """End the process. Its secrets are remembered, to be looked for in all output."""
        with suppress(requests.ConnectionError):  # it was ended before
            for secrets in self.get("secrets").values():
                OUTPUTS.keep_secrets(secrets)
        self._session.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # -- the control API -------------------------------------------------------------------------------------------

    def get(self, path: str, /, **parameters: Any) -> Any:
        """Ask the control API."""
        return self._answer(self._session.get(f"{self.base_url}/sandbox/{path}".rstrip("/"), params=parameters))

    def post(self, path: str, /, **body: Any) -> Any:
        """Tell the control API."""
        return self._answer(self._session.post(f"{self.base_url}/sandbox/{path}", json=body))

    def delete_control(self, *paths: str) -> None:
        """Drop what the control API keeps under some paths: `faults`, `rights`, `calls`, `token-calls`."""
        for path in paths:
            self._answer(self._session.delete(f"{self.base_url}/sandbox/{path}"))

    @staticmethod
    def _answer(response: requests.Response) -> Any:
        assert response.ok, f"{response.request.method} {response.request.path_url}: {response.text}"
        return response.json()

    def clear(self) -> None:
        """Drop faults, denials, counted calls and errors, and the log of calls; settings are as at the start."""
        self.delete_control("faults", "rights", "calls", "token-calls")
        self.post("settings", **self.settings)
        self.post("quota/reset")

    # -- logins ----------------------------------------------------------------------------------------------------

    def login(self, divisions: Iterable[int] | None = None, *, access: bool = False) -> dict[str, Any]:
        """Credentials of a new user who consents to some divisions, or to all.

        Args:
            divisions: ticked on the consent screen.
            access: whether they hold an access token already.
        """
        user = f"user{next(_numbers)}"
        answer = self.post("login", user=user, divisions=None if divisions is None else list(divisions), access=access)
        kept = ("client_id", "client_secret", "refresh_token", "access_token", "token_expiry_date")
        return {name: answer[name] for name in kept if name in answer}

    def config(self, *, login_divisions: Iterable[int] | None = None, access: bool = False, **fields: Any) -> Config:
        """A configuration with a login of its own."""
        credentials = {**self.login(login_divisions, access=access), **fields.pop("credentials", {})}
        return {"site": "nl", "base_url": self.base_url, "credentials": credentials, **fields}

    def connection(self, **fields: Any) -> Connector:
        """A connector with a login of its own; fields are those of `config`."""
        return Connector(self.config(**fields))

    # -- data ------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The sandbox's time, aware UTC."""
        return datetime.fromisoformat(self.get("clock")["now"])

    def truth(self, endpoint: str, division: int | None = None) -> list[Row]:
        """Rows of an endpoint as the sandbox keeps them: instants with a zone, business dates without."""
        answer = self.get(f"truth/{division or self.divisions[0]}/{quote(endpoint)}")
        rows: list[Row] = answer["rows"]
        return rows

    def expected(self, stream: str, divisions: Iterable[int] | None = None) -> dict[tuple[Any, ...], Record]:
        """Records of a stream by primary key, as they have to be now."""
        records, now = [], self.now()
        if stream == "divisions":
            wanted = set(self.divisions if divisions is None else divisions)
            rows = [row for row in self.truth(ENDPOINTS[stream]) if row["Code"] in wanted]
            records = [expected_record(stream, row["Code"], row, now) for row in rows]
        else:
            for division in self.divisions if divisions is None else divisions:
                rows = [row for row in self.truth(ENDPOINTS[stream], division) if belongs(stream, row)]
                records += [expected_record(stream, division, row, now) for row in rows]
        return {primary_key(stream, record): record for record in records}

    def insert(self, division: int, entity: str, row: Row, at: str | None = None) -> Row:
        """Add a row; gives it complete."""
        found: Row = self.post("rows/insert", division=division, entity=entity, row=row, **_at(at))["rows"][0]
        return found

    def load(self, division: int, entity: str, rows: Sequence[Row]) -> None:
        """Add complete rows as they are."""
        self.post("rows/load", division=division, entity=entity, rows=list(rows))

    def update(
        self, division: int, entity: str, key: Any, changes: Row, at: str | None = None, *, touch_modified: bool = True
    ) -> Row:
        """Change a row; gives it complete."""
        body = {
            "division": division,
            "entity": entity,
            "key": key,
            "changes": changes,
            "touch_modified": touch_modified,
        }
        found: Row = self.post("rows/update", **body, **_at(at))["row"]
        return found

    def delete(self, division: int, entity: str, *keys: Any, at: str | None = None) -> None:
        """Delete rows."""
        self.post("rows/delete", division=division, entity=entity, keys=list(keys), **_at(at))

    # -- what was asked --------------------------------------------------------------------------------------------

    def calls(self, endpoint: str | None = None) -> list[Call]:
        """Requests to the API since the log was last cleared, token calls aside."""
        parameters = {} if endpoint is None else {"endpoint": endpoint}
        return [_call(raw) for raw in self.get("calls", **parameters)["calls"]]

    def token_calls(self) -> list[Call]:
        """Requests to the token endpoint since the log was last cleared."""
        return [_call(raw) for raw in self.get("token-calls")["calls"]]

    def forget_calls(self) -> None:
        """Clear the logs of calls."""
        self.delete_control("calls", "token-calls")

    # -- behaviour -------------------------------------------------------------------------------------------------

    def fault(self, kind: str, **fields: Any) -> None:
        """Let requests go wrong; `path`, `count`, `after` and so on say which."""
        self.post("faults", kind=kind, **fields)

    def deny(self, kind: str, **fields: Any) -> None:
        """Take a scope, module or right away."""
        self.post("rights", kind=kind, **fields)


def _at(moment: str | None) -> dict[str, str]:
    return {} if moment is None else {"at": moment}


def _call(raw: dict[str, Any]) -> Call:
    options = {name: values[0] for name, values in parse_qs(raw["query"]).items()}
    return Call(raw["endpoint"] or raw["path"], raw["division"], raw["status"], options, raw["rows"], raw["fault"])
