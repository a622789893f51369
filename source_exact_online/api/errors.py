"""What an answer of Exact Online means: one table (errors.yaml), the reading of it, and what each action leads to."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from urllib.parse import urljoin, urlsplit

import orjson
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.error_table import ErrorRow, first_match, read_table, row_of

LONGEST_TEXT = 300
"""Characters of an answer's own words that are passed on."""

_READ_TEXT = 2000
"""Characters of a header or a body that are searched for words of the table."""

_READ_PAGE = 65_536
"""Characters of a body that is no JSON which are looked at for a message."""


class Action(Enum):
    """What is done about an answer; errors.yaml explains each."""

    RETRY = "retry"
    WAIT = "wait"
    REFRESH = "refresh"
    DROP_COLUMN = "drop_column"
    ADD_FILTER = "add_filter"
    DROP_FILTER = "drop_filter"
    SKIP = "skip"
    FAIL = "fail"
    STOP = "stop"


class ErrorKind(Enum):
    """Rows of errors.yaml, by name."""

    QUOTA_SPENT = "minute or day quota spent"
    DAY_QUOTA_SPENT = "day quota spent"
    USER_BLOCKED = "user blocked"
    LICENCE_BLOCKED = "licence blocked"
    DIVISION_BLOCKED = "division blocked"
    DIVISION_NOT_CONSENTED = "division not in the consent"
    SCOPE_MISSING = "scope missing"
    TOKEN_DEAD = "access token dead"
    REFUSED_ON_THE_WAY = "refused on the way"
    REFUSED_WITHOUT_WORDS = "refused without a word"
    GATEWAY_FAULT = "gateway fault"
    NO_RIGHT = "no right or module"
    FILTER_REFUSED = "filter refused"
    FILTER_MISSING = "mandatory filter missing"
    BAD_QUERY = "bad query"
    ENDPOINT_UNKNOWN = "endpoint unknown"
    GAVE_UP = "server gave up"
    SITE_DOWN = "site down"
    SERVER_FAULT = "server fault"
    OTHER_REFUSAL = "unexpected client error"
    LOGIN_PAGE = "login page"
    OTHER_SITE = "another site"
    REDIRECTED = "redirected"
    NO_ANSWER = "no answer"
    NO_CONNECTION = "no connection"
    NO_TOKEN = "no access token"
    DAMAGED_PAGE = "damaged page"
    ENDLESS = "endless listing"
    FOREIGN_LINK = "foreign link"
    ERROR_LIMIT_NEAR = "error limit near"
    BLOCKED = "blocked"
    ANYTHING_ELSE = "anything else"


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a request is about, in words for a person.

    Attributes:
        stream: name of the stream, or of the service endpoint.
        scope: scope of the app registration that it needs, in Exact's words, e.g. ``Financial costcenters``.
        division: administration, or None where the URL has none.
    """

    stream: str
    scope: str | None = None
    division: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorResolution:
    """What an answer means for a request.

    Attributes:
        kind: row of the table that decided.
        action: what to do.
        failure: whose problem it is, should the request end there.
        message: one sentence for a person.
        detail: what Exact said, shortened.
        concerns_division: whether it holds for everything in the division.
        retry_after: seconds or HTTP date that the answer asks to wait; empty where it does not.
    """

    kind: ErrorKind
    action: Action
    failure: FailureType
    message: str
    detail: str
    concerns_division: bool = False
    retry_after: str = ""


class ApiError(AirbyteTracedException):
    """A request that has finally failed, with the sentence to show."""

    def __init__(self, resolution: ErrorResolution) -> None:
        super().__init__(
            internal_message=resolution.detail, message=resolution.message, failure_type=resolution.failure
        )
        self.resolution = resolution


class QueryRefusedError(ApiError):
    """Exact refused what was asked, not who asked: another query may do."""


class NotReadableError(ApiError):
    """The stream, or all of the division, is closed to this login; everything else goes on."""


class IncompleteError(ApiError):
    """The listing cannot be read to its end in this run; everything else goes on."""


class LoginUnusableError(ApiError):
    """Nothing can be read any more with this login, whatever is asked."""


_CONSEQUENCES: Mapping[Action, type[ApiError]] = {
    Action.DROP_COLUMN: QueryRefusedError,
    Action.ADD_FILTER: QueryRefusedError,
    Action.DROP_FILTER: QueryRefusedError,
    Action.SKIP: NotReadableError,
    Action.STOP: LoginUnusableError,
    # What more attempts could not help:
    Action.RETRY: IncompleteError,
    Action.WAIT: IncompleteError,
    Action.REFRESH: LoginUnusableError,
    Action.FAIL: IncompleteError,
}


def error_of(resolution: ErrorResolution) -> ApiError:
    """Return the error that a request ends with; its type says what it leads to."""
    return _CONSEQUENCES[resolution.action](resolution)


@cache
def error_rows() -> tuple[ErrorRow[ErrorKind, Action], ...]:
    """Return the error table, in its order."""
    return read_table(__package__, "errors.yaml", ErrorKind, Action)


def resolution_for(
    status: int, headers: Mapping[str, str], body: bytes, context: RequestContext, url: str = ""
) -> ErrorResolution:
    """Look an answer up in the table.

    Args:
        status: HTTP status.
        headers: of the answer.
        body: of the answer.
        context: what the request was about.
        url: address that was asked.
    """
    text = message_of(body)
    reason = headers.get("Reason", "")
    target = _target(headers.get("Location", ""), url) if 300 <= status < 400 else ""
    form = "html" if body[:500].lstrip().startswith(b"<") else "other"
    asked = urlsplit(url)
    elsewhere = target.removeprefix(f"{asked.scheme}://{asked.hostname}")
    words = " ".join(part for part in (elsewhere, text, body[:_READ_TEXT].decode("utf-8", "replace")) if part)
    row = first_match(error_rows(), status, form, reason[:_READ_TEXT], words if form == "html" or target else text)
    detail = " - ".join(part for part in (f"HTTP {status}", shortened(reason), target, text) if part)
    return _resolution(row, detail, context, headers.get("Retry-After", "")[:_READ_TEXT])


def resolution_of(kind: ErrorKind, detail: str, context: RequestContext) -> ErrorResolution:
    """Return the resolution for what no error answer says, by its row in the table."""
    return _resolution(row_of(error_rows(), kind), detail, context)


def _resolution(
    row: ErrorRow[ErrorKind, Action], detail: str, context: RequestContext, retry_after: str = ""
) -> ErrorResolution:
    message = row.message.format(
        stream=context.stream,
        scope=_scope_named(detail) or context.scope or "(not documented)",
        division="(none)" if context.division is None else context.division,
        detail=detail,
    )
    return ErrorResolution(row.kind, row.action, row.failure, message, detail, row.concerns_division, retry_after)


def _target(location: str, url: str) -> str:
    """Return where a redirect leads, without its query, which may hold secrets."""
    try:
        parts = urlsplit(urljoin(url, location))
    except ValueError:
        return "an address that makes no sense"
    return shortened(f"{parts.scheme}://{parts.hostname or ''}{parts.path}")


def _scope_named(detail: str) -> str | None:
    """Return the scope that an answer names, as the App Centre writes it: Sales orders for 'sales.orders' scope."""
    found = re.search(r"'([a-z]{1,100})\.([a-z]{1,100})' scope\b", detail, re.IGNORECASE)
    return found and f"{found[1].capitalize()} {found[2].lower()}"


def message_of(body: bytes) -> str:
    """Return the message inside an error body, on one line; a shortened body where it is not Exact's JSON."""
    try:
        value = orjson.loads(body)["error"]["message"]["value"]
        text = value if isinstance(value, str) else ""
    except (orjson.JSONDecodeError, KeyError, TypeError):
        start = filter_secrets(body[: 2 * _READ_PAGE].decode("utf-8", "replace"))[:_READ_PAGE]
        text = html.unescape(re.sub(r"<[^<>]*>", " ", start))
    return shortened(text)


def shortened(text: str) -> str:
    """Return a text from outside as a message may quote it: on one line, without secrets, and then cut.

    Once it is cut, a secret in it would not be recognised any more.
    """
    return filter_secrets(" ".join(text.split()))[:LONGEST_TEXT]


def refused_columns(detail: str, columns: Iterable[str], required: Collection[str]) -> tuple[str, ...]:
    """Return the columns of a ``$select`` that an error text names, keys and cursors (`required`) aside.

    The text is in the user's language, but the name of the column stands in it as it was sent: in quotes where the
    sentence has quotes, else as a word. Names with dots are types (``Exact.Web.Api.Models.Account``), not columns.
    """
    text = re.sub(r"\b\w+\.[\w.]+", " ", detail[:_READ_TEXT])
    candidates = [name for name in columns if name not in required]
    quoted = set(re.findall(r"['\"\u2018\u201c](\w+)['\"\u2019\u201d]", text))
    named = tuple(name for name in candidates if name in quoted)
    if named or quoted & set(required):
        return named
    words = set(re.findall(r"\w+", text))
    alone = tuple(name for name in candidates if name in words)
    return alone if len(alone) == 1 else ()
