"""The WSGI entry point: a server process, whose calls count and are refused (RESILIENCE_ROLE)."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from resilience.primitives import RejectedError
from resilience.tiers.static_copy.keeping import prepare
from zenow.charsets import known_to_wsgi
from zenow.server.handover import Wsgi
from zenow.server.memory import give_back_large_blocks
from zenow.slow_bodies import SlowBodies

os.environ.setdefault("RESILIENCE_ROLE", "server")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")

# Bytes; a category or a course has hundreds.
_SHORT = 65_536


def without_process_environment(app: Wsgi) -> Wsgi:
    """Strip the process environment from each request's.

    granian copies `os.environ` into it once, after it has loaded this module, and with that DATABASE_URL's
    password would reach error pages and mails. What the server sets itself has another value and stays.
    """
    inherited = tuple(os.environ.items())

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name, value in inherited:
            if environ.get(name) == value:
                del environ[name]
        return app(environ, start_response)

    return application


def reading_to_the_end(app: Wsgi) -> Wsgi:
    """Read what the application left of a short request body, before the answer goes out.

    granian closes a connection whose request was not read, and the reset can overtake the answer: a write
    that was refused at once would look like a broken connection. A client that sends more than
    `_SHORT` bytes to no avail is cut off.
    """

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = app(environ, start_response)
        length = environ.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and 0 < int(length) <= _SHORT:
            with suppress(OSError, RejectedError):  # It is late, or too many are: let it be cut off.
                environ["wsgi.input"].read()
        return answer

    return application


give_back_large_blocks()
# Half of the threads may wait for clients; the others answer, liveness too.
slow_bodies = SlowBodies(waiting=max(1, settings.WEB_THREADS // 2))
application = without_process_environment(
    slow_bodies.bounded(reading_to_the_end(known_to_wsgi(get_wsgi_application())))
)
# The first request should not wait for the views.
import_module(settings.ROOT_URLCONF)
# Whoever starts in the middle of an outage has something to answer with.
prepare()
