"""The old place of `resilience.journal.minutes`, kept for one release."""

import warnings

from resilience.journal.minutes import run as run

warnings.warn(
    "resilience.observe.minutes is now resilience.journal.minutes", DeprecationWarning, stacklevel=2
)
