"""The old place of `resilience.operate.board.urls`, kept for one release."""

import warnings

from resilience.operate.board.urls import app_name as app_name
from resilience.operate.board.urls import urlpatterns as urlpatterns

warnings.warn("resilience.board.urls is now resilience.operate.board.urls", DeprecationWarning, stacklevel=2)
