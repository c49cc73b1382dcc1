"""Remember the addresses of hosts, so that no request waits long for a name server.

`getaddrinfo` takes no time-out: a silent name server holds its caller for as long as `resolv.conf` says,
often 10 s and more. So it runs in a thread of its own, one per name at most. A name is resolved once and then
refreshed in the background; a request uses the last known answer, however old.
"""

import errno
import ipaddress
import logging
import os
import socket
import threading
import time
from concurrent.futures import Future
from typing import NamedTuple

log = logging.getLogger("resilience.addresses")

REFRESH_AFTER = 30.0


class _Entry(NamedTuple):
    addresses: list[str]
    resolved: float


_lock = threading.Lock()
_known: dict[str, _Entry] = {}  # Guarded by _lock.
_asking: dict[str, Future[list[str]]] = {}  # Guarded by _lock.


def lookup(host: str, limit: float) -> list[str]:
    """Return the addresses of `host`: at once if it was resolved before, else within `limit` seconds.

    An IP address is returned as it is. Raises TimeoutError when no name server answered in time, and what
    `getaddrinfo` raised when it failed (OSError, or UnicodeError for what cannot be a name).
    """
    if is_address(host):
        return [host]
    with _lock:
        entry = _known.get(host)
        if entry is not None and time.monotonic() - entry.resolved < REFRESH_AFTER:
            return entry.addresses
        asking = _ask_locked(host)
    if entry is not None:
        return entry.addresses
    try:
        return asking.result(max(0.0, limit))
    except TimeoutError:
        raise TimeoutError(f"the name {host!r} was not resolved within {limit:.2f} s") from None


def is_address(host: str) -> bool:
    """Tell whether `host` is an address already."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ask_locked(host: str) -> Future[list[str]]:
    if (asking := _asking.get(host)) is None:
        asking = _asking[host] = Future()
        # A daemon thread and no pool: a name server that never answers must not delay the end of the process.
        try:
            threading.Thread(target=_ask, args=(host, asking), name="resolve", daemon=True).start()
        except RuntimeError as error:  # no thread can be started: tell all that wait for this name
            del _asking[host]
            log.warning("cannot resolve %s: %s; the last known addresses stay in use", host, error)
            failed = OSError(errno.EAGAIN, str(error))
            failed.__cause__ = error
            asking.set_exception(failed)
    return asking


def _ask(host: str, asking: Future[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except Exception as error:  # of any kind: all that wait for this name must get it
        log.warning("cannot resolve %s: %s; the last known addresses stay in use", host, error)
        with _lock:
            _asking.pop(host, None)
            if (entry := _known.get(host)) is not None:
                _known[host] = entry._replace(resolved=time.monotonic())
        asking.set_exception(error)
        return
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    with _lock:
        _asking.pop(host, None)
        _known[host] = _Entry(addresses, time.monotonic())
    asking.set_result(addresses)


def _forget_questions() -> None:
    # A forked child has none of the threads that asked, and one of them may have held the lock.
    global _lock
    _lock = threading.Lock()
    _asking.clear()


os.register_at_fork(after_in_child=_forget_questions)
