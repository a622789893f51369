"""Run others' clients against the sandbox: `python -m integration_tests.clients [NAME …]`.

Each client is installed from its registry or taken from its repository, at the version named here, into
`.cache/clients/`. What is missing on this machine is said, and the client is left out. The table of results replaces
the one in docs/sandbox.md where all clients were run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "clients"
DOCUMENT = ROOT / "docs" / "sandbox.md"
STEPS = {"login": "Log in", "refresh": "Refresh", "list": "List", "page": "All pages", "key": "One by key"}
FAILED = "**failed**:"
SYSTEM_GUZZLE = Path("/usr/share/php/GuzzleHttp/autoload.php")


class MissingError(Exception):
    """What a client needs is not on this machine; the text says what."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start a client's script: the command line and its environment."""

    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Client:
    """A client that others wrote.

    Attributes:
        name: as on the command line.
        title: for the table, with the version that was tried.
        install: puts it into a folder and returns how to start its script.
        own_faults: steps that fail by the client's own fault, with the evidence.
    """

    name: str
    title: str
    install: Callable[[Path, str | None], Program]
    own_faults: Mapping[str, str] = field(default_factory=dict)


def _exactpy(folder: Path, source: str | None) -> Program:
    _environment(folder, source or "exactpy==0.0.24")
    return Program([str(folder / "bin" / "python"), str(HERE / "run_exactpy.py")])


def _quantix(folder: Path, source: str | None) -> Program:
    node, npm = _tool("node"), _tool("npm")
    if not (folder / "node_modules").exists():
        _run([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)], source or QUANTIX)
    return Program([node, str(HERE / "run_quantix.cjs")], {"NODE_PATH": str(folder / "node_modules")})


def _ossobv(folder: Path, source: str | None) -> Program:
    code = _checkout(folder, source or "https://github.com/ossobv/exactonline", OSSOBV)
    return Program([sys.executable, str(HERE / "run_ossobv.py")], {"PYTHONPATH": str(code)})


def _picqer(folder: Path, source: str | None) -> Program:
    php = _tool("php")
    code = _checkout(folder, source or "https://github.com/picqer/exact-php-client", PICQER)
    autoload = code / "vendor" / "autoload.php"
    if not autoload.exists() and shutil.which("composer"):
        command = ["composer", "install", "--no-dev", "--no-interaction", "--quiet", "--working-dir", str(code)]
        subprocess.run(command, check=False, capture_output=True)
    if not autoload.exists() and not SYSTEM_GUZZLE.exists():
        raise MissingError("Guzzle (composer, or Debian's php-guzzlehttp-guzzle)")
    found = autoload if autoload.exists() else SYSTEM_GUZZLE
    return Program([php, str(HERE / "run_picqer.php")], {"SOURCE": str(code), "AUTOLOAD": str(found)})


QUANTIX = "@quantix-ict/exact-online@1.1.0"
OSSOBV = "9a1b43dbd6f8c5666040a5df7a8c8c9777206c1b"
PICQER = "8b350573fff715003bfdbb62887537bcfa2b1cbf"
CLIENTS = (
    Client(
        "exactpy",
        "exactpy 0.0.24 (Python)",
        _exactpy,
        {
            "key": "writes `guid '…'` with a blank, which is no GUID to the published lexer of WCF Data Services "
            "(`ExpressionLexer`), on which Exact's API runs"
        },
    ),
    Client("quantix", "@quantix-ict/exact-online 1.1.0 (JavaScript)", _quantix),
    Client("picqer", "picqer/exact-php-client 8b35057 (PHP)", _picqer),
    Client("ossobv", "ossobv/exactonline 9a1b43d (Python)", _ossobv),
)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"{name} on the PATH")
    return found


def _run(command: Sequence[str], what: str) -> None:
    done = subprocess.run([*command, what], check=False, capture_output=True, text=True)
    if done.returncode:
        raise MissingError(f"{what} ({(done.stderr or done.stdout).strip().splitlines()[-1:]})")


def _environment(folder: Path, package: str) -> None:
    """Make a virtual environment with a package, unless it is there."""
    if (folder / "installed").exists():
        return
    venv.create(folder, clear=True, with_pip=True)
    _run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"], package)
    (folder / "installed").touch()


