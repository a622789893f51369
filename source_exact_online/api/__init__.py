"""Exact Online's HTTP API: requests, tokens, quotas and errors. Knows nothing of Airbyte streams."""
