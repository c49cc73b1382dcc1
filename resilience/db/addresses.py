"""Remember the addresses of database hosts, so that no request waits for a name server.

A name is resolved once, then refreshed in the background; a request uses the last known answer, however old.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from concurrent.futures import Future
from typing import NamedTuple

import psycopg
from psycopg.abc import ConnDict

logger = logging.getLogger(__name__)

REFRESH_AFTER = 30.0


class _Entry(NamedTuple):
    addresses: list[str]
    resolved: float


_lock = threading.Lock()
_known: dict[str, _Entry] = {}  # Guarded by _lock.
_running: dict[str, Future[list[str]]] = {}  # Guarded by _lock.


def lookup(host: str, limit: float) -> list[str]:
    """Return the addresses of ``host``: the last known ones at once, the first ones within ``limit`` seconds.

    Raises ``psycopg.OperationalError`` when no address is known and none can be had,
    ``psycopg.errors.ConnectionTimeout`` when the name server is silent.
    """
    with _lock:
        entry = _known.get(host)
        if entry is not None and time.monotonic() - entry.resolved < REFRESH_AFTER:
            return entry.addresses
        pending = _refresh_locked(host)
    if entry is not None:
        return entry.addresses
    try:
        return pending.result(limit)
    except TimeoutError:
        raise psycopg.errors.ConnectionTimeout(f"the name {host!r} was not resolved in time") from None
    except OSError as error:
        raise psycopg.OperationalError(f"failed to resolve host {host!r}: {error}") from error


def with_known_addresses(params: ConnDict, limit: float) -> ConnDict:
    """Return connection parameters with ``hostaddr`` beside each ``host`` that is a name.

    The name stays, so that TLS still checks it. Ports are repeated where a name has several addresses.
    """
    host = str(params.get("host") or "")
    if not host or params.get("hostaddr") or not any(_is_name(each) for each in host.split(",")):
        return params
    names = host.split(",")
    ports = str(params.get("port") or "").split(",")
    ports = ports * len(names) if len(ports) == 1 else ports
    rows: list[tuple[str, str, str]] = []
    for name, port in zip(names, ports, strict=True):
        rows += [(name, each, port) for each in (lookup(name, limit) if _is_name(name) else [name])]
    hosts, addresses, repeated = zip(*rows, strict=True)
    params = {**params, "host": ",".join(hosts), "hostaddr": ",".join(addresses)}
    return {**params, "port": ",".join(repeated)} if any(repeated) else params


def _is_name(host: str) -> bool:
    if not host or host.startswith(("/", "@")):
        return False  # the path of a socket
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _refresh_locked(host: str) -> Future[list[str]]:
    if (pending := _running.get(host)) is None:
        pending = _running[host] = Future()
        # A thread and no pool: a name server that never answers must not hold up the end of the process.
        threading.Thread(target=_resolve, args=(host, pending), name="resolve", daemon=True).start()
    return pending


def _resolve(host: str, pending: Future[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    except OSError as error:
        logger.warning("cannot resolve %s: %s; the last known addresses stay in use", host, error)
        with _lock:
            _running.pop(host, None)
            if (entry := _known.get(host)) is not None:
                _known[host] = entry._replace(resolved=time.monotonic())
        pending.set_exception(error)
        return
    with _lock:
        _running.pop(host, None)
        _known[host] = _Entry(addresses, time.monotonic())
    pending.set_result(addresses)
