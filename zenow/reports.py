"""What an error report may show: Django's own filter misses the names under which our passwords travel."""

import re
from typing import Any

from django.views.debug import SafeExceptionReporterFilter

_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")


class SecretFreeReporterFilter(SafeExceptionReporterFilter):
    """Hide settings named *URL* and *DSN* too, and the credentials in any address (a cache's LOCATION)."""

    hidden_settings = re.compile(
        SafeExceptionReporterFilter.hidden_settings.pattern + "|URL|DSN", re.IGNORECASE
    )

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            return _USERINFO.sub(f"{self.cleansed_substitute}@", cleansed)
        return cleansed
