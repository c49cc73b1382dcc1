"""The old place of `resilience.tiers.static_copy`, kept for one release."""

import warnings

from resilience.tiers.static_copy import Export as Export
from resilience.tiers.static_copy import Resource as Resource

warnings.warn("resilience.tiers.static is now resilience.tiers.static_copy", DeprecationWarning, stacklevel=2)
