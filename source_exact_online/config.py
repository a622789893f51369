"""The configuration: parsed once into a typed object; nothing below this module sees the raw dict.

What is forgiven in a raw configuration, and what is warned of, stands here as well: `forgiven` and `config_warnings`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from source_exact_online.sites import SITES, check_ca_bundle, trusted_base_url
from source_exact_online.words import nearest

if TYPE_CHECKING:
    from airbyte_cdk.utils.traced_exception import AirbyteTracedException

TOKEN_FILE_VARIABLE = "EXACT_ONLINE_TOKEN_FILE"

PLATFORM_VARIABLE = "WORKER_JOB_ID"
"""Set by Airbyte's platform in the environment of each connector that it starts; it keeps configuration updates.

Source: class WorkerEnvConstants of the platform's code.
"""

_TYPES = {
    "array": "a list in square brackets",
    "boolean": "true or false, without quotes",
    "integer": "a whole number, without quotes",
    "object": "an object in curly brackets",
    "string": "a text in quotes",
}

_NO_FIELDS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Config:
    """What a user configured: the only type for settings, handed down whole.

    The tokens are not in it, as they change while the connector runs: `auth.credentials` keeps them.

    Attributes:
        base_url: scheme and host of the API, e.g. ``https://start.exactonline.nl``, or a loopback address of a sandbox.
        site: country site, e.g. ``nl``.
        client_id: of the app registration.
        client_secret: of the app registration.
        token_file: file that tokens are kept in beside the configuration; None = in none.
        token_store: URL of the PostgreSQL database that they are kept in instead; None = in none.
        divisions: administrations to read; empty means all that the login may read.
        exclude_divisions: administrations not to read.
        start_date: aware UTC; rows with an earlier ``Modified`` are not read.
        lookback: overlap of ``Modified`` cursors.
        read_deletions: whether streams get tombstones.
        num_workers: partitions read at a time.
        daily_calls_reserve: calls a day and division left to other processes of the same app.
        quota_wait: longest wait for a day's quota to start afresh.
        maintenance_wait: longest wait for a site that is down.
        stream_groups: groups of streams to offer, as `catalog.offer` reads them.
        full_columns: streams to read from the endpoint that has all their columns.
        include_binary: whether pictures and files are columns.
        on_platform: whether Airbyte's platform runs the connector and keeps its configuration updates.
    """

    base_url: str
    site: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    token_file: Path | None
    token_store: str | None = field(repr=False)
    divisions: tuple[int, ...]
    exclude_divisions: frozenset[int]
    start_date: datetime | None
    lookback: timedelta
    read_deletions: bool
    num_workers: int
    daily_calls_reserve: int
    quota_wait: timedelta
    maintenance_wait: timedelta
    stream_groups: frozenset[str]
    full_columns: frozenset[str]
    include_binary: bool
    on_platform: bool


def config_error(message: str) -> AirbyteTracedException:
    """Return an error that a person has to fix, with one sentence that says how."""
    from airbyte_cdk.models import FailureType  # `discover` needs the CDK in this case alone
    from airbyte_cdk.utils.traced_exception import AirbyteTracedException

    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.config_error)


def forgiven(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as it was meant: fields that are null are left out, the site is in lower case."""
    meant = _without_nulls(raw)
    site = meant.get("site")
    return {**meant, "site": site.lower()} if isinstance(site, str) else meant


def _without_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, Mapping) else value
        for name, value in fields.items()
        if value is not None
    }


def fits(raw: object, specification: Mapping[str, Any]) -> bool:
    """Return whether a configuration fits the JSON schema of the spec, and nothing in it has to be warned of."""
    if not isinstance(raw, Mapping) or not Draft7Validator(specification).is_valid(forgiven(raw)):
        return False
    return not config_warnings(raw, specification, {})


