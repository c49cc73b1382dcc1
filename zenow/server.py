"""One server: granian with its workers, on the socket of a supervisor that outlives it.

granian's own listeners are one for each worker, and who waits in the queue of one that ends is turned away.
Here all workers, of this server and of its successor, accept from one queue, which the supervisor keeps open.
"""

import os
import signal
import threading
import time
from typing import Any

from django.conf import settings
from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.server.mp import MPServer

from zenow.handover import Handover

_BACKLOG = 1024


class SharedSocketServer(MPServer):
    """granian on a socket that was opened before it.

    Other systems than Linux share one socket among the workers; this is that path, with a socket given.
    """

    def __init__(self, target: str, *, descriptor: int, **options: Any) -> None:
        super().__init__(target, **options)
        self._descriptor = descriptor

    def _init_shared_socket(self) -> None:
        is_unix = False
        self._ssp = self._sso = None
        self._shd = SocketHolder(self._descriptor, is_unix, _BACKLOG)  # type: ignore[call-arg, assignment]
        self._sfd = self._descriptor  # type: ignore[assignment]


def main() -> None:
    """Serve until told to end, or until the supervisor lets go of this server."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")
    handover = Handover.inherited()
    if handover is None:
        raise SystemExit("This is the inner half of the server; start it by: python -m zenow")
    threading.Thread(target=_end_after, args=(handover,), daemon=True).start()
    SharedSocketServer(
        "zenow.wsgi:application",
        descriptor=handover.listener,
        interface=Interfaces.WSGI,
        websockets=False,
        address=os.environ.get("GRANIAN_HOST", "127.0.0.1"),
        port=settings.PORT,
        workers=settings.WEB_CONCURRENCY,
        blocking_threads=settings.WEB_THREADS,
        # A thread that ends closes its database connection: let it idle, as long as granian allows.
        blocking_threads_idle_timeout=600,
        respawn_failed_workers=True,
        # A request that hangs would block the end of its worker.
        workers_kill_timeout=10,
    ).serve()


def _end_after(handover: Handover) -> None:
    """End some time after the workers have begun to retire."""
    handover.wait()
    time.sleep(settings.DRAIN_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
