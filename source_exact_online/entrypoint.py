"""Airbyte's verbs in a process of their own, through the CDK's entry point."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

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

from source_exact_online.auth.masking import mask_configured
from source_exact_online.config import check_shape, config_warnings
from source_exact_online.source import SourceExactOnline
from source_exact_online.stdout import StdoutError

logger = logging.getLogger("airbyte.exact_online")

# The CDK's memory monitor would begin each log with its own settings, which nobody can change.
logging.getLogger("airbyte").addFilter(
    lambda record: not (record.module == "memory_monitor" and record.funcName == "__init__")
)

MEMORY_CHECK_INTERVAL = 5
"""Messages between two looks at the container's memory; a message holds a page of records."""


class Entrypoint(AirbyteEntrypoint):
    """The CDK's entry point; a configuration that does not fit the spec is refused with the name of the field."""

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """Keep the secrets of a configuration out of every log line and error message."""
        mask_configured(connection_specification, config)

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        """Hold a configuration to the spec; warn of what is in it and has no effect.

        Raises:
            AirbyteTracedException: it does not fit.
        """
        check_shape(config, source_spec.connectionSpecification)
        for warning in config_warnings(config, source_spec.connectionSpecification):
            logger.warning(warning)


def messages(source: SourceExactOnline, parsed: argparse.Namespace) -> Iterator[str | bytes | bytearray]:
    """Yield the messages of one of Airbyte's verbs; an error becomes a log line and a trace message, no stack trace.

    Raises:
        SystemExit: the verb has failed.
    """
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


def _read(
    entrypoint: Entrypoint, source: SourceExactOnline, parsed: argparse.Namespace
) -> Iterator[str | bytes | bytearray]:
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


def check(config: Path) -> str | None:
    """Try a configuration, for a person at a terminal; return what is wrong."""
    source = SourceExactOnline()
    logging.disable(logging.INFO)
    try:
        result = source.check(logger, source.read_config(str(config)))
    except AirbyteTracedException as error:
        result = AirbyteConnectionStatus(status=Status.FAILED, message=str(error))
    return None if result.status is Status.SUCCEEDED else filter_secrets(result.message or "")
