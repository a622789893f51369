"""OAuth2 as Exact does it: codes of three minutes, tokens of ten, strict rotation, one live login per app and user.

A *chain* is one login: every refresh gives the next refresh token of the same chain and ends the previous one.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from exact_online_sandbox.clock import Clock
from exact_online_sandbox.errors import ApiError
from exact_online_sandbox.settings import TokenSettings
from exact_online_sandbox.wallclock import WallClock, instant_from_ms, naive_from_ms

LOOPBACK = ("http://localhost", "http://127.0.0.1", "http://[::1]", "https://localhost", "https://127.0.0.1")


@dataclass(slots=True)
class App:
    """A registered app."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...] = ()
    """Addresses that must match exactly. Loopback addresses are taken at any port and path besides."""
    name: str = "Sandbox app"
    approved: bool = True
    """Whether users may consent; Exact wants permission to be requested first for some apps."""

    def accepts(self, redirect_uri: str) -> bool:
        """Whether a login may be sent back to that address."""
        if redirect_uri in self.redirect_uris:
            return True
        return any(redirect_uri == p or redirect_uri.startswith((f"{p}/", f"{p}:", f"{p}?")) for p in LOOPBACK)


@dataclass(slots=True)
class User:
    """A user of Exact Online."""

    name: str
    id: str
    divisions: frozenset[int] | None = None
    """Divisions the user has access to, None for all."""
    current_division: int | None = None
    """The division last opened in the web interface; None for the lowest one."""


