"""The old place of `resilience.tiers.catalogue_version`, kept for one release."""

import warnings

from resilience.tiers.catalogue_version import raise_version as raise_generation
from resilience.tiers.catalogue_version import refresh as refresh

__all__ = ["raise_generation", "refresh"]

warnings.warn(
    "resilience.tiers.generation is now resilience.tiers.catalogue_version", DeprecationWarning, stacklevel=2
)
