"""Serving over TCP with uvicorn, on a free port where wanted, with connections that can be broken on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from exact_online_sandbox.app import make_app
from exact_online_sandbox.sandbox import Sandbox

Ends = tuple[Any, ...] | list[Any] | None
_transports: dict[tuple[Any, ...], asyncio.Transport] = {}


class _Protocol(H11Protocol):
    """HTTP/1.1 that remembers its connections by their two ends, so that a fault can break them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _transports[_ends(self.client, self.server)] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _transports.pop(_ends(self.client, self.server), None)
        super().connection_lost(exc)


def _ends(client: Ends, server: Ends) -> tuple[Any, ...]:
    return (*(client or ()), *(server or ()))


class Server:
    """A sandbox behind a TCP port."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        control: bool = True,
        verbose: bool = False,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """Bind the port.

        Args:
            sandbox: what is served.
            host: address to listen on.
            port: port to listen on; 0 for any free one.
            control: whether the control API answers.
            verbose: whether each request gives a line on stderr.
            tls: files of a certificate and its key, for https.

        Raises:
            OSError: the port is taken.
        """
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._host = host
        name = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host
        self.base_url = f"{'https' if tls else 'http'}://{name}:{self.port}"
        certificate, key = tls or (None, None)
        self._config = uvicorn.Config(
            make_app(sandbox, control=control, verbose=verbose, line=self),
            http=_Protocol,
            lifespan="off",
            access_log=False,
            log_level="critical",
            date_header=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(self._config)
        self._thread: threading.Thread | None = None

    def run(self, ready: Callable[[], None] | None = None) -> None:
        """Serve until interrupted.

        Args:
            ready: called once connections are accepted; they are from the moment the port is bound.
        """
        if ready is not None:
            ready()
        self._server.run(sockets=[self._socket])

    def hang_up(self, scope: MutableMapping[str, Any], *, reset: bool) -> None:
        """Break the connection of a request: with a TCP reset, or by closing it after what was sent."""
        transport = _transports.get(_ends(scope["client"], scope["server"]))
        if transport is None:
            return
        if reset:
            _reset(transport)
        else:
            transport.close()

    def pause(self, seconds: float) -> None:
        """Take no connections for some time, and end those there are."""
        for listening in self._server.servers:
            listening.close()
        for ends, transport in list(_transports.items()):
            if ends[-1] == self.port:
                _reset(transport)
        asyncio.get_running_loop().call_later(seconds, self._resume)

    def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        self._socket = _listen(self._host, self.port)
        self._resuming = loop.create_task(self._serve(loop))

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._server.servers = [await loop.create_server(self._protocol, sock=self._socket, ssl=self._config.ssl)]

    def _protocol(self) -> asyncio.Protocol:
        return _Protocol(self._config, self._server.server_state, {})

    def __enter__(self) -> Server:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()


def _listen(host: str, port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms more.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError:
        listening.close()
        raise
    return listening


def _reset(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
