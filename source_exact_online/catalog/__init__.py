"""What streams there are: the facts about each, its JSON schema, and how Airbyte's catalogue shows it.

Belongs here: facts and their types. Does not: anything that sends a request, keeps a position or depends on a run.
"""
