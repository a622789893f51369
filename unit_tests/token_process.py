"""Real processes that share a token store, and a real server on the loopback interface that gives them tokens."""

from __future__ import annotations

import json
import logging
import mmap
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import requests
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.auth import token_endpoint
from source_exact_online.auth.authenticator import ExactAuthenticator
from source_exact_online.auth.token_endpoint import Answer, OnChunk, TokenEndpoint
from source_exact_online.auth.token_store import TokenStore
from source_exact_online.clock import Clock
from source_exact_online.config import parse_config

FIRST_REFRESH_TOKEN = "refresh!0"


class TokenRules:
    """Single use and the 95 % rule, on the real clock."""

    def __init__(self, life: float) -> None:
        self.life = life
        self.lock = threading.Lock()
        self.refresh_token = FIRST_REFRESH_TOKEN
        self.access_tokens: dict[str, float] = {}
        self.issued_at = float("-inf")
        self.logins = 0
        self.issued = 0
        self.refusals: list[str] = []
        self.refused_access = 0

    def trade(self, refresh_token: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            now = time.monotonic()
            if refresh_token != self.refresh_token:
                self.refusals.append("old")
                return 401, {"error": "unauthorized_client", "error_description": "Old refresh token used."}
            if now - self.issued_at < 0.95 * self.life:
                self.refusals.append("early")
                description = "Rate limit exceeded: access_token not expired"
                return 400, {"error": "access_denied", "error_description": description}
            self.issued += 1
            self.issued_at = now
            self.refresh_token = f"refresh!{self.logins}.{self.issued}"
            access_token = f"access-{self.issued}"
            self.access_tokens[access_token] = now + self.life
            answer = {"access_token": access_token, "expires_in": str(self.life), "refresh_token": self.refresh_token}
            return 200, answer

    def accepts(self, access_token: str) -> bool:
        with self.lock:
            good = self.access_tokens.get(access_token, 0.0) > time.monotonic()
            self.refused_access += not good
            return good

    def log_in_again(self) -> str:
        """A person's new login: another refresh token starts a chain."""
        with self.lock:
            self.logins += 1
            self.refresh_token = f"login!{self.logins}"
            self.issued_at = float("-inf")
            return self.refresh_token


@contextmanager
def token_server(life: float) -> Iterator[tuple[str, TokenRules]]:
    """Serves tokens and a resource that wants them; yields base URL and bookkeeping."""
    rules = TokenRules(life)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._send(*rules.trade(form["refresh_token"][0]))

        def do_GET(self) -> None:
            if self.path == "/login":
                return self._send(200, {"refresh_token": rules.log_in_again()})
            good = rules.accepts(self.headers.get("Authorization", "").removeprefix("Bearer "))
            return self._send(200 if good else 401, {})

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stays silent."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # the client was killed
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that was killed is no error."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", rules
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def authenticator(base_url: str, token_store: str, refresh_token: str = FIRST_REFRESH_TOKEN) -> ExactAuthenticator:
    """As a process with a configuration that nobody updates builds it; the token store is a path or a URL."""
    kind = "token_store" if token_store.startswith("postgresql://") else "token_file"
    credentials = {"client_id": "id", "client_secret": "secret-of-app", "refresh_token": refresh_token}
    raw = {"site": "nl", "base_url": base_url, "credentials": {**credentials, kind: token_store}}
    config = parse_config(raw, datetime.now(timezone.utc), {})
    return ExactAuthenticator(config, raw, on_control=lambda _: None)


def use_tokens(base_url: str, token_store: str, seconds: float) -> None:
    """What a reading process does with its tokens: four threads, one request after the other."""
    logging.disable(logging.INFO)
    auth = authenticator(base_url, token_store)
    end = time.monotonic() + seconds
    failures: list[BaseException] = []

    def read() -> None:
        try:
            with requests.Session() as session:
                while time.monotonic() < end:
                    token = auth.get_access_token()
                    answer = session.get(f"{base_url}/data", headers={"Authorization": f"Bearer {token}"}, timeout=10)
                    if answer.status_code == 401:
                        auth.reject(token)
                    time.sleep(0.01)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        print(failures[0], file=sys.stderr)
        sys.exit(1)


def refresh_without_end(base_url: str, token_store: str, refresh_token: str) -> None:
    """A process that gets one token after the other until it is killed."""
    auth = authenticator(base_url, token_store, refresh_token)
    while True:
        auth.get_access_token()
        time.sleep(0.0005)


ASKING, ARRIVED, DURABLE = 1, 2, 3
"""How far a refresh has come, as a killed process leaves it in shared memory."""


def watch_refreshes(progress: mmap.mmap) -> None:
    """Lets this process note in shared memory how far its refresh has come."""
    refresh, read, on_chunk = TokenEndpoint.refresh, token_endpoint._read, TokenStore.on_chunk

    def watched_refresh(endpoint: TokenEndpoint, refresh_token: str, chunk_taker: OnChunk | None = None) -> Answer:
        progress[0] = ASKING
        return refresh(endpoint, refresh_token, chunk_taker)

    def watched_read(response: requests.Response, chunk_taker: OnChunk, clock: Clock) -> tuple[bytes, bool]:
        progress[0] = ARRIVED
        return read(response, chunk_taker, clock)

    def watched_on_chunk(store: TokenStore, now: datetime, chunk: bytes, first: bool) -> None:
        on_chunk(store, now, chunk, first)
        progress[0] = DURABLE

    TokenEndpoint.refresh = watched_refresh  # type: ignore[method-assign]
    token_endpoint._read = watched_read
    TokenStore.on_chunk = watched_on_chunk  # type: ignore[method-assign]


def kill_at_random(
    base_url: str, token_store: str, kills: int, seed: int, within: tuple[float, float] = (0.02, 0.12)
) -> list[tuple[bool, int]]:
    """Forks a refreshing process again and again and kills it at a random moment, `within` seconds of its start.

    Returns:
        For each kill whether the login survived it, and how far the refresh had come.
    """
    logging.disable(logging.WARNING)
    rng = random.Random(seed)
    refresh_token = FIRST_REFRESH_TOKEN
    outcomes = []
    progress = mmap.mmap(-1, 1)
    for _ in range(kills):
        progress[0] = 0
        child = os.fork()
        if child == 0:
            try:
                watch_refreshes(progress)
                refresh_without_end(base_url, token_store, refresh_token)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(*within))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        reached = progress[0]
        try:
            authenticator(base_url, token_store, refresh_token).get_access_token()
            outcomes.append((True, reached))
        except AirbyteTracedException:
            outcomes.append((False, reached))
            refresh_token = requests.get(f"{base_url}/login", timeout=10).json()["refresh_token"]
    return outcomes
