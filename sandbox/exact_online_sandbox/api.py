"""The REST API: from a request to its answer.

A request is *admitted* (who asks, how often, what for), *answered* (rows read and rendered) and *settled* (faults,
error limit, headers). Only answering takes long, so that a server may do it in another thread; the other two steps
have to be called one at a time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from urllib.parse import parse_qsl

from exact_online_sandbox import errors
from exact_online_sandbox.atom import render_atom, render_elements
from exact_online_sandbox.calls import Call
from exact_online_sandbox.clock import http_date
from exact_online_sandbox.entities import function_entity
from exact_online_sandbox.errors import ApiError, bad_request, not_found
from exact_online_sandbox.faults import Asked, Fault
from exact_online_sandbox.faulty import instead, spoil
from exact_online_sandbox.feeds import FeedView, feed_view
from exact_online_sandbox.figures.views import FIGURES, TERMS, FiguresView, TermCodec
from exact_online_sandbox.http import ATOM_TYPE, JSON_TYPE, XML_TYPE, Answer, Request
from exact_online_sandbox.metadata import render_metadata
from exact_online_sandbox.oauth import ExpiredTokenError, Identity
from exact_online_sandbox.query import Query, parse_query
from exact_online_sandbox.reader import Result, Target, read, read_navigation
from exact_online_sandbox.reference import Endpoint, canonical, endpoints
from exact_online_sandbox.render import error_json, error_xml, next_uri, render_json
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.shape import navigation
from exact_online_sandbox.special import (
    DIVISION_LISTS,
    ME,
    SYNC_TIMESTAMP,
    DivisionListView,
    MeView,
    SyncTimestampView,
)
from exact_online_sandbox.type_names import type_of
from exact_online_sandbox.views import TableView, View

ROOT = "/api/v1/"
_KEYED = re.compile(r"([^()]+)\((.*)\)(?:/(\w+))?\Z")
_DIVISION = re.compile(r"(beta/)?(\d{1,10})/(.+)\Z")
_SECURITY = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cache-Control", "no-store, must-revalidate, no-cache"),
]


@dataclass(slots=True)
class Admission:
    """What is known of a request once it was admitted or refused."""

    request: Request
    call: Call
    path: str
    """The endpoint's path, for logs, faults and limits; the raw path where there is no such endpoint."""
    division: int | None
    target: Target | None
    identity: Identity | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    asked: Asked = field(default_factory=lambda: Asked(""))
    faults: list[Fault] = field(default_factory=list)
    empty: bool = False
    """Whether the rows are hidden for lack of a right."""
    refusal: Answer | None = None
    """The answer, where it is known without reading rows."""

    @property
    def wants_json(self) -> bool:
        """Whether the caller asks for JSON; the default is Atom."""
        return "application/json" in self.accept

    @property
    def accept(self) -> str:
        """The types the caller takes, in lower case; anything where it does not say."""
        return self.request.headers.get("accept", "*/*").lower()


