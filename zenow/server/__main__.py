"""One server, started by the supervisor: `python -m zenow.server`."""

import os
import signal
import threading
import time

from django.conf import settings

from resilience.observe import logs
from zenow.server.handover import Handover, stop_accepting
from zenow.server.on_granian import serve


def main() -> None:
    """Serve until told to end, or until the supervisor retires this server or dies."""
    logs.unblock()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")
    handover = Handover.inherited()
    if handover is None:
        raise SystemExit("This is the inner half of the server; start it by: python -m zenow")
    threading.Thread(target=_end_after, args=(handover,), daemon=True).start()
    serve(handover)


def _end_after(handover: Handover) -> None:
    """End some time after the workers have begun to retire."""
    handover.wait()
    # So if the supervisor has died, the next one finds the port free.
    stop_accepting(handover.listeners)
    time.sleep(settings.DRAIN_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
