"""Failures that rooms which do not know each other have to tell apart."""

from __future__ import annotations

from airbyte_cdk.utils.traced_exception import AirbyteTracedException


class NoTokenInThisRunError(AirbyteTracedException):
    """There is no access token, and asking again would bring none in this run. Exact Online may be well."""


class TokenStoreUnavailableError(NoTokenInThisRunError):
    """There is no access token since the token store cannot be used for now."""
