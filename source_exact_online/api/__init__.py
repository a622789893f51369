"""Exact Online's HTTP API: requests, pages, call quotas, error answers, dates.

Belongs here: what is true of every request, whatever is read. Does not: streams, positions, Airbyte messages.
"""
