"""The parts of a sandbox, put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exact_online_sandbox.calls import CallLog
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.faults import Faults
from exact_online_sandbox.figures.views import Figures
from exact_online_sandbox.oauth import App, OAuthServer
from exact_online_sandbox.quota import ErrorLimit, Quota
from exact_online_sandbox.rights import Rights
from exact_online_sandbox.settings import Settings
from exact_online_sandbox.store import Store

DEFAULT_USER = "sam.sandbox"
DEFAULT_REDIRECT = "https://app.example.com/exact-online/callback"


@dataclass(slots=True)
class Sandbox:
    """Everything one running sandbox consists of."""

    store: Store
    clock: Clock = field(default_factory=Clock)
    settings: Settings = field(default_factory=Settings)
    rights: Rights = field(default_factory=Rights)
    faults: Faults = field(default_factory=Faults)
    calls: CallLog = field(default_factory=CallLog)
    token_calls: CallLog = field(default_factory=CallLog)
    oauth: OAuthServer = field(init=False)
    figures: Figures = field(init=False)
    quota: Quota = field(init=False)
    error_limit: ErrorLimit = field(init=False)

    def __post_init__(self) -> None:
        self.oauth = OAuthServer(self.clock, self.settings.tokens, self.store.wall.zone)
        self.figures = Figures(self.store, self.clock, self.settings.figures)
        self.quota = Quota(self.clock, self.settings.quota)
        self.error_limit = ErrorLimit(self.clock, self.settings.errors)

    def register(self, client_id: str, client_secret: str, redirect_uris: Iterable[str] = ()) -> App:
        """Register an app."""
        app = App(client_id, client_secret, tuple(redirect_uris))
        self.oauth.apps[client_id] = app
        return app
