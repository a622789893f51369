"""The login: access tokens, the single-use refresh token, and where both are kept.

Belongs here: when to refresh, what the token endpoint answers, the token store. Does not: data requests (`api`) and the
interactive login (`login`).
"""
