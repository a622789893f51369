"""The console script: Airbyte's verbs, and the interactive login."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import orjson
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteMessageSerializer,
    ConnectorSpecification,
    FailureType,
    Status,
)
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.memory_monitor import MemoryMonitor
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.config import check_shape
from source_exact_online.login import command as login
from source_exact_online.login.terminal import printable
from source_exact_online.source import SourceExactOnline
from source_exact_online.stdout import MessageBuffer, StdoutError
from source_exact_online.version import VERSION

logger = logging.getLogger("airbyte.exact_online")

MEMORY_CHECK_INTERVAL = 5
"""Messages between two looks at the container's memory; a message holds a page of records."""


def run() -> NoReturn:
    """Run `source-exact-online`."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["login"]:
        sys.exit(_login(arguments[1:]))
    if arguments == ["--version"]:
        print(f"source-exact-online {VERSION}")
        sys.exit(0)
    source = SourceExactOnline()
    code = _speak(source, arguments)
    source.shutdown()
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    if code == 128 + signal.SIGTERM:
        # Who asked for the end expects to see a process that the signal has ended.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    # Threads that still wait for an answer must not keep the process alive: all that counts has been written.
    os._exit(code)


def _speak(source: SourceExactOnline, arguments: Sequence[str]) -> int:
    """Run one of Airbyte's verbs; return the exit code."""
    parsed = AirbyteEntrypoint.parse_args(list(arguments))
    if not parsed.command:
        AirbyteEntrypoint.parse_args(["--help"])
    stdout = MessageBuffer()
    try:
        stdout.take_over()
        with stdout:
            code = stdout.print_all(_messages(source, parsed))
    except (BrokenPipeError, StdoutError) as error:
        # Python would complain about stdout once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, StdoutError):
            print(error, file=sys.stderr)
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return code if stdout.ending is None else stdout.ending


class Entrypoint(AirbyteEntrypoint):
    """The CDK's entry point; a configuration that does not fit the spec is refused with the name of the field."""

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        """Hold a configuration to the spec.

        Raises:
            AirbyteTracedException: it does not fit.
        """
        check_shape(config, source_spec.connectionSpecification)


def _messages(source: SourceExactOnline, parsed: argparse.Namespace) -> Iterator[str | bytes]:
    """Yield the messages of a run; an error becomes a log line and a trace message in place of a stack trace."""
    try:
        entrypoint = Entrypoint(source)
        if parsed.command == "read":
            yield from _read(entrypoint, source, parsed)
        else:
            yield from entrypoint.run(parsed)
    except (BrokenPipeError, StdoutError):
        raise
    except Exception as error:
        traced = _traced(error)
        logger.error(filter_secrets(str(traced)))
        yield _line(traced.as_sanitized_airbyte_message())
        raise SystemExit(1) from None


def _read(entrypoint: Entrypoint, source: SourceExactOnline, parsed: argparse.Namespace) -> Iterator[str | bytes]:
    """Yield the messages of `read`, as the CDK's entry point does, but with the records of a page as ready lines.

    Raises:
        AirbyteTracedException: a file cannot be used, or the read fails.
    """
    if parsed.debug:
        logging.getLogger("airbyte").setLevel(logging.DEBUG)
    config = source.read_config(parsed.config)
    catalog, state = source.read_catalog(parsed.catalog), source.read_state(parsed.state)
    specification = source.spec(logger)
    entrypoint.set_up_secret_filter(config, specification.connectionSpecification)
    entrypoint.validate_connection(specification, config)
    memory = MemoryMonitor(check_interval=MEMORY_CHECK_INTERVAL)
    for message in source.read_batches(config, catalog, state):
        yield _line(message) if isinstance(message, AirbyteMessage) else message.lines
        memory.check_memory_usage()


def _line(message: AirbyteMessage) -> str:
    return orjson.dumps(AirbyteMessageSerializer.dump(message)).decode()


def _traced(error: Exception) -> AirbyteTracedException:
    """Return what to tell a person about an error; files of the command line that cannot be used are theirs to fix."""
    if isinstance(error, AirbyteTracedException):
        return error
    if isinstance(error, OSError) and error.filename:
        message, failure = f"{error.filename} cannot be read: {error.strerror}.", FailureType.config_error
    else:
        message, failure = f"The connector failed ({type(error).__name__}: {error}).", FailureType.system_error
    return AirbyteTracedException(message=message, internal_message=repr(error), failure_type=failure, exception=error)


def _login(arguments: Sequence[str]) -> int:
    """Log in to Exact Online in a browser; ends by checking the configuration that it wrote."""
    parser = argparse.ArgumentParser(prog="source-exact-online login", description=login.__doc__)
    login.add_arguments(parser)
    return login.run(parser.parse_args(arguments), _check)


def _check(config: Path) -> int:
    """Try a configuration, for a person at a terminal; returns the exit code."""
    source = SourceExactOnline()
    logging.disable(logging.INFO)
    try:
        result = source.check(logger, source.read_config(str(config)))
    except AirbyteTracedException as error:
        result = AirbyteConnectionStatus(status=Status.FAILED, message=str(error))
    if result.status is Status.SUCCEEDED:
        print("The configuration works: Exact Online answers.")
        return 0
    print(f"Exact Online does not answer as it should: {printable(filter_secrets(result.message or ''))}")
    return 1
