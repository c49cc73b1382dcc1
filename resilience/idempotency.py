"""The old place of `resilience.answers.idempotency`, kept for one release."""

import warnings

from resilience.answers.idempotency import prune as prune

warnings.warn(
    "resilience.idempotency is now resilience.answers.idempotency", DeprecationWarning, stacklevel=2
)
