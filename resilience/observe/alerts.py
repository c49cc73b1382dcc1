"""The old place of `resilience.alerts.rules`, kept for one release."""

import warnings

from resilience.alerts.rules import run as run

warnings.warn("resilience.observe.alerts is now resilience.alerts.rules", DeprecationWarning, stacklevel=2)
