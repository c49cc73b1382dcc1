"""Serve the site: `python -m zenow`, the one place that knows how the server is set up.

Settings that keep it from starting end it with one message, before any worker exists. It listens on
GRANIAN_HOST, the loopback address unless set: a proxy stands in front.
"""

import os
import socket
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from granian import Granian
from granian.constants import Interfaces


def main() -> None:
    """Check the settings, then serve until told to end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")
    try:
        port = settings.PORT
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    address = os.environ.get("GRANIAN_HOST", "127.0.0.1")
    _refuse_if_taken(address, port)
    Granian(
        "zenow.wsgi:application",
        interface=Interfaces.WSGI,
        websockets=False,
        address=address,
        port=port,
        workers=settings.WEB_CONCURRENCY,
        blocking_threads=settings.WEB_THREADS,
        # A thread that ends closes its database connection: let it idle, as long as granian allows.
        blocking_threads_idle_timeout=600,
        respawn_failed_workers=True,
        # A request that hangs would block the end of its worker.
        workers_kill_timeout=10,
    ).serve()


def _refuse_if_taken(address: str, port: int) -> None:
    """End with one line where nobody can listen; granian would share the port with another granian."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # Connections of a server that has ended are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            sys.exit(f"Cannot listen on {address}:{port}: {error.strerror}; choose another by PORT")


if __name__ == "__main__":
    main()
