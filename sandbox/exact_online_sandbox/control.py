"""The control API under /sandbox: change data, rights, faults, clock and limits while the server runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from exact_online_sandbox import faults
from exact_online_sandbox.books.activity import simulate
from exact_online_sandbox.entities import entities, entity_of
from exact_online_sandbox.sandbox import DEFAULT_USER, Sandbox
from exact_online_sandbox.settings import Settings
from exact_online_sandbox.store import RowError
from exact_online_sandbox.truth import entity_counts, truth_rows

Body = dict[str, Any]
MOST_STEPS = 1000
"""Steps of business in one request: a thousand take some seconds, in which nobody else gets an answer."""


class Control:
    """The control API of one sandbox. Who may use it is said in guard.py."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._box = sandbox

    def routes(self) -> list[Route]:
        """Its routes."""
        posts: dict[str, Callable[[Body], Any]] = {
            "login": self.login,
            "apps": self.add_app,
            "users": self.set_user,
            "tokens/expire": lambda _: {"expired": self._box.oauth.revoke_access_tokens()},
            "divisions": self.add_division,
            "divisions/update": self.update_division,
            "divisions/move": self.move_division,
            "activity": self.activity,
            "rows/insert": self.insert,
            "rows/load": self.load,
            "rows/update": self.update,
            "rows/delete": self.delete,
            "row-version": self.raise_version,
            "faults": self.add_faults,
            "rights": self.add_denials,
            "clock": self.set_clock,
            "quota/reset": self.reset_quota,
            "quota/use": self.use_quota,
            "settings": self.change_settings,
        }
        gets: dict[str, Callable[[Mapping[str, str]], Any]] = {
            "": self.overview,
            "calls": lambda query: {"calls": self._box.calls.describe(**_log_query(query))},
            "token-calls": lambda query: {"calls": self._box.token_calls.describe(**_log_query(query))},
            "chains": self.chains,
            "secrets": lambda _: self._box.oauth.issued(),
            "faults": lambda _: {"faults": self._box.faults.describe(), "kinds": dict(faults.KINDS)},
            "rights": lambda _: {"denials": self._box.rights.describe()},
            "clock": lambda _: self._clock(),
            "quota": lambda _: {"calls": self._box.quota.state(), "errors": self._box.error_limit.state()},
            "settings": lambda _: self._box.settings,
        }
        deletes: dict[str, Callable[[], None]] = {
            "calls": self._box.calls.clear,
            "token-calls": self._box.token_calls.clear,
            "faults": self._box.faults.clear,
            "rights": self._box.rights.allow_all,
        }
        found = [Route(f"/sandbox/{path}", _post(handler), methods=["POST"]) for path, handler in posts.items()]
        found += [Route(f"/sandbox/{path}", _get(handler), methods=["GET"]) for path, handler in gets.items()]
        found += [Route(f"/sandbox/{path}", _delete(handler), methods=["DELETE"]) for path, handler in deletes.items()]
        found += [
            Route("/sandbox/counts/{division:int}", self._counts, methods=["GET"]),
            Route("/sandbox/truth/{division:int}", self._truth, methods=["GET"]),
            Route("/sandbox/truth/{division:int}/{entity:path}", self._truth, methods=["GET"]),
        ]
        return found

    # -- logins ------------------------------------------------------------------------------------------------------

    def login(self, body: Body) -> Body:
        """Log in and consent without a browser: gives a refresh token. Fields: client_id, user, divisions, access."""
        oauth, store = self._box.oauth, self._box.store
        client_id = body.get("client_id") or next(iter(oauth.apps))
        divisions = body.get("divisions")
        chain = oauth.login(
            client_id, body.get("user", DEFAULT_USER), store.division_codes() if divisions is None else divisions
        )
        answer: Body = {
            "client_id": client_id,
            "client_secret": oauth.apps[client_id].client_secret,
            "refresh_token": chain.refresh_token,
            "divisions": sorted(chain.divisions),
        }
        if body.get("access"):
            tokens = oauth.token({**answer, "grant_type": "refresh_token"})
            answer.update(tokens, token_expiry_date=oauth.expiry(chain))
        return answer

    def add_app(self, body: Body) -> Body:
        """Register or change an app. Fields: client_id, client_secret, redirect_uris, name, approved."""
        app = self._box.register(body["client_id"], body["client_secret"], body.get("redirect_uris", ()))
        app.name, app.approved = body.get("name", app.name), body.get("approved", True)
        return {"client_id": app.client_id}

    def set_user(self, body: Body) -> Body:
        """Set a user's divisions (null: all) and current division. Fields: name, divisions, current_division."""
        user = self._box.oauth.user(body.get("name", DEFAULT_USER))
        if "divisions" in body:
            user.divisions = None if body["divisions"] is None else frozenset(body["divisions"])
        if "current_division" in body:
            user.current_division = body["current_division"]
        return {"name": user.name, "id": user.id}

    def chains(self, _: Mapping[str, str]) -> Body:
        """The current logins, without their tokens."""
        return {
            "chains": [
                {
                    "client_id": c.client_id,
                    "user": c.user,
                    "divisions": sorted(c.divisions),
                    "refreshes": c.refreshes,
                    "dead": c.dead,
                }
                for c in self._box.oauth.chains()
            ]
        }

    # -- data --------------------------------------------------------------------------------------------------------

    def add_division(self, body: Body) -> Body:
        """Add a division without rows. Fields: code, row."""
        self._box.store.add_division(body["code"], body.get("row", {}))
        return self._box.store.division(body["code"])

    def update_division(self, body: Body) -> Body:
        """Change a division's row. Fields: division, changes."""
        return self._box.store.update_division(body["division"], body["changes"])

    def move_division(self, body: Body) -> Body:
        """Move a division to another database. Fields: division."""
        self._box.store.move_division(body["division"], at=self._at(body))
        return self._box.store.division(body["division"])

    def insert(self, body: Body) -> Body:
        """Add rows one by one, as a user would. Fields: division, entity, row or rows, at."""
        rows = body["rows"] if "rows" in body else [body["row"]]
        entity, at = _entity(body), self._at(body)
        return {"rows": [self._box.store.insert(body["division"], entity, row, at=at) for row in rows]}

    def load(self, body: Body) -> Body:
        """Add complete rows as they are. Fields: division, entity, rows."""
        return {"loaded": self._box.store.insert_many(body["division"], _entity(body), body["rows"])}

    def update(self, body: Body) -> Body:
        """Change a row. Fields: division, entity, key, changes, touch_modified (default true), at."""
        row = self._box.store.update(
            body["division"],
            _entity(body),
            body["key"],
            body["changes"],
            at=self._at(body),
            touch_modified=body.get("touch_modified", True),
        )
        return {"row": row}

    def delete(self, body: Body) -> Body:
        """Delete a row, or several. Fields: division, entity, key or keys, at."""
        keys = body["keys"] if "keys" in body else [body["key"]]
        for key in keys:
            self._box.store.delete(body["division"], _entity(body), key, at=self._at(body))
        return {"deleted": len(keys)}

    def activity(self, body: Body) -> Body:
        """Let business go on. Fields: division, steps (default 5, at most 1,000), seed (default 1), at."""
        steps = body.get("steps", 5)
        if not isinstance(steps, int) or not 0 <= steps <= MOST_STEPS:
            raise ValueError(f"steps is a number from 0 to {MOST_STEPS}")
        done = simulate(
            self._box.store,
            seed=body.get("seed", 1),
            division=body["division"],
            at=self._at(body),
            steps=steps,
        )
        changes = [[change.entity, change.action, change.key] for change in done.changes]
        return {"division": done.division, "summary": done.summary, "changes": changes}

    def raise_version(self, body: Body) -> Body:
        """Let the next row version be higher than a number. Fields: division, above."""
        above = body["above"]
        if not isinstance(above, int):
            raise ValueError("above is a whole number of 64 bits")
        self._box.store.raise_version(body["division"], above)
        return {}

    def overview(self, _: Mapping[str, str]) -> Body:
        """Where things stand."""
        store = self._box.store
        return {
            "time": self._box.clock.now(),
            "divisions": [
                {"code": code, "description": store.division(code)["Description"]} for code in store.division_codes()
            ],
            "apps": [{"client_id": a.client_id, "name": a.name} for a in self._box.oauth.apps.values()],
        }

    # -- behaviour ---------------------------------------------------------------------------------------------------

    def add_faults(self, body: Body) -> Body:
        """Add one fault, or several under ``faults``."""
        raws = body.get("faults", [body])
        return {"ids": [self._box.faults.add(raw).id for raw in raws]}

    def add_denials(self, body: Body) -> Body:
        """Add one denial, or several under ``deny``."""
        for raw in body.get("deny", [body]):
            self._box.rights.deny(raw)
        return {"denials": self._box.rights.describe()}

    def set_clock(self, body: Body) -> Body:
        """Change the clock. Fields, in this order of effect: now (ISO), advance (seconds), freeze (true or false)."""
        clock = self._box.clock
        if "now" in body:
            clock.set(_moment(body["now"]))
        if "advance" in body:
            clock.advance(body["advance"])
        if "freeze" in body:
            if body["freeze"]:
                clock.freeze()
            else:
                clock.resume()
        return self._clock()

    def reset_quota(self, _: Body) -> Body:
        """Forget all calls, errors and blocks."""
        self._box.quota.reset()
        self._box.error_limit.reset()
        return {}

    def use_quota(self, body: Body) -> Body:
        """Spend calls as another process of the app would. Fields: division, client_id, minute, day."""
        client_id = body.get("client_id") or next(iter(self._box.oauth.apps))
        self._box.quota.use(client_id, body["division"], minute=body.get("minute", 0), day=body.get("day", 0))
        return {}

    def change_settings(self, body: Body) -> Settings:
        """Change settings by name."""
        self._box.settings.change(body)
        return self._box.settings

    def _clock(self) -> Body:
        return {"now": self._box.clock.now(), "frozen": self._box.clock.frozen}

    def _at(self, body: Body) -> datetime:
        return _moment(body["at"]) if "at" in body else self._box.clock.now()

    # -- answers that are not small objects --------------------------------------------------------------------------

    async def _counts(self, request: Request) -> Response:
        return _json({"rows": entity_counts(self._box, request.path_params["division"])})

    async def _truth(self, request: Request) -> Response:
        name = request.path_params.get("entity") or request.query_params.get("endpoint", "")
        try:
            pieces = truth_rows(self._box, request.path_params["division"], name)
        except KeyError as error:
            return _json({"error": f"there is no {error.args[0]!r}"}, 404)
        return StreamingResponse(pieces, media_type="application/json")


def _entity(body: Body) -> str:
    """Entity named in a body; the path of any of its endpoints will do."""
    name = body["entity"]
    return name if name in entities() else entity_of(name)


def _log_query(query: Mapping[str, str]) -> Body:
    return {"after": int(query.get("after", "0")), "endpoint": query.get("endpoint")}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _guarded(call: Callable[[], Any]) -> Response:
    try:
        return _json(call())
    except KeyError as error:
        return _json({"error": f"missing or unknown: {error.args[0]!r}"}, 404)
    except (RowError, ValueError, TypeError, AttributeError, OverflowError) as error:
        return _json({"error": str(error)}, 400)


def _post(handler: Callable[[Body], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        return _guarded(lambda: handler(orjson.loads(raw) if raw else {}))

    return endpoint


def _get(handler: Callable[[Mapping[str, str]], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return _guarded(lambda: handler(request.query_params))

    return endpoint


def _delete(handler: Callable[[], None]) -> Callable[[Request], Any]:
    async def endpoint(_: Request) -> Response:
        handler()
        return _json({})

    return endpoint
