"""Secrets stay out of every log line and error message."""

from __future__ import annotations

import threading
from urllib.parse import quote, quote_plus

from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets, filter_secrets

_masked: set[str] = set()
_lock = threading.Lock()


def mask(*secrets: str) -> None:
    """Keep secrets out of every log line and error message from now on, also in the form they have in a URL."""
    with _lock:
        for secret in secrets:
            for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
                # The CDK forgets what was registered whenever a command begins, so its own list is asked.
                if form and (form not in _masked or form in filter_secrets(form)):
                    _masked.add(form)
                    add_to_secrets(form)
