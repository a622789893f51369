"""How far each stream is in each division: positions, the rules that move them, and their JSON form.

Belongs here: pure functions of positions. Does not: requests, rows of a particular stream, messages.
"""
