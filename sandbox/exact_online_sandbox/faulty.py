"""The answers that injected faults give, and what they do to answers."""

from __future__ import annotations

import orjson

from exact_online_sandbox import errors
from exact_online_sandbox.errors import ApiError
from exact_online_sandbox.faults import Fault
from exact_online_sandbox.http import HTML, Answer
from exact_online_sandbox.render import error_json

# exactonline-api-dotnet-client #152
_GATEWAY_FAULT = {
    "fault": {
        "faultstring": "Failed to execute the ExtractVariables: ExtractAccessToken",
        "detail": {"errorcode": "steps.extractvariables.ExecutionFailed"},
    }
}
_PROXY_NOT_FOUND = {
    "fault": {
        "faultstring": "Unable to identify proxy for host: start.exactonline.nl:443 and url: /api/oauth2/token",
        "detail": {"errorcode": "messaging.adaptors.http.flow.ApplicationNotFound"},
    }
}
_PAGE = b"<!DOCTYPE html><html><head><title>Exact Online</title></head><body><h1>Service unavailable</h1></body></html>"


def instead(fault: Fault) -> Answer | ApiError | None:
    """The answer of a fault that stands in for the API; None for one that needs the request's quota."""
    if fault.kind == "gateway_fault":
        return Answer(500, orjson.dumps(_GATEWAY_FAULT), "application/json")
    if fault.kind == "proxy_not_found":
        return Answer(404, orjson.dumps(_PROXY_NOT_FOUND), "application/json")
    if fault.kind == "maintenance":
        return Answer(503, _PAGE, HTML)
    if fault.kind == "request_timeout":
        return Answer(408, b"", HTML)
    if fault.kind == "gateway_timeout":
        return Answer(599, b"", HTML)
    if fault.kind == "status":
        return Answer(fault.status, fault.body.encode(), fault.content_type, list(fault.headers.items()))
    if fault.kind == "unauthorized":
        return ApiError(401, fault.text)
    if fault.kind == "rate_limit_bare":
        return ApiError(429, None)
    if fault.kind == "reset":
        return Answer(0, cut="reset")
    return None


def spoil(fault: Fault, answer: Answer) -> Answer:
    """Do to a finished answer what the fault does."""
    if fault.kind == "slow":
        answer.wait += fault.seconds
    elif fault.kind == "empty_body":
        answer.body = b""
    elif fault.kind == "half_body":
        answer.body = answer.body[: len(answer.body) // 2]
    elif fault.kind == "truncated":
        answer.cut = "truncated"
    elif fault.kind == "lost_answer":
        answer.cut = "lost"
    elif fault.kind == "not_json":
        answer.body, answer.content_type = _PAGE, HTML
    elif fault.kind == "null_d":
        answer.body = b'{"d": null}'
    elif fault.kind == "error_200":
        answer.body = error_json(fault.text or errors.FORBIDDEN)
    return answer
