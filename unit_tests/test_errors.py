"""The error table: what each answer means, in the order of its rows, and what a person is told."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets

from source_exact_online.api import errors
from source_exact_online.api.errors import (
    Action,
    ApiError,
    ErrorKind,
    ErrorResolution,
    IncompleteError,
    LoginUnusableError,
    NotReadableError,
    QueryRefusedError,
    RequestContext,
    error_of,
    error_rows,
    resolution_of,
)
from source_exact_online.error_table import ErrorRow
from unit_tests.exact_fakes import refusal

COST_CENTERS = RequestContext("cost_centers", "Financial costcenters", 123)
URL = "https://start.exactonline.nl/api/v1/123/hrm/Costcenters?$select=ID"
SCOPE = "Forbidden - Application Scope Violated. Cannot read 'financial.costcenters' scope."
OUTSIDE = "Forbidden - User division is not within division scope"
FILTER = (
    "This endpoint has mandatory filtering applied. A GET request for this endpoint must have a $filter parameter with "
    "one of the following fields in the url: ID,Created,Modified,Name"
)
GATEWAY = '{"fault":{"faultstring":"Unable to identify proxy for host: start.exactonline.nl:443"}}'
FIREWALL = (
    b"<html><head><title>Access Denied</title></head><body><h1>Access Denied</h1>Reference #18.2f1a</body></html>"
)
MAINTENANCE = (
    b"<html><head><title>Exact Online</title></head><body>Exact Online is being updated and is not available.</body>"
)
LOGIN_PAGE = (
    b"<!DOCTYPE html><html><head><title>Login - Exact Online</title></head><body>"
    b'<form action="/docs/Login.aspx" method="post"></form></body></html>'
)

CONFIG, TRANSIENT, SYSTEM = FailureType.config_error, FailureType.transient_error, FailureType.system_error

CASES: list[tuple[ErrorKind, int, str, str | None, Action, FailureType]] = [
    (ErrorKind.QUOTA_SPENT, 429, "", None, Action.WAIT, TRANSIENT),
    (ErrorKind.QUOTA_SPENT, 429, "Forbidden", "BlockedUser", Action.WAIT, TRANSIENT),
    (ErrorKind.USER_BLOCKED, 401, "", "BlockedUser", Action.SKIP, CONFIG),
    (ErrorKind.USER_BLOCKED, 403, "Forbidden", "InactiveUser", Action.SKIP, CONFIG),
    (ErrorKind.LICENCE_BLOCKED, 401, "", "BlockedCustomer", Action.SKIP, CONFIG),
    (ErrorKind.LICENCE_BLOCKED, 403, "", "LicenseExpired", Action.SKIP, CONFIG),
    (ErrorKind.DIVISION_BLOCKED, 403, "", "DivisionBlocked", Action.SKIP, CONFIG),
    (ErrorKind.DIVISION_BLOCKED, 401, "", "NoDivisionAccess", Action.SKIP, CONFIG),
    (ErrorKind.DIVISION_NOT_CONSENTED, 403, OUTSIDE, None, Action.SKIP, CONFIG),
    (ErrorKind.DIVISION_NOT_CONSENTED, 401, "WrongDivision", None, Action.SKIP, CONFIG),
    (ErrorKind.SCOPE_MISSING, 403, SCOPE, None, Action.SKIP, CONFIG),
    (ErrorKind.SCOPE_MISSING, 401, SCOPE.upper(), None, Action.SKIP, CONFIG),
    (ErrorKind.TOKEN_DEAD, 401, "", None, Action.REFRESH, CONFIG),
    (ErrorKind.TOKEN_DEAD, 401, "Niet geautoriseerd", "Something new", Action.REFRESH, CONFIG),
    (ErrorKind.REFUSED_WITHOUT_WORDS, 403, "", None, Action.SKIP, CONFIG),
    (ErrorKind.NO_RIGHT, 403, "Forbidden", None, Action.SKIP, CONFIG),
    (ErrorKind.NO_RIGHT, 403, "Verboden", None, Action.SKIP, CONFIG),
    (ErrorKind.NO_RIGHT, 403, "Interdit", None, Action.SKIP, CONFIG),
    (
        ErrorKind.FILTER_REFUSED,
        400,
        "This $filter parameter is not supported for this resource. Use Modified or ID.",
        None,
        Action.DROP_FILTER,
        SYSTEM,
    ),
    (
        ErrorKind.FILTER_REFUSED,
        400,
        "Filtering on these fields is not supported: Modified",
        None,
        Action.DROP_FILTER,
        SYSTEM,
    ),
    (ErrorKind.FILTER_MISSING, 400, FILTER, None, Action.ADD_FILTER, SYSTEM),
    (
        ErrorKind.FILTER_MISSING,
        400,
        "Een filter is verplicht. Gebruik de parameter $filter met een van de velden ID,Modified,Name",
        None,
        Action.ADD_FILTER,
        SYSTEM,
    ),
    (ErrorKind.BAD_QUERY, 400, "Bad Request - Error in query syntax.", None, Action.DROP_COLUMN, SYSTEM),
    (
        ErrorKind.BAD_QUERY,
        400,
        "Please add a $select or a $top=1 statement to the query string.",
        None,
        Action.DROP_COLUMN,
        SYSTEM,
    ),
    (ErrorKind.BAD_QUERY, 400, "De kolom 'Foo' bestaat niet.", None, Action.DROP_COLUMN, SYSTEM),
    *((ErrorKind.ENDPOINT_UNKNOWN, status, "", None, Action.SKIP, CONFIG) for status in (404, 405, 410)),
    (ErrorKind.GAVE_UP, 408, "", None, Action.RETRY, TRANSIENT),
    *((ErrorKind.SITE_DOWN, status, "", None, Action.RETRY, TRANSIENT) for status in (502, 503, 504)),
    *((ErrorKind.SERVER_FAULT, status, "", None, Action.RETRY, TRANSIENT) for status in (500, 501, 505, 520, 598, 599)),
    *(
        (ErrorKind.OTHER_REFUSAL, status, "", None, Action.SKIP, SYSTEM)
        for status in (402, 406, 407, 409, 411, 412, 413, 414, 415, 416, 418, 420, 422, 425, 431, 444, 449, 451, 499)
    ),
    *((ErrorKind.ANYTHING_ELSE, status, "", None, Action.RETRY, TRANSIENT) for status in (201, 204, 206, 600)),
]

PAGES: list[tuple[ErrorKind, int, bytes, Action]] = [
    # Answers that are not in Exact's own form.
    (ErrorKind.GATEWAY_FAULT, 404, GATEWAY.encode(), Action.RETRY),
    (ErrorKind.GATEWAY_FAULT, 403, GATEWAY.encode(), Action.RETRY),
    (ErrorKind.GATEWAY_FAULT, 500, GATEWAY.encode(), Action.RETRY),
    (ErrorKind.REFUSED_ON_THE_WAY, 403, FIREWALL, Action.RETRY),
    (ErrorKind.REFUSED_ON_THE_WAY, 403, b"\r\n  <!DOCTYPE html><html></html>", Action.RETRY),
    (ErrorKind.TOKEN_DEAD, 401, FIREWALL, Action.REFRESH),
    (ErrorKind.NO_RIGHT, 403, b"Access Denied", Action.SKIP),
    (ErrorKind.ENDPOINT_UNKNOWN, 404, b"<html><body>Not found</body></html>", Action.SKIP),
    (ErrorKind.SITE_DOWN, 503, MAINTENANCE, Action.RETRY),
    (ErrorKind.LOGIN_PAGE, 200, LOGIN_PAGE, Action.STOP),
    (ErrorKind.LOGIN_PAGE, 200, b"<html><script>location = '/Account/Login?ReturnUrl=x'</script></html>", Action.STOP),
    (ErrorKind.ANYTHING_ELSE, 200, MAINTENANCE, Action.RETRY),
]

REDIRECTS: list[tuple[str, ErrorKind, str]] = [
    # Location, what it means, the target as a person is told
    ("https://start.exactonline.be/api/v1/123/x?secret=1", ErrorKind.OTHER_SITE, "https://start.exactonline.be/api/"),
    ("https://START.exactonline.co.uk/x", ErrorKind.OTHER_SITE, "https://start.exactonline.co.uk/x"),
    ("//start.exactonline.de/x", ErrorKind.OTHER_SITE, "https://start.exactonline.de/x"),
    ("/docs/Login.aspx?secret=1#secret", ErrorKind.LOGIN_PAGE, "https://start.exactonline.nl/docs/Login.aspx"),
    (
        "https://start.exactonline.nl/docs/Login.aspx?ReturnUrl=secret",
        ErrorKind.LOGIN_PAGE,
        "https://start.exactonline.nl/docs/Login.aspx",
    ),
    ("../../../../docs/Login.aspx", ErrorKind.LOGIN_PAGE, "https://start.exactonline.nl/docs/Login.aspx"),
    ("https://start.exactonline.be/docs/Login.aspx", ErrorKind.LOGIN_PAGE, "https://start.exactonline.be/docs/Log"),
    ("https://proxy.example:8443/captive?secret=1", ErrorKind.REDIRECTED, "https://proxy.example/captive"),
    ("https://someone:secret@proxy.example/x", ErrorKind.REDIRECTED, "https://proxy.example/x"),
    ("https://start.exactonline.nl/elsewhere", ErrorKind.REDIRECTED, "https://start.exactonline.nl/elsewhere"),
    ("https://proxy.example/?to=https://start.exactonline.be", ErrorKind.REDIRECTED, "https://proxy.example/"),
    ("/elsewhere", ErrorKind.REDIRECTED, "https://start.exactonline.nl/elsewhere"),
    ("", ErrorKind.REDIRECTED, "https://start.exactonline.nl/api/v1/123/hrm/Costcenters"),
    ("https://[bad", ErrorKind.REDIRECTED, "an address that makes no sense"),
    ("https://proxy.example/" + "x" * 60_000, ErrorKind.REDIRECTED, "https://proxy.example/xxx"),
]


def resolution_for(
    status: int, text: str = "", reason: str | None = None, context: RequestContext = COST_CENTERS
) -> ErrorResolution:
    answer = refusal(status, text, reason)
    return errors.resolution_for(status, answer.headers, answer.body, context)


@pytest.mark.parametrize(("kind", "status", "text", "reason", "action", "failure"), CASES)
def test_an_answer_means_what_the_table_says(
    kind: ErrorKind, status: int, text: str, reason: str | None, action: Action, failure: FailureType
) -> None:
    resolution = resolution_for(status, text, reason)

    assert (resolution.kind, resolution.action, resolution.failure) == (kind, action, failure)


@pytest.mark.parametrize(("kind", "status", "body", "action"), PAGES)
def test_an_answer_that_is_not_in_exacts_form_is_told_by_its_body(
    kind: ErrorKind, status: int, body: bytes, action: Action
) -> None:
    resolution = errors.resolution_for(status, {}, body, COST_CENTERS, URL)

    assert (resolution.kind, resolution.action) == (kind, action)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("location", "kind", "target"), REDIRECTS)
def test_a_redirect_is_a_matter_of_the_configuration_and_names_its_target(
    status: int, location: str, kind: ErrorKind, target: str
) -> None:
    resolution = errors.resolution_for(status, {"Location": location}, b"", COST_CENTERS, URL)

    assert (resolution.kind, resolution.action, resolution.failure) == (kind, Action.STOP, CONFIG)
    assert f"HTTP {status} - {target}" in resolution.message
    assert "secret" not in resolution.message + resolution.detail
    assert len(resolution.message) < 1000


def test_a_redirect_to_another_site_says_which_setting_to_change() -> None:
    location = {"Location": "https://start.exactonline.be/"}

    assert "set site to it" in errors.resolution_for(301, location, b"", COST_CENTERS, URL).message


def test_an_address_elsewhere_than_in_a_redirect_means_nothing() -> None:
    assert errors.resolution_for(503, {"Location": "/docs/Login.aspx"}, b"", COST_CENTERS, URL).action is Action.RETRY


class TestTable:
    def test_every_kind_has_a_row_and_every_row_a_kind(self) -> None:
        assert [row.kind for row in error_rows()] == list(ErrorKind)

    def test_every_row_that_answers_lead_to_is_covered_here(self) -> None:
        covered = {case[0] for case in (*CASES, *PAGES)} | {case[1] for case in REDIRECTS}

        assert covered == {row.kind for row in error_rows() if row.answered}

    def test_every_row_says_where_it_comes_from(self) -> None:
        assert [row.kind for row in error_rows() if not row.source] == []

    @pytest.mark.parametrize("kind", [row.kind for row in error_rows() if not row.answered])
    def test_rows_that_no_answer_leads_to_are_found_by_their_kind(self, kind: ErrorKind) -> None:
        resolution = resolution_of(kind, "because", COST_CENTERS)

        assert (resolution.kind, resolution.detail) == (kind, "because")
        assert error_of(resolution).message == resolution.message

    @pytest.mark.parametrize("row", error_rows(), ids=lambda row: row.kind.name)
    def test_every_message_is_a_whole_sentence(self, row: ErrorRow[ErrorKind, Action]) -> None:
        message = row.message.format(stream="accounts", scope="Crm accounts", division=1, detail="HTTP 400 - text.")

        assert message[0].isupper()
        assert message.rstrip(")")[-1] in ".:" or message.endswith("text.")
        assert "{" not in message


@pytest.mark.parametrize(
    ("action", "leads_to"),
    [
        (Action.RETRY, IncompleteError),
        (Action.WAIT, IncompleteError),
        (Action.FAIL, IncompleteError),
        (Action.REFRESH, LoginUnusableError),
        (Action.STOP, LoginUnusableError),
        (Action.SKIP, NotReadableError),
        (Action.DROP_COLUMN, QueryRefusedError),
        (Action.ADD_FILTER, QueryRefusedError),
        (Action.DROP_FILTER, QueryRefusedError),
    ],
)
def test_each_action_leads_to_one_type_of_error(action: Action, leads_to: type[ApiError]) -> None:
    assert type(error_of(replace(resolution_for(500), action=action))) is leads_to


def test_every_action_leads_to_an_error() -> None:
    for action in Action:
        assert isinstance(error_of(replace(resolution_for(500), action=action)), ApiError)


@pytest.mark.parametrize("status", range(400, 500))
def test_no_client_error_is_repeated_but_time_outs(status: int) -> None:
    """Ten of them an hour block the key."""
    assert (resolution_for(status, "anything").action is Action.RETRY) is (status == 408)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "reason",
    ["BlockedUser", "InactiveUser", "BlockedCustomer", "LicenseExpired", "DivisionBlocked", "NoDivisionAccess"],
)
def test_each_reason_that_exact_documents_concerns_the_division_alone(status: int, reason: str) -> None:
    """One client of an accountant whose licence has ended does not end the sync of all others."""
    resolution = resolution_for(status, "Forbidden", f"{reason}: in Exact's words")

    assert resolution.concerns_division
    assert isinstance(error_of(resolution), NotReadableError)
    assert resolution.failure is CONFIG
    assert "123" in resolution.message
    assert "exclude_divisions" in resolution.message


def test_only_what_is_said_of_the_division_concerns_the_division() -> None:
    assert resolution_for(403, OUTSIDE).concerns_division
    assert not resolution_for(403, SCOPE).concerns_division
    assert not resolution_for(403, "Forbidden").concerns_division
    assert not resolution_for(403, "").concerns_division


@pytest.mark.parametrize("asked", ["1800", "Tue, 04 Mar 2025 03:30:00 GMT", ""])
def test_how_long_to_wait_is_kept_as_the_answer_asks(asked: str) -> None:
    assert errors.resolution_for(503, {"Retry-After": asked}, MAINTENANCE, COST_CENTERS).retry_after == asked


class TestMessages:
    def test_a_missing_scope_is_named_as_the_app_centre_names_it(self) -> None:
        message = resolution_for(403, SCOPE).message

        assert "'Financial costcenters: Read'" in message
        assert "cost_centers" in message
        assert SCOPE in message

    def test_a_plain_forbidden_names_stream_division_and_scope(self) -> None:
        message = resolution_for(403, "Forbidden").message

        assert all(part in message for part in ("cost_centers", "123", "Financial costcenters: Read"))

    def test_a_scope_that_is_not_documented_is_said_to_be_so(self) -> None:
        context = RequestContext("hrm/Divisions", None, 1)

        assert "(not documented)" in resolution_for(403, "Forbidden", context=context).message

    @pytest.mark.parametrize(
        "context", [RequestContext("accounts", "Crm accounts", 1), RequestContext("hrm/Divisions", None, 1)]
    )
    def test_the_scope_that_exact_names_goes_before_the_one_in_the_reference(self, context: RequestContext) -> None:
        message = resolution_for(403, SCOPE, context=context).message

        assert "'Financial costcenters: Read'" in message
        assert "Crm accounts" not in message

    @pytest.mark.parametrize(("status", "body"), [(403, b""), (418, b""), (451, b"<html>Blocked</html>")])
    def test_a_refusal_that_may_be_the_block_of_the_key_says_so(self, status: int, body: bytes) -> None:
        """What Exact answers after more than ten wrong calls an hour is not known, except that it refuses."""
        assert "blocked the key for an hour or longer" in errors.resolution_for(status, {}, body, COST_CENTERS).message

    def test_a_closed_division_says_how_to_leave_it_out(self) -> None:
        message = resolution_for(403, OUTSIDE).message

        assert "123" in message
        assert "exclude_divisions" in message

    def test_a_url_without_division_has_none_in_its_message(self) -> None:
        assert "None" not in resolution_for(403, "Forbidden", context=RequestContext("current/Me")).message

    def test_braces_in_exacts_text_do_no_harm(self) -> None:
        assert "{0} {stream}" in resolution_for(500, "{0} {stream}").message

    def test_an_api_error_carries_message_type_and_what_exact_said(self) -> None:
        error = error_of(resolution_for(403, SCOPE))

        assert error.failure_type is CONFIG
        assert error.message == error.resolution.message
        assert SCOPE in str(error.internal_message)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (refusal(403, "Forbidden").body, "Forbidden"),
        (
            '{"error":{"message":{"value":"Accès refusé à l\u2019administration"}}}'.encode(),
            "Accès refusé à l\u2019administration",
        ),
        (b'{"error":{"message":{"value":"two\\r\\nlines"}}}', "two lines"),
        (b'{"error":{"message":{"value":null}}}', ""),
        (
            b'<?xml version="1.0"?><error><code/><message xml:lang="">Column &quot;Foo&quot; unknown</message></error>',
            'Column "Foo" unknown',
        ),
        (
            b"<html><head><title>503</title></head><body>Down for\n  maintenance</body></html>",
            "503 Down for maintenance",
        ),
        (b"", ""),
        (b"Too many requests", "Too many requests"),
        (b"\xff\xfe\x00broken", "\ufffd\ufffd\x00broken"),
        (b'{"fault":{"faultstring":"Failed"}}', '{"fault":{"faultstring":"Failed"}}'),
        (b'{"error":"access_denied"}', '{"error":"access_denied"}'),
        (b"[1, 2]", "[1, 2]"),
        (b"[" * 100_000, "[" * 300),
    ],
)
def test_the_message_is_found_in_any_body(body: bytes, text: str) -> None:
    assert errors.message_of(body) == text


def test_a_long_page_is_shortened() -> None:
    assert len(errors.message_of(b"word " * 100_000)) == 300


class TestSecrets:
    """A text may quote the token that it is about."""

    SECRET = "tok3n" + "/!&'\"x" * 100

    @pytest.fixture(autouse=True)
    def masked(self) -> Iterator[None]:
        update_secrets([self.SECRET])
        yield
        update_secrets([])

    @pytest.mark.parametrize(
        ("status", "headers", "body"),
        [
            (403, {}, refusal(403, f"The token {SECRET} is not within scope").body),
            (403, {}, refusal(403, "x" * 250 + SECRET).body),
            (500, {}, f"The token {SECRET} is not known".encode()),
            (500, {}, ("<p>" * 600 + f"The token {SECRET}").encode()),
            (
                500,
                {},
                f"<html>The token {SECRET.replace('&', '&amp;').replace(chr(34), '&quot;')} is</html>".encode(),
            ),
            (500, {}, b"<p>".ljust(65_536 - 250) + SECRET.encode()),
            (403, {"Reason": f"The token {SECRET} is not known"}, b""),
            (403, {"Reason": "x" * 1950 + SECRET}, b""),
            (302, {"Location": f"https://proxy.example/{SECRET}"}, b""),
        ],
    )
    def test_they_are_masked_before_the_text_is_cut(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        resolution = errors.resolution_for(status, headers, body, COST_CENTERS, URL)

        assert "tok3n" not in resolution.message + resolution.detail


class TestLongHeaders:
    @pytest.mark.parametrize("reason", ["a." * 30_000, "a" * 60_000, "'a" * 30_000, "Blocked " * 7_500, "\t" * 60_000])
    @pytest.mark.parametrize("status", [400, 403])
    def test_a_long_reason_is_cut_and_takes_linear_time(self, status: int, reason: str) -> None:
        started = time.process_time()

        resolution = errors.resolution_for(status, {"Reason": reason}, b"", COST_CENTERS)
        refused = errors.refused_columns(resolution.detail, ("ID", "a"), {"ID"})

        assert time.process_time() - started < 0.2
        assert len(resolution.message) < 1000
        assert refused == () or "a" in reason

    def test_a_long_text_is_searched_in_linear_time_too(self) -> None:
        started = time.process_time()

        errors.refused_columns("a." * 500_000, ("ID", "a"), {"ID"})
        errors.refused_columns("a" * 30_000, ("ID", "a"), {"ID"})
        errors.message_of(b"<" * 1_000_000)
        errors.message_of(b"<a" * 500_000)

        assert time.process_time() - started < 0.2


COLUMNS = ("ID", "Name", "Account", "VATNumber", "Type", "Modified", "Description")


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("The column 'VATNumber' cannot be selected.", ("VATNumber",)),
        ("De kolom 'VATNumber' kan niet worden geselecteerd.", ("VATNumber",)),
        ("La colonne \u00ab VATNumber \u00bb n'existe pas.", ("VATNumber",)),
        ("La colonne \u2018VATNumber\u2019 n\u2019existe pas.", ("VATNumber",)),
        ('No property "VATNumber" exists.', ("VATNumber",)),
        ("Could not find a property named 'VATNumber' on type 'Exact.Web.Api.Models.Account'.", ("VATNumber",)),
        ("Columns 'VATNumber' and 'Name' are unknown", ("Name", "VATNumber")),
        ("Unknown column: VATNumber", ("VATNumber",)),
        ("Could not find a property named 'Foo' on type 'Exact.Web.Api.Models.Account'.", ()),
        ("Bad Request - Error in query syntax.", ()),
        ("Expression of type 'System.Boolean' expected at position 0.", ()),
        ("Unrecognized 'Edm.Guid' literal 'guid'' in '6'.", ()),
        ("The column 'ID' cannot be selected.", ()),
        ("The column 'Modified' of Account cannot be selected.", ()),
        ("Name or Description is wrong", ()),
        ("the name and type are wrong", ()),
        ("", ()),
    ],
)
def test_the_refused_column_is_found_in_any_language(text: str, refused: tuple[str, ...]) -> None:
    assert errors.refused_columns(text, COLUMNS, {"ID", "Modified"}) == refused


@pytest.mark.parametrize("headers", [{}, {"Reason": ""}, {"reason": "BlockedUser"}])
def test_a_missing_reason_is_no_reason(headers: Mapping[str, str]) -> None:
    assert errors.resolution_for(403, headers, b"Forbidden", COST_CENTERS).kind is ErrorKind.NO_RIGHT
