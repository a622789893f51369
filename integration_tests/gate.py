"""A gate before the sandbox: sees each request before the sandbox does, and each answer before the connector does."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TOKEN_PATH = "/api/oauth2/token"

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(slots=True)
class TokenCall:
    """A call for tokens.

    Attributes:
        arrived_at: moment on the monotonic clock at which the whole request had come, seconds.
        status: of the sandbox's answer; None as long as there is none.
        body: of it.
        handed_over_at: moment at which the whole answer was on its way to the connector; None before.
    """

    arrived_at: float
    status: int | None = None
    body: bytes = b""
    handed_over_at: float | None = None


class Gate:
    """Passes requests on to a sandbox and notes what is to be known of tokens.

    Args:
        target: base URL of the sandbox.
        announced: tells of an access token whether it was handed to the platform; asked when it is used first.

    Attributes:
        token_calls: in their order.
        first_uses: access tokens in the order of their first use, and what `announced` said at that moment.
        refused: data calls that were answered with 401.
    """

    def __init__(self, target: str, announced: Callable[[str], bool] = lambda _: True) -> None:
        self.target = urlsplit(target)
        self.token_calls: list[TokenCall] = []
        self.first_uses: dict[str, bool] = {}
        self.refused = 0
        self.changed = threading.Condition()
        self._announced = announced
        gate = self

        class Handler(_Handler):
            owner = gate

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        """Close the gate."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def refused_token_calls(self) -> list[TokenCall]:
        """Calls for tokens that were answered with anything but tokens."""
        return [call for call in self.token_calls if call.status not in (200, None)]

    def await_token_calls(self, number: int, seconds: float) -> bool:
        """Wait until so many calls for tokens have come; whether they did in time."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.token_calls) >= number, seconds)

    def await_status(self, call: TokenCall, seconds: float = 10) -> None:
        """Wait until the sandbox has answered a call, also one whose caller is gone."""
        deadline = time.monotonic() + seconds
        while call.status is None and time.monotonic() < deadline:
            time.sleep(0.001)

    def see(self, authorization: str) -> None:
        """Takes note of a token, before the sandbox sees it."""
        token = authorization.removeprefix("Bearer ")
        if token and token not in self.first_uses:
            self.first_uses[token] = self._announced(token)

    def see_token_call(self) -> TokenCall:
        """Takes note of a call for tokens."""
        call = TokenCall(time.monotonic())
        with self.changed:
            self.token_calls.append(call)
            self.changed.notify_all()
        return call


class _Handler(BaseHTTPRequestHandler):
    owner: Gate
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together

    def do_GET(self) -> None:
        self.owner.see(self.headers.get("Authorization", ""))
        status, headers, body = self._pass_on()
        self.owner.refused += status == 401
        self._answer(status, headers, body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = self.owner.see_token_call()
        call.status, headers, call.body = self._pass_on(body)
        self._answer(call.status, headers, call.body)
        call.handed_over_at = time.monotonic()

    def _pass_on(self, body: bytes | None = None) -> tuple[int, list[tuple[str, str]], bytes]:
        target = self.owner.target
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
        try:
            # The sandbox makes its links with the name that it is called by, so Host stays that of the gate.
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP | {"date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Stays silent."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the connector was killed
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A connector that was killed is no error."""


@contextmanager
def gate_before(target: str, announced: Callable[[str], bool] = lambda _: True) -> Iterator[Gate]:
    """A gate before a sandbox."""
    gate = Gate(target, announced)
    try:
        yield gate
    finally:
        gate.stop()


def tokens_in(call: TokenCall) -> dict[str, str]:
    """The tokens that a call has brought."""
    found: dict[str, str] = json.loads(call.body)
    return found
