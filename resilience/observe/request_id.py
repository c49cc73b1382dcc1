"""The old place of `resilience.request.request_id`, kept for one release."""

import warnings

from resilience.request.request_id import RequestIdFilter as RequestIdFilter

warnings.warn(
    "resilience.observe.request_id is now resilience.request.request_id", DeprecationWarning, stacklevel=2
)
