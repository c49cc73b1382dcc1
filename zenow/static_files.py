"""Static files under the names that `collectstatic` gave them, else under their own."""

import logging

from whitenoise.storage import CompressedManifestStaticFilesStorage

logger = logging.getLogger(__name__)


class StaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it has no types
    """Gives collected files hashed names, so that browsers keep them for good; others keep their names.

    A file that was not collected must not cause an error page, least of all on the board in an outage.
    WhiteNoise serves it from its app (`WHITENOISE_USE_FINDERS`), and a log line says what to do.
    """

    _told = False

    def stored_name(self, name: str) -> str:
        """Return the file's name for use in pages."""
        try:
            stored: str = super().stored_name(name)
        except ValueError:
            if not self._told:
                logger.warning("%s was not collected: run `manage.py collectstatic` before the start", name)
            self._told = True
            return name
        return stored
