"""The ASGI application: HTTP on one side, the sandbox on the other."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import MutableMapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from exact_online_sandbox.api import ROOT, Api
from exact_online_sandbox.authorize import Authorization
from exact_online_sandbox.control import Control
from exact_online_sandbox.faulty import LOGIN_PAGE, LOGIN_PATH
from exact_online_sandbox.guard import Guard
from exact_online_sandbox.http import HTML, Answer, Request
from exact_online_sandbox.pages import message_page
from exact_online_sandbox.sandbox import Sandbox


class Line(Protocol):
    """The port under the application, for faults of the connection."""

    def hang_up(self, scope: MutableMapping[str, Any], *, reset: bool) -> None:
        """Break the connection of a request: with a TCP reset, or by closing it after what was sent."""

    def pause(self, seconds: float) -> None:
        """Take no connections for some time."""


def make_app(sandbox: Sandbox, *, control: bool = True, verbose: bool = False, line: Line | None = None) -> ASGIApp:
    """Make the application.

    Args:
        sandbox: what it serves.
        control: whether the control API answers.
        verbose: whether each request gives a line on stderr.
        line: the port under it; faults of the connection need it.
    """
    inner = Starlette(routes=Control(sandbox).routes() if control else [])
    return _App(sandbox, Guard(inner) if control else inner, verbose, line)


class _App:
    def __init__(self, sandbox: Sandbox, control: ASGIApp, verbose: bool, line: Line | None) -> None:
        self._box = sandbox
        self._api = Api(sandbox)
        self._authorization = Authorization(sandbox)
        self._control = control
        self._verbose = verbose
        self._line = line

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].startswith("/sandbox"):
            await self._control(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        body = await _body(receive)
        request, pairs = _request(scope, body)
        if request.path.startswith(ROOT):
            answer = await self._answer(request, started)
        elif request.path.startswith("/api/oauth2/"):
            if self._box.settings.latency_ms:
                await asyncio.sleep(self._box.settings.latency_ms / 1000)
            answer = self._authorization.handle(request, pairs)
        elif request.path == LOGIN_PATH:
            answer = Answer(200, LOGIN_PAGE, HTML)
        else:
            answer = Answer(404, message_page("Not found", "There is nothing here."), HTML)
        if answer.wait:
            await asyncio.sleep(answer.wait)
        if self._verbose:
            took = (time.perf_counter() - started) * 1000
            what = answer.cut or answer.status
            print(f"{request.method} {request.path} {what} {len(answer.body)}B {took:.0f}ms", file=sys.stderr)
        await self._send(scope, send, answer)

    async def _answer(self, request: Request, started: float) -> Answer:
        admission = self._api.admit(request)
        if self._box.settings.latency_ms:
            await asyncio.sleep(self._box.settings.latency_ms / 1000)
        answer = admission.refusal
        if answer is None:
            answer = await run_in_threadpool(self._api.answer, admission)
        answer = self._api.settle(admission, answer)
        admission.call.milliseconds = round((time.perf_counter() - started + answer.wait) * 1000, 1)
        return answer

    async def _send(self, scope: Scope, send: Send, answer: Answer) -> None:
        if answer.sent_status is None and self._line is not None:
            self._line.hang_up(scope, reset=answer.cut != "lost")
            if answer.cut == "refused":
                self._line.pause(answer.pause)
            return
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
        headers.append((b"content-type", answer.content_type.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if answer.cut == "truncated" and self._line is not None:
            half = answer.body[: len(answer.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            self._line.hang_up(scope, reset=False)
            return
        for byte in answer.body if answer.drip else b"":
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await asyncio.sleep(answer.drip)
        await send({"type": "http.response.body", "body": b"" if answer.drip else answer.body})


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _request(scope: Scope, body: bytes) -> tuple[Request, list[tuple[str, str]]]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    raw_path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    origin = f"{scope['scheme']}://{headers.get('host', 'localhost')}"
    pairs: list[tuple[str, str]] = []
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True)
    length = len(origin) + len(raw_path) + (len(query) + 1 if query else 0)
    request = Request(
        method=scope["method"],
        path=scope["path"],
        query=query.decode("latin-1"),
        headers=headers,
        form=dict(pairs),
        origin=origin,
        url_length=length,
    )
    return request, pairs