def config_warnings(
    raw: Mapping[str, Any], specification: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Return what a user should know of a configuration that fits: fields without effect, a login that will be lost.

    Args:
        raw: what Airbyte passes in.
        specification: JSON schema of the spec.
        environment: may name the token file.
    """
    warnings = [
        f"The configuration has a field that the connector does not know, {name}{meant}: it has no effect."
        for name, meant in _unknown_fields(raw, specification)
    ]
    credentials = raw.get("credentials") or _NO_FIELDS
    empty = environment.get(TOKEN_FILE_VARIABLE, "x").strip() == ""
    if empty and not (credentials.get("token_file") or credentials.get("token_store")):
        warnings.append(
            f"The environment variable {TOKEN_FILE_VARIABLE} is empty, so no token file is used: give it the path of "
            "the file that holds the login, or remove it."
        )
    return warnings


def check_shape(raw: Mapping[str, Any], specification: Mapping[str, Any]) -> None:
    """Hold a configuration to the JSON schema of the spec.

    Raises:
        AirbyteTracedException: it does not fit; the message names the field, and no value that might be a secret.
    """
    meant = forgiven(raw) if isinstance(raw, Mapping) else raw
    error = best_match(Draft7Validator(specification).iter_errors(meant))
    if error is None:
        return
    field = error.json_path.removeprefix("$").removeprefix(".") or "The configuration"
    if error.validator == "required":
        missing = error.message.split("'")[1]
        raise config_error(
            f"{missing if field.startswith('The ') else f'{field}.{missing}'} is missing in the configuration."
        )
    if error.validator == "type":
        raise config_error(f"{field} must be {_TYPES[error.validator_value]}.")
    raise config_error(f"{field}: {error.message}.")


def parse_config(raw: Mapping[str, Any], now: datetime, environment: Mapping[str, str] = os.environ) -> Config:
    """Parse a configuration that fits the spec.

    Args:
        raw: what Airbyte passes in.
        now: current time, aware UTC.
        environment: may name the token file and a bundle of certificates.

    Raises:
        AirbyteTracedException: a value makes no sense; the message names the field.
    """
    raw = forgiven(raw)
    credentials = raw["credentials"]
    for name in ("client_id", "client_secret", "refresh_token"):
        if not credentials.get(name):
            raise config_error(f"credentials.{name} is empty.")
    for name in ("client_id", "client_secret", "refresh_token", "access_token"):
        _check_characters(credentials.get(name) or "", name)
    site = raw["site"]
    if site not in SITES:
        raise config_error(f"site is {site!r}, but must be one of {', '.join(SITES)}.")
    divisions = tuple(dict.fromkeys(map(int, raw.get("divisions") or ())))
    excluded = frozenset(map(int, raw.get("exclude_divisions") or ()))
    if divisions and not set(divisions) - excluded:
        raise config_error("exclude_divisions names every division in divisions: nothing is left to read.")
    return Config(
        base_url=_base_url(raw.get("base_url"), site, environment),
        site=site,
        client_id=credentials["client_id"],
        client_secret=credentials["client_secret"],
        token_file=_token_file(credentials.get("token_file") or environment.get(TOKEN_FILE_VARIABLE, "").strip()),
        token_store=_token_store(credentials),
        divisions=divisions,
        exclude_divisions=excluded,
        start_date=_start_date(raw.get("start_date"), now),
        lookback=timedelta(minutes=raw.get("lookback_window_minutes", 120)),
        read_deletions=raw.get("read_deletions", True),
        num_workers=int(raw.get("num_workers", 10)),
        daily_calls_reserve=int(raw.get("daily_calls_reserve", 0)),
        quota_wait=timedelta(minutes=int(raw.get("quota_wait_minutes", 10))),
        maintenance_wait=timedelta(minutes=int(raw.get("maintenance_wait_minutes", 45))),
        stream_groups=stream_groups(raw),
        full_columns=full_columns(raw),
        include_binary=include_binary(raw),
        on_platform=bool(environment.get(PLATFORM_VARIABLE)),
    )


def stream_groups(raw: Mapping[str, Any]) -> frozenset[str]:
    """Return the groups of streams to offer; also of a configuration without a login, for `discover`."""
    return frozenset(raw.get("stream_groups") or ())


def full_columns(raw: Mapping[str, Any]) -> frozenset[str]:
    """Return the streams to read with all columns; also of a configuration without a login, for `discover`."""
    return frozenset(raw.get("full_columns") or ())


def include_binary(raw: Mapping[str, Any]) -> bool:
    """Return whether pictures and files are columns; also of a configuration without a login, for `discover`."""
    return bool(raw.get("include_binary"))


def _unknown_fields(raw: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each field that a schema does not know, with words that name the one that was probably meant."""
    known = {field.rpartition(".")[2]: field for field in _fields(schema)}
    for parent, fields in (("", raw), *((f"{name}.", value) for name, value in raw.items())):
        inner = schema["properties"].get(parent.removesuffix("."), _NO_FIELDS) if parent else schema
        if not isinstance(fields, Mapping) or "properties" not in inner:
            continue
        for name in fields:
            if name not in inner["properties"] and not name.startswith(("__", "airbyte")):
                meant = nearest(name, known)
                yield f"{parent}{name[:80]}", f" (did you mean {known[meant]}?)" if meant else ""


def _fields(schema: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    for name, described in schema["properties"].items():
        yield f"{parent}{name}"
        if "properties" in described:
            yield from _fields(described, f"{parent}{name}.")


def _check_characters(value: str, name: str) -> None:
    """Refuse what no form or header can carry, mostly from copying; the value itself is not told."""
    if re.search(r"\s", value):
        raise config_error(f"credentials.{name} contains white space: copy it again without blanks or line breaks.")
    if re.search("[\"'\u2018-\u201f]", value):
        raise config_error(f"credentials.{name} contains quotes: copy it again without them.")
    if "%21" in value:
        raise config_error(f"credentials.{name} is URL-encoded: put an exclamation mark (!) in place of each %21.")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", value) or (name == "access_token" and not value.isascii()):
        raise config_error(f"credentials.{name} contains a character that cannot be sent: copy it again.")


def token_file_beside(config_file: Path) -> Path:
    """Return the absolute path of the token file beside a configuration file, with a name of its own."""
    file = Path(os.path.abspath(config_file.expanduser()))
    return file.with_name(f"{file.name.removesuffix('.json')}.tokens.json")


def _token_file(text: str | None) -> Path | None:
    if not text:
        return None
    try:
        if b"\0" in os.fsencode(text):
            raise ValueError
        return Path(text).expanduser()
    except (ValueError, RuntimeError):  # characters that no path has; no such user
        raise config_error(f"credentials.token_file (or {TOKEN_FILE_VARIABLE}) is no path: {text!a}.") from None


def _token_store(credentials: Mapping[str, Any]) -> str | None:
    """Return the URL of the token store; what it says is a secret. It counts before a token file of the environment."""
    url = credentials.get("token_store")
    if not url:
        return None
    if not url.startswith(("postgresql://", "postgres://")) or re.search(r"[\s\x00-\x1f\ud800-\udfff]", url):
        raise config_error(
            "credentials.token_store is no address of a PostgreSQL database: it has to begin with postgresql:// and to "
            "be without white space."
        )
    if credentials.get("token_file"):
        raise config_error("credentials has a token_file and a token_store: tokens are kept in one place. Remove one.")
    return str(url)


def _base_url(configured: str | None, site: str, environment: Mapping[str, str]) -> str:
    try:
        base_url = trusted_base_url(configured, site)
        check_ca_bundle(base_url, environment)
        return base_url
    except ValueError as error:
        raise config_error(str(error)) from None


def _start_date(text: str | None, now: datetime) -> datetime | None:
    if not text:
        return None
    start = None
    with suppress(ValueError, OverflowError, OSError):
        parsed = pendulum.parse(text)
        if isinstance(parsed, pendulum.DateTime):
            start = datetime.fromtimestamp(parsed.timestamp(), tz=timezone.utc)
    if start is None:
        raise config_error(f"start_date is {text!r}, but must be a date and time such as 2024-01-01T00:00:00Z.")
    if start > now:
        raise config_error(f"start_date {text} lies in the future: nothing would be read.")
    return start
