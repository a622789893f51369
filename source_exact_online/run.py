"""The console script: Airbyte's verbs, the interactive login, and what helps with both."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from source_exact_online import offline
from source_exact_online.command_line import command_parser
from source_exact_online.stdout import MessageBuffer, StdoutError


def run() -> NoReturn:
    """Run `source-exact-online`. The CDK takes a second of CPU to import: only what needs it does."""
    arguments = sys.argv[1:]
    answer = offline.answer(arguments)
    if answer is not None:
        _end(speak([answer]))
    parsed = _parsed(arguments or ["--help"])
    if isinstance(parsed, int):
        _end(parsed)
    if parsed.command == "login":
        _end(_login(parsed))
    if parsed.command == "catalog":
        _end(_catalog(parsed))
    if parsed.command == "load":
        _end(_load(parsed))
    if parsed.command == "report":
        _end(_report(parsed))
    gc.disable()  # what is imported stays: looking for garbage among it costs a fifth of the start
    from source_exact_online import entrypoint
    from source_exact_online.source import SourceExactOnline

    gc.enable()
    gc.freeze()
    source = SourceExactOnline()
    code = speak(entrypoint.messages(source, parsed))
    source.shutdown()
    _end(code)


def speak(messages: Iterable[str | bytes | bytearray]) -> int:
    """Print the messages of one of Airbyte's verbs; return the exit code."""

    def print_all(stdout: MessageBuffer) -> int:
        stdout.take_over()
        with stdout:
            code = stdout.print_all(messages)
        return code if stdout.ending is None else stdout.ending

    return _to_stdout(print_all)


def _to_stdout(act: Callable[[MessageBuffer], int]) -> int:
    """Do something that writes to stdout; return its exit code, 1 where stdout takes nothing more."""
    try:
        return act(MessageBuffer())
    except (BrokenPipeError, StdoutError) as error:
        # Python would complain about stdout once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, StdoutError):
            _complain(error)
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1


def _complain(error: object) -> None:
    """Say on stderr what is wrong, if anybody reads it."""
    with contextlib.suppress(OSError):
        print(error, file=sys.stderr)


def _parsed(arguments: list[str]) -> Namespace | int:
    """Return the parsed command line; the exit code where it only asked for help, or is wrong."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            return command_parser().parse_args(arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
    text = printed.getvalue().removesuffix("\n")
    return speak([text]) if text else code


def _end(code: int) -> NoReturn:
    """End the process with an exit code, or by the signal that asked for the end."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    if code == 128 + signal.SIGTERM:
        # Who asked for the end expects to see a process that the signal has ended.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    # Threads that still wait for an answer must not keep the process alive: all that counts has been written.
    os._exit(code)


def _login(parsed: Namespace) -> int:
    """Log in to Exact Online in a browser; ends by checking the configuration that it wrote."""
    from source_exact_online.login import command

    def log_in(stdout: MessageBuffer) -> int:
        with stdout:
            return command.run(parsed, _check)

    return _to_stdout(log_in)


def _catalog(parsed: Namespace) -> int:
    """Print a configured catalogue, or say on stderr why not."""
    try:
        text = offline.catalog_text(parsed.streams, parsed.mode, parsed.config)
    except Exception as error:
        _complain(f"{parsed.config} cannot be read: {error.strerror}." if isinstance(error, OSError) else error)
        return 1
    return speak([text])


def _load(parsed: Namespace) -> int:
    """Load Exact Online into a database."""
    from source_exact_online.load import command

    def fill(stdout: MessageBuffer) -> int:
        with stdout:
            return command.run(parsed)

    return _to_stdout(fill)


def _report(parsed: Namespace) -> int:
    """Write a page about what was loaded."""
    from source_exact_online.report import command

    def write(stdout: MessageBuffer) -> int:
        with stdout:
            return command.run(parsed)

    return _to_stdout(write)


def _check(config: Path) -> int:
    """Try a configuration, for a person at a terminal; return the exit code."""
    from source_exact_online.entrypoint import check
    from source_exact_online.words import printable

    problem = check(config)
    if problem is None:
        print("The configuration works: Exact Online answers.")
        return 0
    print(f"Exact Online does not answer as it should: {printable(problem)}")
    return 1
