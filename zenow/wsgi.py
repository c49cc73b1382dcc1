"""The WSGI entry point. It makes the process a server, so that its calls are guarded (RESILIENCE_ROLE)."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from resilience.primitives import RejectedError
from resilience.tiers.static_copy import keeping
from zenow.charsets import known_to_wsgi
from zenow.server.handover import Wsgi
from zenow.server.memory import give_back_large_blocks
from zenow.slow_bodies import SlowBodies

os.environ.setdefault("RESILIENCE_ROLE", "server")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")

# In bytes: how much of a body that the application has not read is read for its client's sake, and at once.
_MOST = 16 * 1_048_576
_PART = 1_048_576


def without_process_environment(app: Wsgi) -> Wsgi:
    """Remove the process's environment variables from each request's `environ`.

    granian copies `os.environ` into it once, after it has loaded this module. So DATABASE_URL's password
    would reach error pages and mails. A variable that granian itself has set has another value, and stays.
    """
    inherited = tuple(os.environ.items())

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name, value in inherited:
            if environ.get(name) == value:
                del environ[name]
        return app(environ, start_response)

    return application


def reading_to_the_end(app: Wsgi) -> Wsgi:
    """Read the rest of a request body that the application has not read, before the answer goes out.

    granian closes a connection whose request was not read. The reset can overtake the answer, and then a 401
    or 413 looks like a broken connection. A client that sends more than `_MOST` bytes, or takes longer than a
    body may take, is cut off all the same. One that waits for leave to send (`Expect: 100-continue`) gets the
    answer instead: reading would be the leave.
    """

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        answer = app(environ, start_response)
        waits = "HTTP_EXPECT" in environ and not getattr(stream, "begun", True)
        if not waits and (environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ):
            with suppress(OSError, RejectedError):  # the client, or too many of them, are slow: cut it off
                for _ in range(_MOST // _PART):
                    if not stream.read(_PART):
                        break
        return answer

    return application


give_back_large_blocks()
# Half of the threads may wait for clients; the others answer requests, liveness among them.
slow_bodies = SlowBodies(waiting=max(1, settings.WEB_THREADS // 2))
application = without_process_environment(
    slow_bodies.bounded(reading_to_the_end(known_to_wsgi(get_wsgi_application())))
)
# The first request should not wait for the views.
import_module(settings.ROOT_URLCONF)
# Make sure of a static copy, so that a server that starts during an outage can answer.
keeping.start.prepare()
