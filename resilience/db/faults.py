"""Here a drill breaks the database: below the code that measures calls, as a driver's errors would arrive."""

from __future__ import annotations

import django.db

from resilience import conf, faults
from resilience.db.failures import LostError, WaitCutError

# Seconds for which a call waits for a silent database, if its request has no deadline.
_LIMIT = 2.0


class DrilledLossError(LostError, ConnectionError):
    """A drill has ended the connection."""


class DrilledSilenceError(WaitCutError, TimeoutError):
    """A drill has let the call wait in vain."""


def inject(name: str) -> None:
    """Apply the fault that a drill has set for the breaker `name` to this call; usually there is none.

    Raises `django.db.OperationalError` with the cause that a driver's error would be. It is the same for
    every engine.
    """
    if not conf.faults_allowed():
        return
    faults.inject(
        name,
        limit=_LIMIT,
        error=lambda text: _raised(DrilledLossError(text)),
        timeout=lambda text: _raised(DrilledSilenceError(text)),
    )


def _raised(error: Exception) -> django.db.OperationalError:
    """Return the error wrapped in Django's."""
    handed_on = django.db.OperationalError(str(error))
    handed_on.__cause__ = error
    return handed_on
