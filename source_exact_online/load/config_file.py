"""The configuration of a load: read from a file that stays as it is, as a token store keeps the tokens."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from source_exact_online.auth.masking import mask_configured
from source_exact_online.config import check_shape, config_error, config_warnings, parse_config, token_file_beside
from source_exact_online.source import SourceExactOnline

logger = logging.getLogger("airbyte.exact_online")


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """A configuration that fits the spec, and whose tokens are kept in a token store.

    Attributes:
        raw: as it stands in the file, with a token file if it names no token store; the connector changes its tokens.
        new_token_file: where tokens are kept from now on, without the configuration's saying so.
    """

    raw: MutableMapping[str, Any]
    new_token_file: Path | None = None

    @classmethod
    def read(cls, path: Path) -> LoadConfig:
        """Read a configuration file, which stays as it is.

        Tokens are kept in `token_file_beside` it unless it says where: with a journal and a lock, and no edit of the
        configuration is ever undone.

        Raises:
            AirbyteTracedException: the file holds none.
        """
        try:
            raw = SourceExactOnline.read_config(str(path))
        except OSError as error:
            raise config_error(f"{path} cannot be read: {error.strerror}.") from None
        if not _keeps_tokens(raw):
            file = token_file_beside(path.resolve())
            raw["credentials"]["token_file"] = str(file)
            if not file.exists():
                return cls(raw, file)
        return cls(raw)

    def announce(self) -> None:
        """Say where tokens are kept from now on, if the configuration does not."""
        if self.new_token_file is not None:
            logger.warning(
                "Tokens are kept in %s from now on. Name it in credentials.token_file if anything else but load "
                "uses this configuration.",
                self.new_token_file,
            )

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
        return cls(raw)

    def keep(self, changed: MutableMapping[str, Any]) -> None:
        """Take a configuration with new tokens from the connector: the token store has them already."""


def _keeps_tokens(raw: MutableMapping[str, Any]) -> bool:
    """Hold a configuration to the spec; return whether tokens are kept without it.

    Raises:
        AirbyteTracedException: it does not fit.
    """
    specification = SourceExactOnline().spec(logger).connectionSpecification
    mask_configured(specification, raw)
    check_shape(raw, specification)
    for warning in config_warnings(raw, specification):
        logger.warning(warning)
    config = parse_config(raw, datetime.now(timezone.utc))
    return config.token_file is not None or config.token_store is not None
