"""Clients that others wrote, run against the sandbox unchanged but for the address: `make clients`.

Each script here uses one client as its documentation says, and talks to the driver in `__main__.py` line by line.
"""
