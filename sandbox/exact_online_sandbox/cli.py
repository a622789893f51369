"""The command line: make a sandbox and serve it."""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import string
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from exact_online_sandbox.arguments import parser
from exact_online_sandbox.captured import CAPTURED_DIVISIONS, load_captured
from exact_online_sandbox.certificate import write_certificate
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.sandbox import DEFAULT_REDIRECT, Sandbox
from exact_online_sandbox.server import Server
from exact_online_sandbox.settings import Settings
from exact_online_sandbox.store import Store
from exact_online_sandbox.synthetic import fill


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="exact-online-sandbox-") as folder:
        try:
            tls = write_certificate(Path(folder)) if options.tls else None
            sandbox = build(options)
            server = Server(
                sandbox,
                host=options.host,
                port=options.port,
                control=not options.no_control,
                verbose=options.verbose,
                tls=tls,
            )
            facts = ready_facts(sandbox, server.base_url, options)
            if tls is not None:
                facts["certificate"] = str(tls[0])
            if options.connector_config is not None:
                _write_secretly(options.connector_config, connector_config(facts))
        except (OSError, ValueError, ImportError) as error:
            sys.exit(f"exact-online-sandbox: {error}")
        line = orjson.dumps(facts).decode()

        def ready() -> None:
            if options.ready_file is not None:
                temporary = options.ready_file.with_name(options.ready_file.name + ".tmp")
                temporary.write_text(line + "\n", encoding="utf-8")
                temporary.replace(options.ready_file)
            print(line, flush=True)

        # So that the certificate's folder goes away; 143 is what shells say of a process that this signal ended.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        with contextlib.suppress(KeyboardInterrupt):
            server.run(ready)


def build(options: argparse.Namespace) -> Sandbox:
    """Make the sandbox that the options describe.

    Raises:
        ValueError: the size is unknown, or the database does not fit.
    """
    settings = _settings(options)
    clock = Clock(options.now)
    store = Store(options.db, seed=options.seed, zone=options.zone, own_feed_ids=not options.same_feed_ids)
    if not store.division_codes():
        _fill(store, clock, options)
    sandbox = Sandbox(store, clock, settings)
    for fault in options.fault:
        sandbox.faults.add(fault)
    for denial in options.deny:
        sandbox.rights.deny(denial)
    chance = random.Random(options.seed)
    client_id = options.client_id or str(uuid.UUID(int=chance.getrandbits(128), version=4))
    secret = options.client_secret or "".join(chance.choices(string.ascii_letters + string.digits, k=12))
    sandbox.register(client_id, secret, options.redirect_uri or [DEFAULT_REDIRECT])
    return sandbox


def ready_facts(sandbox: Sandbox, base_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Everything a client needs; it holds the refresh token of a fresh login."""
    app = next(iter(sandbox.oauth.apps.values()))
    divisions = sorted(sandbox.store.division_codes(), key=lambda code: (code in CAPTURED_DIVISIONS, code))
    sandbox.oauth.user(options.user).current_division = next(iter(divisions), None)
    chain = sandbox.oauth.login(app.client_id, options.user, divisions)
    return {
        "base_url": base_url,
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "refresh_token": chain.refresh_token,
        "redirect_uri": app.redirect_uris[0],
        "divisions": divisions,
    }


def connector_config(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with which Airbyte's source-exact-online reads this sandbox."""
    credentials = {name: facts[name] for name in ("client_id", "client_secret", "refresh_token")}
    return {"site": "nl", "base_url": facts["base_url"], "credentials": credentials}


def _write_secretly(path: Path, content: object) -> None:
    """Write a file that only its owner may read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _settings(options: argparse.Namespace) -> Settings:
    settings = Settings()
    settings.change(
        {
            "quota": {
                "minute_limit": options.minute_limit,
                "minute_seconds": options.minute_seconds,
                "daily_limit": options.daily_limit,
                "day_seconds": options.day_seconds,
            },
            "errors": {"limit": options.error_limit, "status": options.error_status},
            "tokens": {
                "life_seconds": options.token_life,
                "strict_refresh": options.strict_refresh,
                "reuse_kills_chain": not options.keep_chain,
                "invalid_client_status": options.invalid_client_status,
            },
            "latency_ms": options.latency_ms,
        }
    )
    for setting in options.set:
        settings.change(setting)
    return settings


def _fill(store: Store, clock: Clock, options: argparse.Namespace) -> None:
    # Not what the clock has come to since: the same moment gives the same books.
    until = options.now or clock.now()
    if options.divisions:
        # The bookkeeping is a package of its own and takes its time to load.
        from exact_online_sandbox.books import generate

        generate(store, seed=options.seed, divisions=options.divisions, size=options.size, until=until)
    if options.all_endpoints:
        for code in store.division_codes():
            fill(store, code, until=until)
    if options.real_payloads:
        load_captured(store)
