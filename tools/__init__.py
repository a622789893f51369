"""Generators of committed files, run by hand or by the Makefile; not part of the connector."""
