"""Static files under the names that `collectstatic` gave them, else under their own."""

import logging
import re
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage

logger = logging.getLogger(__name__)
# A content coding that the client does not take.
_REFUSED = re.compile(r";\s*q\s*=\s*0(\.0*)?\s*$", re.IGNORECASE)


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """Serve static files whole, in a coding that the client takes.

    WhiteNoise gives all codings of a file one tag, passes over `If-Range`, and refuses a range of one byte. A
    client that joins two parts could so have one file made of two. No client needs parts of files this small,
    and a server may always answer in full (RFC 9110 §14.2). It also sends gzip to who says `gzip;q=0`.
    """

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponseBase:
        """Answer with the file."""
        request.META.pop("HTTP_RANGE", None)
        given = request.META.get("HTTP_ACCEPT_ENCODING", "")
        request.META["HTTP_ACCEPT_ENCODING"] = ",".join(
            coding for coding in given.split(",") if not _REFUSED.search(coding)
        )
        response: HttpResponseBase = WhiteNoiseMiddleware.serve(static_file, request)
        return response


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
