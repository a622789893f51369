"""`source-exact-online load`: reads with this connector and writes tables with dlt, in one process.

Belongs here: what becomes of records in a database: types, packages, keys, tombstones, where the state is kept. Does
not: how anything is read; that comes out of `source.py` as for any platform. dlt and pyarrow are an extra: only modules
that work with tables import them, so that `load --help` needs neither.
"""
