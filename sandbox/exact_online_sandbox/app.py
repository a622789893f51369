"""The ASGI application: HTTP on one side, the sandbox on the other."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from exact_online_sandbox.api import ROOT, Api
from exact_online_sandbox.authorize import Authorization
from exact_online_sandbox.control import EXCEPTION_HANDLERS, Control
from exact_online_sandbox.http import Answer, Request
from exact_online_sandbox.pages import message_page
from exact_online_sandbox.sandbox import Sandbox

Break = Callable[[MutableMapping[str, Any], bool], None]


def make_app(sandbox: Sandbox, *, control: bool = True, verbose: bool = False, hang_up: Break | None = None) -> ASGIApp:
    """Make the application.

    Args:
        sandbox: what it serves.
        control: whether the control API answers.
        verbose: whether each request gives a line on stderr.
        hang_up: breaks the connection of a request (scope, with a reset or not); faults of that kind need it.
    """
    routes = Control(sandbox).routes() if control else []
    inner = Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
    return _App(sandbox, inner, verbose, hang_up)


class _App:
    def __init__(self, sandbox: Sandbox, control: ASGIApp, verbose: bool, hang_up: Break | None) -> None:
        self._box = sandbox
        self._api = Api(sandbox)
        self._authorization = Authorization(sandbox)
        self._control = control
        self._verbose = verbose
        self._hang_up = hang_up

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
        else:
            answer = Answer(404, message_page("Not found", "There is nothing here."), "text/html; charset=utf-8")
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
        if answer.cut in ("reset", "lost") and self._hang_up is not None:
            self._hang_up(scope, answer.cut == "reset")
            return
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
        headers.append((b"content-type", answer.content_type.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if answer.cut == "truncated" and self._hang_up is not None:
            half = answer.body[: len(answer.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            self._hang_up(scope, False)
            return
        await send({"type": "http.response.body", "body": answer.body})


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
