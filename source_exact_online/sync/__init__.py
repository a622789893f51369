"""One run of `read`: which partitions there are, in which order they run, and what is emitted.

Belongs here: planning, scheduling, messages, progress. Does not: how a listing is read (`read`).
"""
