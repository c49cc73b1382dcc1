"""Serve the site: `python -m zenow`. SIGHUP replaces the server, and no request fails.

If settings are missing or wrong, it ends with one message before any worker is started. It listens on
GRANIAN_HOST, by default the loopback address, since a proxy stands in front.
"""

import logging.config
import os
import sys
import threading
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from resilience import conf, registry
from resilience.journal import events
from resilience.observe import logs
from zenow.server.listening import Listeners
from zenow.server.supervisor import Supervisor
from zenow.server.wedged import liveness_request


def main() -> None:
    """Check the settings, then serve until told to end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")
    try:
        port = settings.PORT
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    _log_as_the_site_does()
    logs.unblock()
    address = os.environ.get("GRANIAN_HOST", "127.0.0.1")
    try:
        listeners = Listeners(address, port, count=settings.WEB_CONCURRENCY)
    except OSError as error:
        sys.exit(f"Cannot listen on {address}:{port}: {error.strerror}; choose another by PORT")
    with listeners:
        supervisor = Supervisor(
            listeners,
            workers=settings.WEB_CONCURRENCY,
            drain_seconds=settings.DRAIN_SECONDS,
            question=liveness_request(conf.get("LIVENESS_PATH")),
            tell=_tell,
        )
        sys.exit(supervisor.run())


def _tell(what: str, why: str) -> None:
    """Record, in a thread, that a process hung: the supervisor must not wait for a disk that hangs too."""

    def record() -> None:
        events.record("wedged", why=f"{what}: {why}")
        # Closed again: this is rare, and the store may be replaced before the next time.
        store = registry.store()
        registry.forget()
        store.close()

    threading.Thread(target=record, daemon=True).start()


def _log_as_the_site_does() -> None:
    # Without filters: they would load much of Django to add request ids, and there are no requests here.
    configuration: dict[str, Any] = settings.LOGGING
    console = configuration["handlers"]["console"] | {"filters": []}
    logging.config.dictConfig(configuration | {"filters": {}, "handlers": {"console": console}})


if __name__ == "__main__":
    main()
