"""Secrets stay out of every log line and error message."""

from __future__ import annotations

import html
import json
import re
import threading
from urllib.parse import quote, quote_plus

from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets, filter_secrets

_masked: set[str] = set()
_lock = threading.Lock()


def mask(*secrets: str) -> None:
    """Keep secrets out of every log line and error message from now on, in every spelling that they may have there."""
    with _lock:
        for secret in secrets:
            for spelling in _spellings(secret):
                # The CDK forgets what was registered whenever a command begins, so its own list is asked.
                if spelling and (spelling not in _masked or spelling in filter_secrets(spelling)):
                    _masked.add(spelling)
                    add_to_secrets(spelling)


def _spellings(secret: str) -> set[str]:
    """Return a secret as it is, in URLs and forms, in JSON, in HTML, and as Python shows it in an error."""
    urls = {
        quote(secret, errors="replace"),
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
    }
    lower = {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), url) for url in urls}
    texts = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    return {secret, *urls, *lower, *texts, html.escape(secret), html.escape(secret, quote=False)}
