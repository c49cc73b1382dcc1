"""One server: granian with its workers, on the sockets of a supervisor that outlives it.

granian's own listening sockets end with their workers, and clients in their queues get no answer. Here a
worker accepts from a queue that the supervisor keeps open, and its successor accepts from the same queue.
docs/server.md lists the parts of granian that this uses beyond its documented options.
"""

import _thread
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.server.mp import MPServer, WorkerProcess

from resilience.observe import logs
from zenow.server.handover import ENDS_WITHIN, Handover, Member, Wsgi
from zenow.server.listening import BACKLOG


class GivenSocketsServer(MPServer):
    """granian on sockets that were opened before it.

    It takes granian's path for systems other than Linux, on which workers accept from their parent's socket.
    """

    def __init__(self, target: str, *, handover: Handover, **options: Any) -> None:
        super().__init__(target, **options)
        self._handover = handover

    def _init_shared_socket(self) -> None:
        self._ssp = self._sso = None

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """End soon. A signal calls this in the main thread, at any moment.

        granian's own method sets an event for which the same thread waits. If the signal came while the
        thread held the event's lock, it would wait for itself for ever. So another thread sets the event.
        """
        _thread.start_new_thread(super().signal_handler_interrupt, args)

    def _spawn_worker(  # type: ignore[override]  # as that of MPServer; mypy looks at another
        self, idx: int, target: Callable[..., Any], callback_loader: Callable[[], Wsgi]
    ) -> WorkerProcess:
        listeners = self._handover.listeners
        is_unix = False
        self._shd = SocketHolder(  # type: ignore[assignment]
            listeners[idx % len(listeners)],  # type: ignore[call-arg]
            is_unix,
            BACKLOG,
        )
        return super()._spawn_worker(idx, target, partial(_take_part, self._handover, idx, callback_loader))


def _take_part(handover: Handover, worker: int, load: Callable[[], Wsgi]) -> Wsgi:
    """Load the site in a worker, and announce it once it is ready."""
    logs.unblock()  # before the site is loaded, which may log warnings
    application = load()
    # Imported after the site is loaded, since they need the apps.
    from resilience.observe import health
    from resilience.tiers.static_copy import keeping

    member = Member(handover, worker, linger=settings.DRAIN_SECONDS, drain=health.drain)
    application = member.serving(application)
    member.watch()

    def announce() -> None:
        # The last server has a static copy. Take over only with one as well.
        keeping.start.wait()
        handover.announce(worker)

    threading.Thread(target=announce, name="zenow-announce", daemon=True).start()
    return application


def serve(handover: Handover) -> None:
    """Serve the site until told to end."""
    GivenSocketsServer(
        "zenow.wsgi:application",
        handover=handover,
        interface=Interfaces.WSGI,
        websockets=False,
        address=os.environ.get("GRANIAN_HOST", "127.0.0.1"),
        port=settings.PORT,
        workers=settings.WEB_CONCURRENCY,
        blocking_threads=settings.WEB_THREADS,
        # Keep idle threads as long as granian allows: the next request would wait for a new one.
        blocking_threads_idle_timeout=600,
        respawn_failed_workers=True,
        # Without this limit, a request that hangs would keep its worker from ending.
        workers_kill_timeout=ENDS_WITHIN,
    ).serve()
