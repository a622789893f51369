"""The console script: Airbyte's verbs, the interactive login, and loading into a database."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from source_exact_online import offline
from source_exact_online.stdout import MessageBuffer, StdoutError
from source_exact_online.version import VERSION


def run() -> NoReturn:
    """Run `source-exact-online`. The CDK takes a second of CPU to import: only what needs it does."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["login"]:
        sys.exit(_login(arguments[1:]))
    if arguments[:1] == ["load"]:
        _end(_load(arguments[1:]))
    if arguments == ["--version"]:
        print(f"source-exact-online {VERSION}")
        sys.exit(0)
    answer = offline.answer(arguments)
    if answer is not None:
        _end(speak([answer]))
    gc.disable()  # what is imported stays: looking for garbage among it costs a fifth of the start
    from source_exact_online import entrypoint
    from source_exact_online.source import SourceExactOnline

    gc.enable()
    gc.freeze()
    source = SourceExactOnline()
    code = speak(entrypoint.messages(source, arguments))
    source.shutdown()
    _end(code)


def speak(messages: Iterable[str | bytes | bytearray]) -> int:
    """Print the messages of one of Airbyte's verbs; return the exit code."""
    stdout = MessageBuffer()
    try:
        stdout.take_over()
        with stdout:
            code = stdout.print_all(messages)
    except (BrokenPipeError, StdoutError) as error:
        # Python would complain about stdout once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, StdoutError):
            print(error, file=sys.stderr)
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return code if stdout.ending is None else stdout.ending


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


def _login(arguments: Sequence[str]) -> int:
    """Log in to Exact Online in a browser; ends by checking the configuration that it wrote."""
    from source_exact_online.login import command

    parser = argparse.ArgumentParser(prog="source-exact-online login", description=command.__doc__)
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments), _check)


def _load(arguments: Sequence[str]) -> int:
    """Load Exact Online into a database."""
    from source_exact_online.load import command

    parser = argparse.ArgumentParser(prog="source-exact-online load", description=command.__doc__)
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def _check(config: Path) -> int:
    """Try a configuration, for a person at a terminal; return the exit code."""
    from source_exact_online.entrypoint import check
    from source_exact_online.login.terminal import printable

    problem = check(config)
    if problem is None:
        print("The configuration works: Exact Online answers.")
        return 0
    print(f"Exact Online does not answer as it should: {printable(problem)}")
    return 1
