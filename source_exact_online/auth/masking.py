"""Secrets stay out of every log line and error message."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets, filter_secrets, get_secrets, update_secrets

_masked: set[str] = set()
_lock = threading.Lock()


SHORTEST = 8
"""Characters that a secret of Exact's has at least: ids are GUIDs, client secrets and tokens have twelve and more.

A shorter value is a slip, such as `me` for a client id. If it were masked, so were words that have it in them.
"""


def mask_configured(specification: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Keep the secrets of a configuration out of every log line and error message, and none that were before.

    Args:
        specification: of a configuration, with ``airbyte_secret`` at its secrets.
        config: the raw configuration.
    """
    update_secrets([one for one in get_secrets(specification, config) if len(str(one)) >= SHORTEST])


def mask(*secrets: str, shortest: int = SHORTEST) -> None:
    """Keep secrets out of every log line and error message from now on, in every spelling that they may have there.

    Args:
        secrets: what to mask.
        shortest: characters below which a value is no secret.
    """
    with _lock:
        for secret in secrets:
            if len(secret) < shortest:
                continue
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
