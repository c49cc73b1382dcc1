"""The old place of `resilience.journal.flush`, kept for one release."""

import warnings

from resilience.journal.flush import prune as prune
from resilience.journal.flush import run as run

warnings.warn("resilience.observe.flush is now resilience.journal.flush", DeprecationWarning, stacklevel=2)
