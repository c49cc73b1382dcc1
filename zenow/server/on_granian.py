"""One server: granian with its workers, on the sockets of a supervisor that outlives it.

granian's own listeners end with their workers, and clients that wait in the queue of one are turned away.
Here a worker accepts from a queue that the supervisor keeps open, and its successor from the same queue.
docs/server.md lists what this needs of granian beyond its documented options.
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
from zenow.server.handover import Handover, Member, Wsgi
from zenow.server.listening import BACKLOG


class GivenSocketsServer(MPServer):
    """granian on sockets that were opened before it.

    Elsewhere than on Linux its workers accept from one socket of their parent; this is that path.
    """

    def __init__(self, target: str, *, handover: Handover, **options: Any) -> None:
        super().__init__(target, **options)
        self._handover = handover

    def _init_shared_socket(self) -> None:
        self._ssp = self._sso = None

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """End soon; called in the main thread, at any moment.

        granian sets an event here, for which the same thread waits. A signal that comes while the thread
        holds the event's lock would have it wait for itself, for ever. So another thread sets it.
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
    """Load the site in a worker, and say so once it is ready."""
    logs.unblock()  # Before the site is loaded, which may warn.
    application = load()
    # Not before the site is loaded: they need the apps.
    from resilience.observe import health
    from resilience.tiers.static_copy import keeping

    member = Member(handover, worker, linger=settings.DRAIN_SECONDS, drain=health.drain)
    application = member.serving(application)
    member.watch()

    def announce() -> None:
        # The server before this one has a copy that stands in for the database: take over with one as well.
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
        # The next request would wait for a new thread: let it idle, as long as granian allows.
        blocking_threads_idle_timeout=600,
        respawn_failed_workers=True,
        # A request that hangs would block the end of its worker.
        workers_kill_timeout=10,
    ).serve()
