"""The old place of `resilience.answers.writes`, kept for one release."""

import warnings

from resilience.answers.writes import ResilientWrites as ResilientWrites

warnings.warn("resilience.writes is now resilience.answers.writes", DeprecationWarning, stacklevel=2)
