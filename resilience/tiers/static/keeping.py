"""The old place of `resilience.tiers.static_copy.keeping`, kept for one release."""

import warnings

from resilience.tiers.static_copy.keeping import run as run

warnings.warn(
    "resilience.tiers.static.keeping is now resilience.tiers.static_copy.keeping",
    DeprecationWarning,
    stacklevel=2,
)
