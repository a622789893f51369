"""`source-exact-online report`: one page about what was loaded, for people who know bookkeeping.

Belongs here: figures out of a DuckDB file, charts, the page. Does not: what a figure means; that is decided by the
models in `dbt/`, and this room reads their tables. Only where they were not built it adds up the loaded tables itself.
DuckDB, matplotlib and Jinja2 are an extra: only modules that work with figures import them, so that `report --help`
needs none.
"""