class Api:
    """The REST API of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._box = sandbox

    def handle(self, request: Request) -> Answer:
        """Answer a request in one go."""
        admission = self.admit(request)
        answer = admission.refusal or self.answer(admission)
        return self.settle(admission, answer)

    def admit(self, request: Request) -> Admission:
        """Look at everything but the data: address, token, limits, rights."""
        path, division, target = _locate(request.path, self._box.settings.silent)
        now = self._box.clock.now().isoformat(timespec="milliseconds")
        call = self._box.calls.open(now, request.method, request.path, request.query)
        call.endpoint, call.division = path, division
        admission = Admission(request, call, path, division, target)
        admission.asked = self._asked(admission)
        admission.faults = self._box.faults.take(admission.asked)
        try:
            self._admit(admission)
        except ApiError as error:
            admission.refusal = self._refusal(admission, error)
        return admission

    def answer(self, admission: Admission) -> Answer:
        """Read and render."""
        try:
            return self._answer(admission)
        except ApiError as error:
            return self._refusal(admission, error)

    def settle(self, admission: Admission, answer: Answer) -> Answer:
        """Count errors, let faults do their work, add headers, complete the log entry."""
        identity, box = admission.identity, self._box
        if identity is not None:
            try:
                box.error_limit.record(
                    answer.status, identity.client_id, identity.user.name, admission.division, admission.path
                )
            except ApiError as error:
                admission.headers = []
                answer = self._refusal(admission, error)
        for fault in admission.faults:
            answer = spoil(fault, answer, admission.asked)
            admission.call.fault = fault.kind
        answer.headers = [("Date", http_date(box.clock.now_ms())), *_SECURITY, *admission.headers, *answer.headers]
        if admission.division is not None and identity is not None:
            answer.headers.append(
                ("Set-Cookie", f"ExactServer{{{identity.user.id}}}=Division={admission.division}; path=/; HttpOnly")
            )
        call = admission.call
        call.status = answer.sent_status
        call.rows, call.bytes, call.error = answer.rows, len(answer.body), answer.error
        return answer

    def _admit(self, admission: Admission) -> None:
        box, request, division = self._box, admission.request, admission.division
        for fault in admission.faults:
            found = instead(fault, admission.asked)
            if isinstance(found, ApiError):
                raise found
            if found is not None:
                admission.refusal = found
                return
        if request.url_length > box.settings.url_limit:
            raise ApiError(414, None)
        identity = self._identify(admission)
        for fault in admission.faults:
            if fault.kind in ("rate_limit_minute", "rate_limit_day"):
                raise box.quota.refusal(identity.client_id, division or 0, daily=fault.kind == "rate_limit_day")
        box.error_limit.check(identity.client_id, identity.user.name)
        if division is not None:
            admission.headers = list(box.quota.spend(identity.client_id, division).items())
        path = admission.path
        box.rights.check_user(identity, division, path)
        if division is not None:
            known = frozenset(box.store.division_codes())
            box.rights.check_division(identity, division, known, path, check_lists=box.settings.check_divisions_url)
        described = render_metadata(path.removesuffix("/$metadata")) if path.endswith("/$metadata") else None
        if described is not None:
            admission.refusal = Answer(200, described, XML_TYPE)
            return
        if admission.target is None:
            raise not_found(path.rpartition("/")[2])
        admission.empty = box.rights.check_endpoint(identity, division, admission.target.endpoint)
        if request.method != "GET":
            raise ApiError(405, None, {"Allow": "GET"})
        if not re.search(r"application/(json|atom\+xml|\*)|\*/\*", admission.accept):
            raise ApiError(415, None)

    def _asked(self, admission: Admission) -> Asked:
        box, request, now = self._box, admission.request, self._box.clock.now_ms()
        options = tuple(parse_qsl(request.query))
        columns = dict(options).get("$select", "").split(",")
        endpoint = None if admission.target is None else admission.target.endpoint
        return Asked(
            path=admission.path,
            division=admission.division,
            select=frozenset(name.strip() for name in columns),
            expands="$expand" in dict(options),
            uri=request.origin + request.path,
            options=options,
            key=() if endpoint is None else endpoint.row_key,
            now_ms=now,
            wall_ms=box.store.wall.to_wall_ms(now),
        )

    def _identify(self, admission: Admission) -> Identity:
        try:
            identity = self._box.oauth.identify(admission.request.headers.get("authorization"))
        except ExpiredTokenError as error:
            admission.identity = error.identity
            raise
        admission.identity = identity
        admission.call.client_id, admission.call.user = identity.client_id, identity.user.name
        return identity

    def _answer(self, admission: Admission) -> Answer:
        request, target, box = admission.request, admission.target, self._box
        if target is None or admission.identity is None:
            raise not_found(admission.path)
        query = parse_query(request.query)
        for fault in admission.faults:
            if fault.kind == "refuse_column":
                name = fault.column or ""
                raise bad_request(fault.text or errors.unknown_property(name, type_of(target.endpoint)))
            if fault.kind == "refuse_expand":
                raise bad_request(fault.text or errors.SYNTAX)
            if fault.kind == "ignore_expand":
                query = replace(query, expand=())
        division = admission.division or 0
        view = self.view(target.endpoint, admission.identity, query)
        if target.navigation is not None:
            found = navigation(target.endpoint.path, target.navigation)
            if found is None:
                raise not_found(target.navigation)
            lines = TableView(found.endpoint, box.store)
            result = read_navigation(view, lines, target, query, division, box.settings.page_sizes)
        else:
            result = read(view, target, query, division, box.settings.page_sizes)
        if admission.empty:
            result.rows, result.token, result.children = [], None, {}
        return self._render(admission, target, result, query)

    def view(self, endpoint: Endpoint, identity: Identity, query: Query) -> View:
        """The view of an endpoint for that caller."""
        box = self._box
        if endpoint.path == ME:
            return MeView(endpoint, box.store, identity, box.clock)
        if endpoint.path in DIVISION_LISTS:
            return DivisionListView(endpoint, box.store, identity)
        if endpoint.path == SYNC_TIMESTAMP:
            return SyncTimestampView(endpoint, box.store, query.parameters)
        return data_view(endpoint, box, query.parameters)

    def _render(self, admission: Admission, target: Target, result: Result, query: Query) -> Answer:
        if result.only_count:
            return Answer(200, str(result.count).encode(), "text/plain; charset=utf-8", rows=0)
        endpoint, request = result.view.endpoint, admission.request
        uri = request.origin + target.address
        listed = uri if target.navigation is None else request.origin + request.path
        following = None if result.token is None else next_uri(listed, query.options, result.token)
        if endpoint.path == SYNC_TIMESTAMP and self._box.settings.sync_timestamp_object and result.rows:
            result.single = True
        if admission.wants_json:
            return Answer(200, render_json(result, uri, following), JSON_TYPE, rows=len(result.rows))
        if endpoint.kind == "function" and not endpoint.key:
            return Answer(200, render_elements(result), XML_TYPE, rows=len(result.rows))
        updated = self._box.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        return Answer(200, render_atom(result, uri, following, updated), ATOM_TYPE, rows=len(result.rows))

    def _refusal(self, admission: Admission, error: ApiError) -> Answer:
        headers = list(error.headers.items())
        if any(name.startswith("X-RateLimit") for name, _ in headers) or error.status == 429:
            admission.headers = []
        if error.text is None:
            return Answer(error.status, b"", JSON_TYPE, headers)
        body = error_json(error.text) if admission.wants_json else error_xml(error.text)
        kind = JSON_TYPE if admission.wants_json else XML_TYPE
        return Answer(error.status, body, kind, headers, error=error.text)


def data_view(endpoint: Endpoint, sandbox: Sandbox, parameters: Mapping[str, str] = MappingProxyType({})) -> View:
    """The view of an endpoint whose rows are the same for every caller; ``parameters`` are those of a function."""
    entity, store = function_entity(endpoint), sandbox.store
    if entity in FIGURES:
        return FiguresView(endpoint, sandbox.figures, parameters)
    if endpoint.kind == "sync":
        view: FeedView | TableView = feed_view(endpoint, store, sandbox.settings.feeds, sandbox.clock)
    else:
        view = TableView(endpoint, store, entity)
    if entity in TERMS:
        view.codec = TermCodec(view.codec, store, sandbox.settings.figures)
    return view


def _locate(path: str, silent: frozenset[str]) -> tuple[str, int | None, Target | None]:
    """Find what a path points at: the endpoint's path (or the raw one), the division, the target.

    Endpoints of a ``silent`` status are not there.
    """
    rest = path[len(ROOT) :].removesuffix("/")
    match = _DIVISION.match(rest)
    if match is not None:
        beta, digits, local = match.groups()
        division, uri_form = int(digits), f"{ROOT}{beta or ''}{{division}}/"
    else:
        division, uri_form, local = None, ROOT, rest
    count = local.endswith("/$count")
    local = local.removesuffix("/$count")
    keyed = _KEYED.match(local)
    spelled, key, nav = keyed.groups() if keyed else (local, None, None)
    name = canonical(spelled)
    if division is None and name != ME:
        return rest, None, None
    endpoint = endpoints().get(name)
    if endpoint is None or not endpoint.readable or endpoint.uri != uri_form + name:
        return name, division, None
    if endpoint.status in silent or not endpoint.properties:
        return name, division, None
    address = f"{path[: len(path.removesuffix('/')) - len(rest)]}{rest[: rest.index(spelled) + len(spelled)]}"
    return name, division, Target(endpoint, address, key, count, nav)
