"""The command line: what each verb takes, and what `--help` says of it. Imports nothing that takes long."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from source_exact_online.sites import SITES
from source_exact_online.version import VERSION

NAME = "source-exact-online"

SECRET_VARIABLE = "EXACT_ONLINE_CLIENT_SECRET"
"""Environment variable that may hold the client secret for `login`."""

LOAD_EXTRA = 'pip install "airbyte-source-exact-online[load]"'
"""Installs what `load` needs."""

REPORT_EXTRA = 'pip install "airbyte-source-exact-online[report]"'
"""Installs what `report` needs."""

DOCUMENTATION = "https://docs.airbyte.com/integrations/sources/exact-online"

_FILES = {"bash": "_shtab_compgen_files", "zsh": "_files"}
"""Functions of the shells by which shtab completes the name of a file."""


_REMEDIES = {
    "--config": "`source-exact-online login` writes a configuration",
    "--catalog": "`source-exact-online catalog --streams core > catalog.json` prints a catalogue",
}
"""What to do where an option is missing."""


class _Help(argparse.HelpFormatter):
    """Keeps lines as they are given, and breaks none at a hyphen: what stands there may be a command to copy."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for given in text.splitlines() for line in self._split_lines(given, width))


class _Parser(argparse.ArgumentParser):
    """A parser that says what to do where an option is missing."""

    def error(self, message: str) -> NoReturn:
        """End with the message and exit code 2."""
        told = [remedy for option, remedy in _REMEDIES.items() if "required:" in message and option in message]
        super().error("; ".join([message, *told]))


class _PrintCompletion(argparse.Action):
    """Prints a script that completes the command line, and ends."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        import shtab

        print(shtab.complete(parser, str(values)))
        parser.exit()


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog=NAME,
        formatter_class=_Help,
        description="Read the administrations of an Exact Online account into a warehouse.",
        epilog=f"COMMAND --help shows the options of a command. Documentation:\n{DOCUMENTATION}",
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}", help="print the version")
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=("bash", "zsh"),
        help="print what lets a shell complete command lines",
    )
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    def verb(name: str, summary: str, description: str = "") -> argparse.ArgumentParser:
        text = description or f"{summary[0].upper()}{summary[1:]}."
        return commands.add_parser(name, help=summary, description=text, formatter_class=_Help)

    add_login_options(
        verb("login", "log in once, in a browser, and write config.json", "Log in and write a ready configuration.")
    )
    _add_load_options(
        verb(
            "load",
            "fill a database, then keep it up to date",
            "Fill the tables of a database: everything the first time, and what has changed from then on.",
        )
    )
    _add_report_options(
        verb(
            "report",
            "write a page about what was loaded",
            "Write a page about what was loaded: rows, checks, result by month, balance sheet, ageing, cost centers.",
        )
    )
    _add_catalog_options(
        verb(
            "catalog",
            "print a configured catalogue, for read",
            "Print a configured catalogue: which streams `read` reads, and how.",
        )
    )
    check = verb("check", "try a configuration: token, divisions, rights")
    discover = verb("discover", "print all streams and their columns (needs no login)")
    read = verb("read", "print records and states, as Airbyte's messages")
    spec = verb("spec", "print what a configuration may hold")
    for parser_ in (check, discover, read):
        _add_file(parser_, "--config", "configuration (login writes one)", required=True)
        for ignored in ("--manifest-path", "--components-path"):  # the CDK's, for connectors without code
            parser_.add_argument(ignored, help=argparse.SUPPRESS)
    _add_file(read, "--catalog", "which streams to read (catalog prints one)", required=True)
    _add_file(read, "--state", "where the last run ended: its states, or its whole output")
    for parser_ in (check, discover, read, spec):
        parser_.add_argument("--debug", action="store_true", help="log more")
    return parser


def add_login_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `login`.

    The client secret is none of them: every user of a machine can read its command lines.
    """
    parser.epilog = f"The client secret is taken from the environment ({SECRET_VARIABLE}) or asked for."
    parser.add_argument("--site", required=True, choices=SITES, help="country where the app is registered")
    parser.add_argument(
        "--client-id", metavar="ID", required=True, help="client id of the app, from the Exact App Centre"
    )
    parser.add_argument(
        "--redirect-uri", metavar="URI", required=True, help="redirect URI of the app, exactly as registered"
    )
    _add_file(parser, "--config", "file to write (default: config.json)", type=Path, default=Path("config.json"))
    tokens = parser.add_mutually_exclusive_group()
    _add_file(tokens, "--token-file", "file in which the connector keeps the login (default: beside the configuration)")
    tokens.add_argument(
        "--no-token-file",
        action="store_true",
        help="keep none: Airbyte's platform keeps the login itself",
    )
    parser.add_argument(
        "--divisions", metavar="NUMBERS", help='"all", or division numbers separated by commas (default: ask)'
    )
    parser.add_argument("--force-login", action="store_true", help="log in afresh even if the browser is logged in")
    parser.add_argument("--no-browser", action="store_true", help="only show the address, open no browser")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file without a question")
    parser.add_argument(
        "--base-url", metavar="URL", help="address of a sandbox on this machine, to rehearse (docs/sandbox.md)"
    )


def _add_load_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "The state is kept in the destination, so that the next load, on any machine, reads what has changed since. "
        f"Needs dlt:\n{LOAD_EXTRA}"
    )
    _add_file(parser, "--config", "configuration (login writes one)", required=True, type=Path)
    parser.add_argument(
        "--to",
        metavar="DESTINATION",
        help="a DuckDB file such as exact.duckdb, postgresql://user:password@host/database, or dlt:NAME for any other "
        "of dlt's destinations, configured as dlt wants it (default: exact.duckdb beside the configuration)",
    )
    _add_streams(parser)
    parser.add_argument(
        "--full", action="store_true", help="read everything anew; each table is replaced once it is complete"
    )


def _add_streams(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--streams",
        metavar="NAMES",
        default="core",
        help="core (what most people load; the default), all, names, or several of these separated by commas",
    )


def _add_report_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Its figures come from the dbt models where they were built, else from the loaded tables. "
        f"Needs DuckDB, matplotlib and Jinja2:\n{REPORT_EXTRA}"
    )
    _add_file(parser, "--from", "DuckDB file that `load` has filled", dest="source", type=Path, required=True)
    _add_file(parser, "--to", "page to write (default: %(default)s)", type=Path, default=Path("report.html"))
    parser.add_argument(
        "--models-schema", default="exact_models", metavar="NAME", help="schema of the models (default: %(default)s)"
    )


def _add_catalog_options(parser: argparse.ArgumentParser) -> None:
    _add_streams(parser)
    parser.add_argument(
        "--mode",
        choices=("incremental", "full_refresh"),
        default="incremental",
        help="how to read them (default: incremental, where a stream can be)",
    )
    _add_file(parser, "--config", "configuration, for its stream_groups and include_binary")


def _add_file(parser: argparse._ActionsContainer, option: str, text: str, **more: object) -> None:
    action = parser.add_argument(option, metavar="FILE", help=text, **more)  # type: ignore[arg-type]
    action.complete = _FILES  # type: ignore[attr-defined]  # for shtab