@dataclass(slots=True)
class Chain:
    """One login and the tokens grown from it."""

    client_id: str
    user: str
    divisions: frozenset[int]
    """Divisions ticked in the consent screen."""
    refresh_token: str = ""
    refresh_issued_ms: int = 0
    access_issued_ms: int | None = None
    replaced: bool = False
    dead: bool = False
    refreshes: int = 0
    old_tokens: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a call."""

    client_id: str
    user: User
    divisions: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Code:
    chain: Chain
    redirect_uri: str
    issued_ms: int


class OAuthError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, status: int, error: str, description: str, reason: str | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description
        self.reason = reason
        """Value of the ``Reason`` header."""


class OAuthServer:
    """Apps, users, codes and tokens. Not for several threads; the server calls it from one."""

    def __init__(self, clock: Clock, settings: TokenSettings, zone: str = "Europe/Amsterdam") -> None:
        self._clock = clock
        self._settings = settings
        self._wall = WallClock(zone)
        self.apps: dict[str, App] = {}
        self.users: dict[str, User] = {}
        self._codes: dict[str, _Code] = {}
        self._chains: dict[tuple[str, str], Chain] = {}
        self._refresh: dict[str, Chain] = {}
        self._access: dict[str, tuple[Chain, int]] = {}
        self._issued: list[str] = []

    def user(self, name: str) -> User:
        """The user of that name; a new one has access to every division."""
        if name not in self.users:
            self.users[name] = User(name, str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.user.sandbox")))
        return self.users[name]

    def login(self, client_id: str, user: str, divisions: Iterable[int]) -> Chain:
        """Log in and consent without a browser. It ends an earlier login of the same user and app.

        Raises:
            KeyError: there is no such app.
        """
        if client_id not in self.apps:
            raise KeyError(client_id)
        chain = Chain(client_id, self.user(user).name, frozenset(divisions))
        earlier = self._chains.get((client_id, user))
        if earlier is not None:
            earlier.replaced = True
        self._chains[(client_id, user)] = chain
        self._renew(chain)
        return chain

    def authorize(self, client_id: str, user: str, divisions: Iterable[int], redirect_uri: str) -> str:
        """Log in and consent; gives the code for the redirect."""
        chain = self.login(client_id, user, divisions)
        code = f"stampNL001.{secrets.token_urlsafe(24)}!IAAAA{secrets.token_urlsafe(96)}"
        self._codes[code] = _Code(chain, redirect_uri, self._clock.now_ms())
        return code

    def implicit(self, client_id: str, user: str, divisions: Iterable[int]) -> str:
        """Log in and consent with ``response_type=token``; gives an access token at once."""
        return self._access_token(self.login(client_id, user, divisions))

    def token(self, form: Mapping[str, str]) -> dict[str, str]:
        """Answer the token endpoint.

        Args:
            form: the posted fields.

        Returns:
            The body of a success; ``expires_in`` is a string.

        Raises:
            OAuthError: a refusal.
        """
        grant = form.get("grant_type", "")
        if grant not in ("authorization_code", "refresh_token"):
            raise OAuthError(400, "unsupported_grant_type", "The grant_type is not supported.")
        app = self.apps.get(form.get("client_id", ""))
        if app is None or not secrets.compare_digest(app.client_secret, form.get("client_secret", "")):
            status = self._settings.invalid_client_status
            raise OAuthError(status, "invalid_client", "The client credentials are invalid.")
        chain = self._from_code(app, form) if grant == "authorization_code" else self._from_refresh(app, form)
        access = self._access_token(chain)
        self._renew(chain)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": f"{self._settings.life_seconds:g}",
            "refresh_token": chain.refresh_token,
        }

    def identify(self, authorization: str | None) -> Identity:
        """Tell who makes a call.

        Raises:
            ApiError: 401 without a body; ``WWW-Authenticate`` names the cause. Its ``identity`` is None.
        """
        scheme, _, token = (authorization or "").partition(" ")
        found = self._access.get(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise _unauthorized("access token is missing or invalid")
        chain, issued = found
        identity = Identity(chain.client_id, self.user(chain.user), chain.divisions)
        if self._clock.now_ms() >= issued + self._settings.life_seconds * 1000:
            raise ExpiredTokenError(identity)
        return identity

    def revoke_access_tokens(self) -> int:
        """Make all access tokens invalid before their time; gives their number."""
        number = len(self._access)
        self._access.clear()
        return number

    def issued(self) -> dict[str, list[str]]:
        """Every secret and token there is or was, so that a test can look for them where they must not be."""
        return {
            "client_secrets": [app.client_secret for app in self.apps.values()],
            "refresh_tokens": list(self._refresh),
            "access_tokens": list(self._issued),
        }

    def chains(self) -> list[Chain]:
        """The current login of each user and app."""
        return list(self._chains.values())

    def expiry(self, chain: Chain) -> str:
        """When the chain's access token expires, ISO 8601 in UTC."""
        return instant_from_ms((chain.access_issued_ms or 0) + round(self._settings.life_seconds * 1000)).isoformat(
            timespec="milliseconds"
        )

    def _from_code(self, app: App, form: Mapping[str, str]) -> Chain:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.chain.client_id != app.client_id:
            raise OAuthError(400, "invalid_grant", "The authorization code is invalid or was used before.")
        if self._clock.now_ms() >= code.issued_ms + self._settings.code_seconds * 1000:
            raise OAuthError(400, "invalid_grant", "The authorization code has expired.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError(400, "invalid_grant", "The redirect_uri does not match.")
        if code.chain.replaced:
            raise _broken_chain()
        return code.chain

    def _from_refresh(self, app: App, form: Mapping[str, str]) -> Chain:
        token = form.get("refresh_token", "")
        chain = self._refresh.get(token)
        if chain is None or chain.client_id != app.client_id:
            raise OAuthError(400, "invalid_grant", "The refresh token is invalid.")
        if chain.replaced:
            raise _broken_chain()
        if token != chain.refresh_token or chain.dead:
            chain.dead = chain.dead or self._settings.reuse_kills_chain
            # picqer/exact-php-client #300, #640
            raise OAuthError(401, "unauthorized_client", "Old refresh token used.")
        now = self._clock.now_ms()
        expires = chain.refresh_issued_ms + round(timedelta(days=self._settings.refresh_days).total_seconds() * 1000)
        if now >= expires:
            # websmurf/laravel-exact-online #23
            text = f"The refresh token expired at {self._american(expires)} and it is now {self._american(now)}."
            raise OAuthError(400, "invalid_request", text)
        if chain.access_issued_ms is not None:
            part = 1.0 if self._settings.strict_refresh else self._settings.refresh_fraction
            if now < chain.access_issued_ms + round(self._settings.life_seconds * part * 1000):
                # websmurf/laravel-exact-online #31
                text = "Rate limit exceeded: access_token not expired"
                raise OAuthError(400, "access_denied", text, f"TooEarlyToRefreshTokens: {text}")
        chain.refreshes += 1
        return chain

    def _renew(self, chain: Chain) -> None:
        """Give the chain its next refresh token; the one before is old from now on."""
        if chain.refresh_token:
            chain.old_tokens.add(chain.refresh_token)
        chain.refresh_token = f"Gcp7!IAAAA{secrets.token_urlsafe(40)}+/{secrets.token_urlsafe(80)}=="
        chain.refresh_issued_ms = self._clock.now_ms()
        self._refresh[chain.refresh_token] = chain

    def _access_token(self, chain: Chain) -> str:
        now = self._clock.now_ms()
        token = f"stampNL001.gAAAA{secrets.token_urlsafe(60)}!{secrets.token_urlsafe(180)}"
        self._access[token] = (chain, now)
        self._issued.append(token)
        chain.access_issued_ms = now
        return token

    def _american(self, ms: int) -> str:
        moment = naive_from_ms(self._wall.to_wall_ms(ms))
        hour = moment.hour % 12 or 12
        half = "AM" if moment.hour < 12 else "PM"
        return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {half}"


def _broken_chain() -> OAuthError:
    # picqer/exact-php-client #471
    return OAuthError(400, "invalid_grant", "Token is not allowed, because of invalid or empty chainId")


def _unauthorized(cause: str) -> ApiError:
    # Two clients look for these words in the URL-encoded WWW-Authenticate header.
    encoded = cause.replace(" ", "%20")
    value = f'Bearer error="invalid_token", error_description="{encoded}"'
    return ApiError(401, None, {"WWW-Authenticate": value})


class ExpiredTokenError(ApiError):
    """401 for an access token past its life; it is known whose it was."""

    def __init__(self, identity: Identity) -> None:
        refusal = _unauthorized("access token expired")
        super().__init__(refusal.status, refusal.text, refusal.headers)
        self.identity = identity
