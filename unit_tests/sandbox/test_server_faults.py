"""Faults on demand."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from exact_online_sandbox.authorize import Authorization
from exact_online_sandbox.faults import KINDS
from exact_online_sandbox.http import Request
from exact_online_sandbox.sandbox import Sandbox
from unit_tests.sandbox.server_caller import DIVISION, NOW, OTHER_DIVISION, Caller

PATH = f"{DIVISION}/crm/Contacts"


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [
        ("gateway_fault", 500, '{"fault":'),
        ("proxy_not_found", 404, '{"fault":'),
        ("maintenance", 503, "<!DOCTYPE html>"),
        ("request_timeout", 408, ""),
        ("gateway_timeout", 599, ""),
        ("unauthorized", 401, ""),
        ("rate_limit_minute", 429, ""),
        ("rate_limit_day", 429, ""),
        ("rate_limit_bare", 429, ""),
        ("empty_body", 200, ""),
        ("not_json", 200, "<!DOCTYPE html>"),
        ("null_d", 200, '{"d": null}'),
        ("error_200", 200, '{\r\n"error"'),
        ("half_body", 200, '{"d":{"resul'),
    ],
)
def test_fault_answers_its_own_way_once(box: Sandbox, caller: Caller, kind: str, status: int, start: str) -> None:
    box.store.insert(DIVISION, "crm/Contacts", {}, at=NOW)
    box.faults.add({"kind": kind, "path": "crm/*", "count": 1})
    reply = caller.get(PATH)
    assert reply.status == status
    assert reply.text.startswith(start)
    assert start or reply.text == ""
    assert caller.get(PATH).status == 200
    assert box.calls.describe()[0]["fault"] == kind


@pytest.mark.parametrize(("kind", "cut"), [("reset", "reset"), ("lost_answer", "lost"), ("truncated", "truncated")])
def test_fault_breaks_the_connection(box: Sandbox, caller: Caller, kind: str, cut: str) -> None:
    box.faults.add({"kind": kind, "count": 1})
    assert caller.get(PATH).answer.cut == cut
    assert caller.get(PATH).answer.cut is None


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("rate_limit_minute", {"X-RateLimit-Minutely-Limit", "X-RateLimit-Minutely-Remaining",
                               "X-RateLimit-Minutely-Reset"}),
        ("rate_limit_day", {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}),
        ("rate_limit_bare", set()),
    ],
)  # fmt: skip
def test_injected_429_has_the_headers_of_its_kind(box: Sandbox, caller: Caller, kind: str, headers: set[str]) -> None:
    box.faults.add({"kind": kind})
    assert {name for name in caller.get(PATH).headers if name.startswith("X-RateLimit")} == headers


def test_slow_answer_waits_and_can_go_with_another_fault(box: Sandbox, caller: Caller) -> None:
    box.faults.add({"kind": "slow", "seconds": 2})
    box.faults.add({"kind": "slow", "seconds": 0.5})
    box.faults.add({"kind": "maintenance"})
    answer = caller.get(PATH).answer
    assert (answer.status, answer.wait) == (503, 2.5)


def test_status_fault_gives_any_answer(box: Sandbox, caller: Caller) -> None:
    box.faults.add(
        {"kind": "status", "status": 502, "body": "bad", "content_type": "text/plain", "headers": {"X-A": "b"}}
    )
    reply = caller.get(PATH)
    assert (reply.status, reply.text, reply.headers["X-A"]) == (502, "bad", "b")


def test_status_fault_gives_a_body_that_is_no_text(box: Sandbox, caller: Caller) -> None:
    box.faults.add({"kind": "status", "status": 200, "body_base64": "/wD+", "after": 1, "count": 2})
    assert [caller.get(PATH).answer.body == b"\xff\x00\xfe" for _ in range(4)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("kind", "status", "location", "text"),
    [
        ("firewall", 403, None, "Access Denied"),
        ("login_page", 200, None, "/docs/Login.aspx"),
        ("login_redirect", 302, "/docs/Login.aspx", ""),
        ("other_site", 301, f"https://start.exactonline.be/api/v1/{PATH}", ""),
    ],
)
def test_something_else_than_the_api_answers(
    box: Sandbox, caller: Caller, kind: str, status: int, location: str | None, text: str
) -> None:
    box.faults.add({"kind": kind})
    reply = caller.get(PATH, token="no token at all")
    assert (reply.status, reply.headers.get("Location")) == (status, location)
    assert text in reply.text
    assert reply.answer.content_type.startswith("text/html")


def test_headers_of_a_stand_in_can_be_chosen(box: Sandbox, caller: Caller) -> None:
    box.faults.add({"kind": "other_site", "headers": {"Location": "https://start.exactonline.de/", "Via": "a"}})
    headers = caller.get(PATH).headers
    assert (headers["Location"], headers["Via"]) == ("https://start.exactonline.de/", "a")


@pytest.mark.parametrize(
    ("utc", "retry_after", "status", "hint"),
    [
        ("2024-07-01T01:59:59Z", "seconds", 200, None),
        ("2024-07-01T02:00:00Z", "seconds", 503, "1800"),
        ("2024-07-01T02:29:59Z", "seconds", 503, "1"),
        ("2024-07-01T02:29:59.500Z", "date", 503, "Mon, 01 Jul 2024 02:30:00 GMT"),
        ("2024-07-01T02:10:00Z", "date", 503, "Mon, 01 Jul 2024 02:30:00 GMT"),
        ("2024-07-01T02:10:00Z", None, 503, None),
        ("2024-07-01T02:30:00Z", "seconds", 200, None),
        ("2024-12-01T03:00:00Z", "seconds", 503, "1800"),
    ],
)
def test_maintenance_is_at_its_hour_of_the_servers_wall_clock(
    box: Sandbox, caller: Caller, utc: str, retry_after: str | None, status: int, hint: str | None
) -> None:
    box.faults.add({"kind": "maintenance", "between": ["04:00", "04:30"], "retry_after": retry_after})
    box.clock.set(datetime.fromisoformat(utc.replace("Z", "+00:00")))
    box.settings.tokens.life_seconds = 10**9
    reply = caller.get(PATH)
    assert (reply.status, reply.headers.get("Retry-After")) == (status, hint)


def test_a_window_may_go_over_midnight(box: Sandbox, caller: Caller) -> None:
    box.faults.add({"kind": "maintenance", "between": ["23:59:50", "00:00:10"], "retry_after": "seconds"})
    box.settings.tokens.life_seconds = 10**9
    for second, hint in ((49, None), (50, "20"), (65, "5"), (70, None)):
        box.clock.set(datetime(2024, 7, 1, 21, 59, tzinfo=timezone.utc) + timedelta(seconds=second))
        assert caller.get(PATH).headers.get("Retry-After") == hint


def test_maintenance_of_the_site_takes_the_login_pages_too(box: Sandbox) -> None:
    box.faults.add({"kind": "maintenance"})
    for path in ("auth", "token"):
        assert Authorization(box).handle(Request("GET", f"/api/oauth2/{path}")).status == 503


def test_a_dripping_answer_says_how_fast(box: Sandbox, caller: Caller) -> None:
    box.faults.add({"kind": "drip", "seconds": 0.5})
    reply = caller.get(PATH)
    assert (reply.answer.drip, reply.rows) == (0.5, [])


@pytest.mark.parametrize("reason", ["LicenseExpired", "BlockedCustomer"])
def test_an_expired_licence_refuses_everything_of_its_division(box: Sandbox, caller: Caller, reason: str) -> None:
    box.rights.deny({"kind": "blocked", "reason": reason, "division": DIVISION})
    for path in (
        "crm/Contacts",
        "sync/Deleted?$filter=Timestamp gt 1",
        "system/Divisions",
        "crm/$metadata",
        "no/Where",
    ):
        reply = caller.get(f"{DIVISION}/{path}")
        assert (reply.status, reply.headers["Reason"]) == (403, reason)
    for path in ("current/Me", f"{OTHER_DIVISION}/crm/Contacts", f"{OTHER_DIVISION}/system/Divisions"):
        assert caller.get(path).status == 200


def test_column_is_refused_only_where_it_is_selected(box: Sandbox, caller: Caller) -> None:
    box.faults.add({"kind": "refuse_column", "path": "crm/Contacts", "column": "Email"})
    reply = caller.get(f"{PATH}?$select=ID,Email")
    assert (reply.status, "'Email'" in reply.message) == (400, True)
    assert caller.get(f"{PATH}?$select=ID").status == 200
    assert caller.get(f"{DIVISION}/crm/Addresses?$select=ID").status == 200


def test_expand_is_refused_or_ignored_only_where_it_is_asked_for(box: Sandbox, caller: Caller) -> None:
    order = box.store.insert(DIVISION, "salesorder/SalesOrders", {}, at=NOW)["OrderID"]
    box.store.insert(DIVISION, "salesorder/SalesOrderOrderChargeLines", {"OrderID": order}, at=NOW)
    path = f"{DIVISION}/salesorder/SalesOrders(guid'{order}')?$select=OrderID,SalesOrderOrderChargeLines/ID"
    expanding = f"{path}&$expand=SalesOrderOrderChargeLines"
    links = caller.get(path).d
    for fault in ({"kind": "refuse_expand"}, {"kind": "refuse_expand", "text": "no"}, {"kind": "ignore_expand"}):
        box.faults.add({**fault, "path": "salesorder/*", "count": 1})
        assert caller.get(path).d == links
    refused, otherwise = caller.get(expanding), caller.get(expanding)
    assert (refused.status, refused.message) == (400, "Bad Request - Error in query syntax.")
    assert (otherwise.status, otherwise.message) == (400, "no")
    assert caller.get(expanding).d == links
    assert set(links["SalesOrderOrderChargeLines"]) == {"__deferred"}
    assert len(caller.get(expanding).d["SalesOrderOrderChargeLines"]["results"]) == 1
    assert [call["fault"] for call in box.calls.describe()][4:] == [
        "refuse_expand", "refuse_expand", "ignore_expand", None]  # fmt: skip


def test_list_that_ignores_expand_says_the_option_again_in_its_next_address(box: Sandbox, caller: Caller) -> None:
    for _ in range(3):
        box.store.insert(DIVISION, "salesorder/SalesOrders", {}, at=NOW)
    box.settings.change({"page_sizes": {"standard": 2}})
    box.faults.add({"kind": "ignore_expand"})
    first = caller.get(f"{DIVISION}/salesorder/SalesOrders?$filter=Status eq null&$expand=SalesOrderLines")
    assert "$expand=SalesOrderLines" in (first.next or "")
    rows = first.rows + caller.get(first.next or "").rows
    assert [set(row["SalesOrderLines"]) for row in rows] == [{"__deferred"}] * 3


def test_fault_can_let_requests_pass_first_and_keep_to_a_division(box: Sandbox, caller: Caller) -> None:
    box.faults.add({"kind": "maintenance", "after": 1, "count": 2, "division": DIVISION})
    statuses = [caller.get(path).status for path in (PATH, f"{OTHER_DIVISION}/crm/Contacts", PATH, PATH, PATH)]
    assert statuses == [200, 200, 503, 503, 200]


def test_chance_is_seeded(box: Sandbox, caller: Caller) -> None:
    def run() -> list[int]:
        box.faults.clear()
        box.faults.add({"kind": "maintenance", "probability": 0.5, "seed": 7})
        return [caller.get(PATH).status for _ in range(40)]

    first = run()
    assert first == run()
    assert 5 < first.count(503) < 35


def test_faults_that_stand_in_for_the_api_spend_no_quota(box: Sandbox, caller: Caller) -> None:
    box.settings.change({"quota": {"minute_limit": 1}})
    box.faults.add({"kind": "maintenance", "count": 3})
    assert [caller.get(PATH).status for _ in range(5)] == [503, 503, 503, 200, 429]


def test_nonsense_faults_are_refused(box: Sandbox) -> None:
    column, number = {"kind": "refuse_column"}, {"kind": "slow", "id": 1}
    hours = [
        {"kind": "maintenance", "between": between} for between in (["4:00", "5:00"], ["04:00"], ["04:00", "24:00"])
    ]
    base64 = {"kind": "status", "body_base64": "x"}
    nonsense = ({"kind": "magic"}, {"kind": "slow", "colour": "red"}, column, number, {"kind": "value"}, base64, *hours)
    for raw in nonsense:
        with pytest.raises(ValueError, match=r"fault|base64"):
            box.faults.add(raw)


def test_every_kind_is_described(box: Sandbox) -> None:
    for kind in KINDS:
        box.faults.add({"kind": kind, "column": "ID", "other": 5})
    described = box.faults.describe()
    assert [fault["kind"] for fault in described] == list(KINDS)
    json.dumps(described)
