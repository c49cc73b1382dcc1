"""Where a drill breaks the database: below all that measures it, with the errors of its driver."""

from __future__ import annotations

import django.db
import psycopg

from resilience import conf, faults
from resilience.db.connection import CutError, DeadlineConnection


def inject(name: str) -> None:
    """Do to this call what the drill of the breaker `name` says; usually nothing."""
    if not conf.faults_allowed():
        return
    faults.inject(name, limit=DeadlineConnection.limit, error=_lost, timeout=_silent)


def _lost(text: str) -> django.db.OperationalError:
    return _raised(psycopg.OperationalError(text))


def _silent(text: str) -> django.db.OperationalError:
    return _raised(CutError(text))


def _raised(error: psycopg.Error) -> django.db.OperationalError:
    """Return the driver's error as Django hands it on; that of PostgreSQL, whatever the engine."""
    handed_on = django.db.OperationalError(str(error))
    handed_on.__cause__ = error
    return handed_on