def _checkout(folder: Path, source: str, commit: str) -> Path:
    """Return a folder with the files of a commit. The source is a repository's address, or a git directory here."""
    if any(folder.glob("*")):
        return folder
    with tempfile.TemporaryDirectory(prefix="clone-") as clone:
        git = source if Path(source).exists() else clone
        if git == clone:
            _run(["git", "clone", "--quiet", "--bare", source], clone)
        done = subprocess.run(["git", "--git-dir", git, "archive", commit], check=False, capture_output=True)
        if done.returncode:
            raise MissingError(f"commit {commit} of {source}")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=BytesIO(done.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


class Server:
    """A sandbox over https in a process of its own, with the browser's part of a login."""

    def __init__(self) -> None:
        command = [
            sys.executable,
            "-m",
            "exact_online_sandbox",
            "--tls",
            "--divisions",
            "1",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        self.facts: dict[str, Any] = json.loads(line)
        self.certificate: str = self.facts["certificate"]

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(10)

    def later(self, seconds: int) -> None:
        """Move the sandbox's clock."""
        address = f"{self.facts['base_url']}/sandbox/clock"
        requests.post(address, json={"advance": seconds}, verify=self.certificate, timeout=30).raise_for_status()

    def consent(self, url: str) -> str:
        """Log in and consent as a person does in a browser; return the address that the browser is sent back to."""
        with requests.Session() as browser:
            browser.trust_env, browser.verify = False, self.certificate
            page = browser.get(url, timeout=30).text
            for path, more in (
                ("login", [("sandbox_user", "client"), ("sandbox_password", "x")]),
                ("consent", [("decision", "allow"), *(("division", str(one)) for one in self.facts["divisions"])]),
            ):
                hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
                address = f"{self.facts['base_url']}/api/oauth2/{path}"
                reply = browser.post(address, data=[*hidden, *more], timeout=30, allow_redirects=False)
                page = reply.text
            return reply.headers["Location"]


def results(client: Client, source: str | None) -> dict[str, dict[str, str]]:
    """Run a client against a sandbox of its own and return what it said of each step.

    Raises:
        MissingError: it cannot be had here.
    """
    program = client.install(CACHE / client.name, source)
    with tempfile.TemporaryDirectory(prefix="client-") as folder:
        server = Server()
        try:
            return _converse(program, server, Path(folder))
        finally:
            server.stop()


def _converse(program: Program, server: Server, folder: Path) -> dict[str, dict[str, str]]:
    facts, trusted = server.facts, server.certificate
    variables = {
        **{name: facts[name.lower()] for name in ("BASE_URL", "CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI")},
        **dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"), trusted),
        "TMPDIR": str(folder),
    }
    environment = {**os.environ, **variables, **program.variables}
    command = [*program.command]
    if Path(command[0]).name.startswith("php"):
        command[1:1] = ["-d", f"curl.cainfo={trusted}", "-d", f"openssl.cafile={trusted}"]
    found: dict[str, dict[str, str]] = {}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            said = json.loads(line)
            if "step" in said:
                found[said.pop("step")] = said
                continue
            answer = server.consent(said["consent"]) if "consent" in said else ""
            if "later" in said:
                server.later(said["later"])
            process.stdin.write(f"{answer}\n")
            process.stdin.flush()
    return found


def table(rows: Mapping[str, Sequence[str]]) -> str:
    """Return the results as a Markdown table."""
    lines = [("Client", *STEPS.values()), ("---",) * (len(STEPS) + 1)]
    lines += [(title, *cells) for title, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cells(client: Client, found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what to say of each step: what came, whose fault it is that nothing did, or that it failed."""
    said = [found.get(name, {"failed": "not reached"}) for name in STEPS]
    return [
        one.get("came")
        or (f"its own fault: {client.own_faults[name]}" if name in client.own_faults else f"{FAILED} {_plain(one)}")
        for name, one in zip(STEPS, said, strict=True)
    ]


def _plain(said: Mapping[str, str]) -> str:
    return " ".join(said["failed"].split()).replace("|", "\\|")


def tried_cells(client: Client, source: str | None) -> list[str] | None:
    """Return what to say of each step of a client; None where it cannot be had here, which is said at once."""
    try:
        return cells(client, results(client, source))
    except MissingError as error:
        print(f"{client.title} is left out: {error} is missing.")
        return None


def main() -> int:
    """Run the command line and return the exit code: 1 where a client failed or could not be had."""
    parser = argparse.ArgumentParser(prog="python -m integration_tests.clients", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(one.name for one in CLIENTS))
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=WHERE",
        help="take a client from elsewhere: a package, or a git directory",
    )
    options = parser.parse_args()
    sources = dict(one.partition("=")[::2] for one in options.source)
    chosen = [one for one in CLIENTS if not options.names or one.name in options.names]
    tried = {client.title: tried_cells(client, sources.get(client.name)) for client in chosen}
    rows = {title: found for title, found in tried.items() if found is not None}
    print(table(rows))
    if len(rows) == len(CLIENTS):
        text = DOCUMENT.read_text(encoding="utf-8")
        block = re.compile(r"(<!-- clients -->\n).*?(<!-- end of clients -->)", re.DOTALL)
        DOCUMENT.write_text(block.sub(lambda found: f"{found[1]}{table(rows)}{found[2]}", text), encoding="utf-8")
    failed = any(cell.startswith(FAILED) for row in rows.values() for cell in row)
    return 1 if failed or len(rows) < len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
