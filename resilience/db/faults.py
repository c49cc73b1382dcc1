"""Here a drill breaks the database: below the code that measures calls, with the driver's errors."""

from __future__ import annotations

import django.db
import psycopg

from resilience import conf, faults
from resilience.db.connection import CutError, DeadlineConnection


def inject(name: str) -> None:
    """Apply the fault that a drill has set for the breaker `name` to this call; usually there is none.

    Raises `django.db.OperationalError` with the driver's error as its cause.
    """
    if not conf.faults_allowed():
        return
    faults.inject(
        name,
        limit=DeadlineConnection.limit,
        error=lambda text: _raised(psycopg.OperationalError(text)),
        timeout=lambda text: _raised(CutError(text)),
    )


def _raised(error: psycopg.Error) -> django.db.OperationalError:
    """Return the driver's error wrapped in Django's. It is PostgreSQL's for every engine."""
    handed_on = django.db.OperationalError(str(error))
    handed_on.__cause__ = error
    return handed_on
