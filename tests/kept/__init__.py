"""Writes whose view catches what has ended their transaction, over HTTP: `python -m tests.kept`."""
