"""Fuzzing of everything that reads what others have written; `python -m fuzz` runs it."""
