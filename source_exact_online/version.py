"""The connector's version, in its one home: setup.py reads it here, and unit tests hold all other copies to it."""

VERSION = "0.1.0"
