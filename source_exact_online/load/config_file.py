"""The configuration of a load: read from a file, into which new tokens go back."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
from airbyte_cdk.utils.airbyte_secrets_utils import get_secrets, update_secrets

from source_exact_online.auth import private_files
from source_exact_online.config import check_shape, config_error, config_warnings, parse_config
from source_exact_online.source import SourceExactOnline

logger = logging.getLogger("airbyte.exact_online")


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """A configuration that fits the spec.

    Attributes:
        raw: as it stands in the file; the connector changes its tokens.
        keep: makes changed tokens durable.
    """

    raw: MutableMapping[str, Any]
    keep: Callable[[MutableMapping[str, Any]], None]

    @classmethod
    def read(cls, path: Path) -> LoadConfig:
        """Read a configuration file.

        Raises:
            AirbyteTracedException: the file holds none, or new tokens could not be kept.
        """
        try:
            raw = SourceExactOnline.read_config(str(path))
        except OSError as error:
            raise config_error(f"{path} cannot be read: {error.strerror}.") from None
        if not _keeps_tokens(raw):
            file = Path(os.path.realpath(path))
            if not os.access(file.parent, os.W_OK):
                raise config_error(
                    f"{path} could not be written anew, and Exact Online changes the refresh token at each use: give "
                    "permission to its folder, or name credentials.token_file."
                )
            return cls(raw, lambda changed: private_files.replace(file, _pretty(changed)))
        return cls(raw, lambda changed: None)

    @classmethod
    def of(cls, raw: MutableMapping[str, Any]) -> LoadConfig:
        """Take a configuration that is in no file.

        Raises:
            AirbyteTracedException: it does not fit the spec, or new tokens could not be kept.
        """
        if not _keeps_tokens(raw):
            raise config_error(
                "New tokens have to be kept, as a refresh token of Exact Online works once: pass the path of the "
                "configuration file, or name credentials.token_file."
            )
        return cls(raw, lambda changed: None)


def _keeps_tokens(raw: MutableMapping[str, Any]) -> bool:
    """Hold a configuration to the spec; return whether tokens are kept without it.

    Raises:
        AirbyteTracedException: it does not fit.
    """
    specification = SourceExactOnline().spec(logger).connectionSpecification
    update_secrets(get_secrets(specification, raw))
    check_shape(raw, specification)
    for warning in config_warnings(raw, specification):
        logger.warning(warning)
    config = parse_config(raw, datetime.now(timezone.utc))
    return config.token_file is not None or config.token_store is not None


def _pretty(raw: MutableMapping[str, Any]) -> bytes:
    return orjson.dumps(raw, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
