"""`source-exact-online login`: from a browser's consent to a configuration that is ready to use.

Belongs here: the conversation with a person. Does not: anything that another room would need. Only run.py imports it.
"""
