"""Static files by the names that `collectstatic` gave them, or by their own."""

import logging

from whitenoise.storage import CompressedManifestStaticFilesStorage

logger = logging.getLogger(__name__)


class StaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it has no types
    """Hashed names, which browsers keep for good; what was not collected keeps its plain name.

    A file that nobody collected is no reason for an error page, least of all on the board in an outage:
    WhiteNoise serves it from where it lies (`WHITENOISE_USE_FINDERS`), and the log says what to do.
    """

    _told = False

    def stored_name(self, name: str) -> str:
        """Return the name that pages give the file."""
        try:
            stored: str = super().stored_name(name)
        except ValueError:
            if not self._told:
                logger.warning("%s was not collected: run `manage.py collectstatic` before the start", name)
            self._told = True
            return name
        return stored
