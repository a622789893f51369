"""The error table: what each answer means, in the order of its rows, and what a person is told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from airbyte_cdk.models import FailureType

from source_exact_online.api import errors
from source_exact_online.api.errors import Action, ErrorResolution, RequestContext
from unit_tests.exact_fakes import refusal

COST_CENTERS = RequestContext("cost_centers", "Financial costcenters", 123)
SCOPE = "Forbidden - Application Scope Violated. Cannot read 'financial.costcenters' scope."
OUTSIDE = "Forbidden - User division is not within division scope"
FILTER = (
    "This endpoint has mandatory filtering applied. A GET request for this endpoint must have a $filter parameter with "
    "one of the following fields in the url: ID,Created,Modified,Name"
)
GATEWAY = '{"fault":{"faultstring":"Unable to identify proxy for host: start.exactonline.nl:443"}}'

CASES: list[tuple[str, int, str, str | None, Action, FailureType]] = [
    ("minute or day quota spent", 429, "", None, Action.WAIT, FailureType.transient_error),
    ("minute or day quota spent", 429, "Forbidden", "BlockedUser", Action.WAIT, FailureType.transient_error),
    ("user blocked", 401, "", "BlockedUser", Action.FAIL, FailureType.config_error),
    ("user blocked", 403, "Forbidden", "InactiveUser", Action.FAIL, FailureType.config_error),
    ("licence blocked", 401, "", "BlockedCustomer", Action.FAIL, FailureType.config_error),
    ("licence blocked", 403, "", "LicenseExpired", Action.FAIL, FailureType.config_error),
    ("division blocked", 403, "", "DivisionBlocked", Action.SKIP, FailureType.config_error),
    ("division blocked", 401, "", "NoDivisionAccess", Action.SKIP, FailureType.config_error),
    ("division not in the consent", 403, OUTSIDE, None, Action.SKIP, FailureType.config_error),
    ("division not in the consent", 401, "WrongDivision", None, Action.SKIP, FailureType.config_error),
    ("scope missing", 403, SCOPE, None, Action.SKIP, FailureType.config_error),
    ("scope missing", 401, SCOPE.upper(), None, Action.SKIP, FailureType.config_error),
    ("access token dead", 401, "", None, Action.REFRESH, FailureType.config_error),
    ("access token dead", 401, "Niet geautoriseerd", "Something new", Action.REFRESH, FailureType.config_error),
    ("refused without a word", 403, "", None, Action.SKIP, FailureType.config_error),
    ("gateway fault", 404, GATEWAY, None, Action.RETRY, FailureType.transient_error),
    ("gateway fault", 500, GATEWAY, None, Action.RETRY, FailureType.transient_error),
    ("no right or module", 403, "Forbidden", None, Action.SKIP, FailureType.config_error),
    ("no right or module", 403, "Verboden", None, Action.SKIP, FailureType.config_error),
    ("no right or module", 403, "Interdit", None, Action.SKIP, FailureType.config_error),
    (
        "filter refused",
        400,
        "This $filter parameter is not supported for this resource. Use Modified or ID.",
        None,
        Action.DROP_FILTER,
        FailureType.system_error,
    ),
    (
        "filter refused",
        400,
        "Filtering on these fields is not supported: Modified",
        None,
        Action.DROP_FILTER,
        FailureType.system_error,
    ),
    ("mandatory filter missing", 400, FILTER, None, Action.ADD_FILTER, FailureType.system_error),
    (
        "mandatory filter missing",
        400,
        "Een filter is verplicht. Gebruik de parameter $filter met een van de velden ID,Modified,Name",
        None,
        Action.ADD_FILTER,
        FailureType.system_error,
    ),
    ("bad query", 400, "Bad Request - Error in query syntax.", None, Action.DROP_COLUMN, FailureType.system_error),
    (
        "bad query",
        400,
        "Please add a $select or a $top=1 statement to the query string.",
        None,
        Action.DROP_COLUMN,
        FailureType.system_error,
    ),
    ("bad query", 400, "De kolom 'Foo' bestaat niet.", None, Action.DROP_COLUMN, FailureType.system_error),
    ("endpoint unknown", 404, "", None, Action.SKIP, FailureType.config_error),
    ("endpoint unknown", 405, "", None, Action.SKIP, FailureType.config_error),
    ("endpoint unknown", 410, "", None, Action.SKIP, FailureType.config_error),
    ("server gave up", 408, "", None, Action.RETRY, FailureType.transient_error),
    *(
        ("server fault", status, "", None, Action.RETRY, FailureType.transient_error)
        for status in (500, 502, 503, 504, 520, 598, 599)
    ),
    *(
        ("unexpected client error", status, "", None, Action.SKIP, FailureType.system_error)
        for status in (402, 406, 407, 409, 411, 412, 413, 414, 415, 416, 418, 420, 422, 425, 431, 444, 449, 451, 499)
    ),
    *(
        ("anything else", status, "", None, Action.RETRY, FailureType.transient_error)
        for status in (204, 206, 301, 302, 307, 600)
    ),
]


def resolution_for(
    status: int, text: str = "", reason: str | None = None, subject: RequestContext = COST_CENTERS
) -> ErrorResolution:
    if text == GATEWAY:
        return errors.resolution_for(status, {}, GATEWAY.encode(), subject)
    answer = refusal(status, text, reason)
    return errors.resolution_for(status, answer.headers, answer.body, subject)


@pytest.mark.parametrize(("rule", "status", "text", "reason", "action", "failure"), CASES)
def test_an_answer_means_what_the_table_says(
    rule: str, status: int, text: str, reason: str | None, action: Action, failure: FailureType
) -> None:
    verdict = resolution_for(status, text, reason)

    assert (verdict.rule, verdict.action, verdict.failure) == (rule, action, failure)


def test_every_row_that_answers_lead_to_is_covered_here() -> None:
    assert {rule.name for rule in errors.rules() if rule.answered} == {case[0] for case in CASES}


@pytest.mark.parametrize("status", range(400, 500))
def test_no_client_error_is_repeated_but_time_outs(status: int) -> None:
    """Ten of them an hour block the key."""
    assert (resolution_for(status, "anything").action is Action.RETRY) is (status == 408)


@pytest.mark.parametrize("rule", [rule.name for rule in errors.rules() if not rule.answered])
def test_no_error_answer_leads_to_a_row_that_only_the_client_can_come_to(rule: str) -> None:
    answered = {resolution_for(status, text, reason).rule for _, status, text, reason, *_ in CASES}

    assert rule not in answered
    assert errors.resolution_named(rule, "because", COST_CENTERS).rule == rule


def test_only_what_is_said_of_the_division_concerns_the_division() -> None:
    assert resolution_for(403, OUTSIDE).concerns_division
    assert resolution_for(403, "", "NoDivisionAccess").concerns_division
    assert not resolution_for(403, SCOPE).concerns_division
    assert not resolution_for(403, "Forbidden").concerns_division


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
        assert (
            "(not documented)"
            in resolution_for(403, "Forbidden", subject=RequestContext("hrm/Divisions", None, 1)).message
        )

    @pytest.mark.parametrize(
        "subject", [RequestContext("accounts", "Crm accounts", 1), RequestContext("hrm/Divisions", None, 1)]
    )
    def test_the_scope_that_exact_names_goes_before_the_one_in_the_reference(self, subject: RequestContext) -> None:
        message = resolution_for(403, SCOPE, subject=subject).message

        assert "'Financial costcenters: Read'" in message
        assert "Crm accounts" not in message

    @pytest.mark.parametrize(("status", "body"), [(403, b""), (418, b""), (451, b"<html>Blocked</html>")])
    def test_a_refusal_that_may_be_the_block_of_the_key_says_so(self, status: int, body: bytes) -> None:
        """What Exact answers after more than ten wrong calls an hour is not known, except that it refuses."""
        assert "blocked the key for an hour or longer" in errors.resolution_for(status, {}, body, COST_CENTERS).message

    def test_a_closed_division_says_how_to_leave_it_out(self) -> None:
        for verdict in (resolution_for(403, OUTSIDE), resolution_for(403, "", "DivisionBlocked")):
            assert "123" in verdict.message
            assert "exclude_divisions" in verdict.message

    def test_a_url_without_division_has_none_in_its_message(self) -> None:
        assert "None" not in resolution_for(403, "Forbidden", subject=RequestContext("current/Me")).message

    def test_braces_in_exacts_text_do_no_harm(self) -> None:
        assert "{0} {stream}" in resolution_for(500, "{0} {stream}").message

    @pytest.mark.parametrize("rule", errors.rules(), ids=lambda rule: rule.name)
    def test_every_message_is_a_whole_sentence(self, rule: errors.Rule) -> None:
        message = rule.message.format(stream="accounts", scope="Crm accounts", division=1, detail="HTTP 400 - text.")

        assert message[0].isupper()
        assert message.rstrip(")")[-1] in ".:" or message.endswith("text.")
        assert "{" not in message

    def test_an_api_error_carries_message_type_and_what_exact_said(self) -> None:
        error = errors.ApiError(resolution_for(403, SCOPE))

        assert error.failure_type is FailureType.config_error
        assert error.message == error.verdict.message
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
    ],
)
def test_the_message_is_found_in_any_body(body: bytes, text: str) -> None:
    assert errors.message_of(body) == text


def test_a_long_page_is_shortened() -> None:
    assert len(errors.message_of(b"word " * 100_000)) <= 300


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
    assert errors.resolution_for(403, headers, b"Forbidden", COST_CENTERS).rule == "no right or module"
