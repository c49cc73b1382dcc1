"""SQLite behind its guard: ``ENGINE = "resilience.db.sqlite3"``."""

from django.db.backends.sqlite3 import base

from resilience.db.wrapper import GuardedWrapper


class DatabaseWrapper(GuardedWrapper, base.DatabaseWrapper):
    """Django's own engine, guarded in server processes."""

    has_server = False
