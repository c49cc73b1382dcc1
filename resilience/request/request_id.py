"""The id of a request: it is in its answer, and in every line that is logged while it is answered."""

from __future__ import annotations

import logging
import os
import re

from django.http import HttpRequest

from resilience.request.scope import current_scope

# The ids that a client may choose: none can pass for another line or field of a log.
_CLIENTS_OWN = re.compile(r"[A-Za-z0-9-]{1,64}")


def name_of(request: HttpRequest) -> str:
    """Return the id of a request: its client's own, if that is well-formed, else a new one."""
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if given and _CLIENTS_OWN.fullmatch(given) else os.urandom(16).hex()


class RequestIdFilter(logging.Filter):
    """Add `request_id` to each record that is logged during a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass."""
        if (scope := current_scope()) is not None and scope.request_id:
            record.request_id = scope.request_id
        return True
