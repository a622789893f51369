"""A PostgreSQL server for checks, and a gateway before it that can be cut, stopped and mended."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

HOW_TO_GET_ONE = (
    "These checks need a PostgreSQL server. Name one whose role may make databases and roles: "
    "make postgres-test POSTGRES=postgresql://postgres:password@localhost:5432/postgres "
    "(docker run -e POSTGRES_PASSWORD=password -p 5432:5432 postgres:15 starts one). Or install its programs "
    "(Debian: apt install postgresql), and a server for these checks alone is started."
)


class NoPostgresError(Exception):
    """There is no server to be had; the text says how to get one."""


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of a server: the one that POSTGRES names, or one that is started for as long as this takes.

    Raises:
        NoPostgresError: no server is named and none can be started.
    """
    programs = _programs()
    if url := os.environ.get("POSTGRES"):
        yield url
    elif programs is None or (os.geteuid() == 0 and "postgres" not in (user.pw_name for user in pwd.getpwall())):
        raise NoPostgresError(HOW_TO_GET_ONE)
    else:
        with TemporaryDirectory(prefix="postgres-") as folder:
            yield from _throw_away_server(programs, Path(folder))


def _throw_away_server(programs: Path, folder: Path) -> Iterator[str]:
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    if user is not None:
        shutil.chown(folder, user)
    data, port = folder / "data", free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c max_connections=200"

    def run(program: str, *arguments: str | Path) -> None:
        command = [programs / program, "-D", data, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)

    run("initdb", "-U", "postgres", "-A", "trust", "--no-sync")
    run("pg_ctl", "-l", folder / "log", "-w", "-o", options, "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-m", "immediate", "stop")


def _programs() -> Path | None:
    """Return the folder with initdb; Debian keeps it off the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """Yield the URL of a database that is dropped in the end."""
    name = f"exact_online_check_{os.getpid()}_{free_port()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    parts = urlsplit(server_url)
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def url_of(database_url: str, user: str = "", password: str = "", port: int = 0, **options: str) -> str:
    """Return a URL of the same database for another role, through another port or with settings of a session."""
    parts, known = urlsplit(database_url), conninfo_to_dict(database_url)
    who = f"{user}:{password}" if user else parts.netloc.rpartition("@")[0]
    where = f"127.0.0.1:{port}" if port else f"{known.get('host', '127.0.0.1')}:{known.get('port', 5432)}"
    settings = "%20".join(f"-c%20{name}%3D{value}" for name, value in options.items())
    return f"postgresql://{who}@{where}{parts.path}{f'?options={settings}' if settings else ''}"


class Gateway:
    """Stands between a client and a server.

    Attributes:
        port: where it listens.
    """

    def __init__(self, server_url: str) -> None:
        known: Mapping[str, object] = conninfo_to_dict(make_conninfo(server_url))
        self._server = (str(known.get("host", "127.0.0.1")), int(str(known.get("port", 5432))))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._closed = False
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and each new one at once."""
        self._closed = True
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def freeze(self) -> None:
        """Take everything and pass nothing on."""
        self._flows.clear()

    def mend(self) -> None:
        """Let everything pass again."""
        self._closed = False
        self._flows.set()

    def close(self) -> None:
        """Listen no more."""
        self.cut()
        self._flows.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._closed:
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                self._open += [client, server]
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), client, server:
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(65536)
                    self._flows.wait()
                    if not data:
                        return
                    (server if end is client else client).sendall(data)
