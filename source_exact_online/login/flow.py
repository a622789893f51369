"""The steps of an interactive login: consent, code, tokens, configuration, choice of divisions."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_exact_online.api.divisions import Division
from source_exact_online.auth.masking import mask
from source_exact_online.auth.token_endpoint import Granted, Lost, TokenEndpoint, Unsent
from source_exact_online.auth.token_errors import TokenAction
from source_exact_online.auth.tokens import Tokens
from source_exact_online.clock import Clock
from source_exact_online.login.config_file import LoginRequest, configuration, parse_divisions, write_config
from source_exact_online.login.redirect import (
    LoginError,
    RedirectListener,
    WrongAddressError,
    check_redirect_uri,
    code_in,
    consent_url,
    listens,
)
from source_exact_online.login.terminal import Terminal

CONSENTS = 3
"""Times the consent page is offered before the login gives up."""

PASTES = 5
"""Times an address may be pasted per consent."""

EXCHANGE_PAUSES = (2.0, 5.0, 10.0)
"""Seconds before a code is sent again while Exact cannot be reached; a code lives three minutes."""

DivisionLister = Callable[[str, str], list[Division]]
"""Base URL and access token to the divisions that the login may read."""


class LoginFlow:
    """One interactive login.

    Args:
        request: what the person asked for.
        terminal: the person.
        clock: time source.
        endpoint: trades the code.
        list_divisions: asks which divisions the login may read.
        new_state: random text for the consent address.
    """

    def __init__(
        self,
        request: LoginRequest,
        terminal: Terminal,
        clock: Clock,
        endpoint: TokenEndpoint,
        list_divisions: DivisionLister,
        new_state: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self._request = request
        self._terminal = terminal
        self._clock = clock
        self._endpoint = endpoint
        self._list_divisions = list_divisions
        self._new_state = new_state

    def run(self) -> None:
        """Log in and write the configuration.

        Raises:
            LoginError: it did not work; the text says what to do.
        """
        request = self._request
        check_redirect_uri(request.redirect_uri)
        self._may_write()
        tokens = self._tokens()
        mask(tokens.refresh_token, tokens.access_token)
        config = configuration(request, tokens, [])
        write_config(request.config_file, config)  # at once: whatever comes now, the tokens are kept
        try:
            divisions = self._choose(tokens)
        except (KeyboardInterrupt, LoginError):
            self._terminal.say(f"\n{request.config_file} is written nevertheless, without a choice of divisions.")
            raise
        if divisions:
            write_config(request.config_file, configuration(request, tokens, divisions))
        self._terminal.say(f"Wrote {request.config_file}. It holds secrets; only you may read it.")
        if request.token_file is not None:
            self._terminal.say(
                f"Each run keeps the login alive in {request.token_file}, as the configuration says: leave both files "
                "where they are, and the configuration needs no change any more."
            )

    def _may_write(self) -> None:
        path = self._request.config_file
        if not path.parent.is_dir():
            raise LoginError(
                f"The directory {path.parent} does not exist: make it first, or name another with --config."
            )
        if path.is_dir():
            raise LoginError(f"{path} is a directory: name a file with --config.")
        if not os.access(path.parent, os.W_OK):
            raise LoginError(f"The directory {path.parent} cannot be written: name another with --config.")
        if path.exists() and not self._request.overwrite:
            answer = self._terminal.ask(f"{path} exists. Replace it? [y/N]")
            if answer.lower() not in ("y", "yes"):
                raise LoginError(f"{path} was left as it is. Name another file with --config.")

    def _tokens(self) -> Tokens:
        for _ in range(CONSENTS):
            tokens = self._trade(self._code())
            if tokens is not None:
                return tokens
        raise LoginError("The login did not work. Start again when the cause is found.")

    def _code(self) -> str:
        request, say = self._request, self._terminal.say
        state = self._new_state()
        url = consent_url(request.base_url, request.client_id, request.redirect_uri, state, request.force_login)
        listener = RedirectListener.open(request.redirect_uri, state)
        if listener is None and listens(request.redirect_uri):
            say(
                f"\nThe browser cannot be received at {request.redirect_uri}: another program listens there, or the "
                "port is not allowed. That program would get the code. End it and start again, unless it is yours."
            )
        try:
            say(f"\nOpen this address in a browser, log in, and grant access to the divisions to read:\n\n{url}\n")
            if request.browser and self._terminal.open_browser(url):
                say("(A browser window should have opened.)")
            say(
                "If Exact Online does not know the app, it is registered at another country site than "
                f"{request.site}. If it asks for permission first, the app's owner has to request it in the App Centre."
            )
            prompt = (
                "Waiting for the browser. If it runs on another machine, paste the address it ended at:"
                if listener is not None
                else "Paste the address that the browser ended at (the page may show an error), within three minutes:"
            )
            for _ in range(PASTES):
                code = self._code_from(self._terminal.address(prompt, listener), state)
                if code is not None:
                    return code
        finally:
            if listener is not None:
                listener.server_close()
        raise LoginError("No usable address was pasted. Start again.")

    def _code_from(self, address: str, state: str) -> str | None:
        try:
            return code_in(address, state)
        except WrongAddressError as error:
            self._terminal.say(str(error))
            return None

    def _trade(self, code: str) -> Tokens | None:
        """Return tokens for a code; None where a new consent may help."""
        say = self._terminal.say
        mask(code)
        for pause in (*EXCHANGE_PAUSES, None):
            answer = self._endpoint.exchange(code, self._request.redirect_uri)
            if isinstance(answer, Granted):
                return answer.tokens
            if isinstance(answer, Lost):
                say(f"Exact Online's answer got lost ({answer.reason}), and a code works only once. Once more, please.")
                return None
            if isinstance(answer, Unsent):
                trouble = f"Exact Online cannot be reached ({answer.reason})."
            elif answer.row.action is TokenAction.RETRY:
                trouble = answer.row.message
            elif answer.row.action in (TokenAction.CORRECT_CLIENT, TokenAction.CORRECT_SITE):
                raise LoginError(answer.row.message)
            else:
                reason = answer.detail or "no reason given"
                say(
                    f"Exact Online refuses the code (HTTP {answer.status}: {reason}). A code works once and for three "
                    "minutes, and only with the redirect URI that is registered for the app. Once more, please."
                )
                return None
            if pause is not None:
                say(f"{trouble} Trying again ...")
                self._clock.sleep(pause)
        raise LoginError(f"{trouble} Try again later.")

    def _choose(self, tokens: Tokens) -> list[int]:
        """Return the divisions to read; empty means all."""
        try:
            divisions = self._list_divisions(self._request.base_url, tokens.access_token)
        except AirbyteTracedException as error:
            self._terminal.say(f"The divisions could not be listed: {error} All that the login may read will be read.")
            divisions = []
        codes = {division.code for division in divisions}
        if divisions:
            self._terminal.say("\nDivisions that this login may read:")
            for division in divisions:
                self._terminal.say(f"{division.code:>10}  {division.name}")
        wanted = self._request.divisions
        while True:
            if wanted is None:
                if len(divisions) < 2:
                    return []
                wanted = self._terminal.ask("Which ones? Numbers separated by commas, or Enter for all:")
            try:
                return parse_divisions(wanted, codes)
            except LoginError as error:
                if self._request.divisions is not None:
                    raise
                self._terminal.say(str(error))
                wanted = None
