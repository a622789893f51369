"""A two-minute tour: the sandbox's administrations in a DuckDB file, then only what changed."""
