"""One listing in one division: what it asks for, whose rows it brings, and where it goes on.

Belongs here: a partition and all that it needs to turn pages into records. Does not: which partitions there are and in
which order they run (`sync`).
"""
