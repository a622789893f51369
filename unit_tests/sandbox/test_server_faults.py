"""Faults on demand."""

from __future__ import annotations

import json

import pytest

from exact_online_sandbox.faults import KINDS
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
    nonsense = ({"kind": "magic"}, {"kind": "slow", "colour": "red"}, column, number)
    for raw in nonsense:
        with pytest.raises(ValueError, match="fault"):
            box.faults.add(raw)


def test_every_kind_is_described(box: Sandbox) -> None:
    for kind in KINDS:
        box.faults.add({"kind": kind, "column": "ID"})
    described = box.faults.describe()
    assert [fault["kind"] for fault in described] == list(KINDS)
    json.dumps(described)
