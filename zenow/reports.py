"""What an error report may show: Django's own filter misses the names under which our passwords travel."""

import re

from django.views.debug import SafeExceptionReporterFilter


class SecretFreeReporterFilter(SafeExceptionReporterFilter):
    """Hide settings named *URL* and *DSN* too: DATABASE_URL, REDIS_URL and RATINGS_URL hold passwords."""

    hidden_settings = re.compile(
        SafeExceptionReporterFilter.hidden_settings.pattern + "|URL|DSN", re.IGNORECASE
    )
