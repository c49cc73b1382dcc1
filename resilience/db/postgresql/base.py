"""PostgreSQL behind its guard: ``ENGINE = "resilience.db.postgresql"``."""

from django.db.backends.postgresql import base

from resilience.db.postgresql.connecting import guarded_driver
from resilience.db.postgresql.guard import PostgreSQLGuard
from resilience.db.postgresql.keeping import KeepingWrapper


class DatabaseWrapper(KeepingWrapper, PostgreSQLGuard, base.DatabaseWrapper):
    """Django's own engine, guarded in server processes."""

    Database = guarded_driver()
