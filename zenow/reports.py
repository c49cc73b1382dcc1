"""What an error report may show. Django's own filter misses the names of some of our secrets."""

import re
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

from resilience.causes import without_userinfo


class SecretFreeReporterFilter(SafeExceptionReporterFilter):
    """Hide settings named *URL* and *DSN* too, and the credentials in any address (a cache's LOCATION).

    In a request, hide all cookies (a pass to the board is one) and the form's secrets, by their names. In the
    traceback, hide all variables, since many of them may hold a password; under DEBUG, show them.
    """

    hidden_settings = re.compile(
        SafeExceptionReporterFilter.hidden_settings.pattern + "|URL|DSN", re.IGNORECASE
    )

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            return without_userinfo(cleansed, self.cleansed_substitute)
        return cleansed

    def get_safe_cookies(self, request: HttpRequest) -> dict[str, Any]:
        return dict.fromkeys(super().get_safe_cookies(request), self.cleansed_substitute)

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        shown = super().get_post_parameters(request)
        return {name: self.cleanse_setting(name, value) for name, value in shown.items()}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        return [] if self.is_active(request) else super().get_traceback_frame_variables(request, tb_frame)
