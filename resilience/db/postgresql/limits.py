"""How settings reach the database server: as start-up parameters, or by SET LOCAL in each transaction.

A direct connection takes them in its start-up parameter ``options``, which costs nothing afterwards. Poolers
and proxies refuse that parameter (PgBouncer, RDS Proxy) or drop it (PgBouncer with
``ignore_startup_parameters``). So each address is tried: the options carry a mark, and if the server does not
have that mark as a setting, the options did not arrive.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import psycopg

from resilience import conf, registry
from resilience.db.connection import CutError, SpentError
from resilience.primitives import current_deadline

CHECK_INTERVAL = "client_connection_check_interval"
MARK = "resilience.role"

# Seconds after which an address that took start-up parameters is tried again: there may be a pooler by now.
LOOK_AGAIN = 60.0

_OPTION = re.compile(r"(?:-c\s*|--)(?P<name>[A-Za-z_][\w.-]*)=(?P<value>(?:\\.|\S)*)", re.DOTALL)
# Poolers say "unsupported startup parameter: options" or "… doesn't support command-line options".
_REFUSAL = re.compile(r"options|start-?up parameter", re.IGNORECASE)

Address = tuple[str, ...]


def own(*, check_interval: bool) -> dict[str, str]:
    """Return the server's limits, just below the client's, so that a live server ends a statement itself."""
    limits = {
        "statement_timeout": str(round(conf.deadline("statement") * 1000)),
        "lock_timeout": str(round(conf.deadline("lock") * 1000)),
    }
    return limits | ({CHECK_INTERVAL: "1000"} if check_interval else {})


def as_options(settings: Mapping[str, str]) -> str:
    """Return settings as the start-up parameter ``options``."""
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def as_settings(options: str) -> dict[str, str]:
    """Return the settings that ``options`` hold, the last value of each, without the mark.

    Raises `ValueError` with any part that is no setting, since ``SET LOCAL`` cannot express it.
    """
    if rest := _OPTION.sub("", options).split():
        raise ValueError(" ".join(rest))
    found = {
        match["name"].replace("-", "_").lower(): re.sub(r"\\(.)", r"\1", match["value"], flags=re.DOTALL)
        for match in _OPTION.finditer(options)
    }
    found.pop(MARK, None)
    return found


@dataclass(frozen=True, slots=True)
class Way:
    """How an address takes settings; it need not be tried again before `until` (monotonic seconds)."""

    takes_options: bool
    until: float
    holds_session: bool = False
    """whether a pooler lends each client a session as long as it stays connected"""


# The way of each address that this process has connected to, and the lock held while one is tried.
_ways: dict[Address, Way] = {}
_looks: dict[Address, threading.Lock] = {}


def address_of(params: Mapping[str, Any]) -> Address:
    """Return the connection parameters that make up an address."""
    return tuple(
        str(params.get(name, "")) for name in ("service", "host", "hostaddr", "port", "dbname", "user")
    )


def known(address: Address) -> Way | None:
    """Return the way that was found for an address; None if it was never tried."""
    return _ways.get(address)


def learn(address: Address, *, takes_options: bool, holds_session: bool = False) -> Way:
    """Remember the way of an address. SET LOCAL works with any server, so only options are tried again."""
    until = registry.clock().monotonic() + LOOK_AGAIN if takes_options else inf
    way = _ways[address] = Way(takes_options, until, holds_session)
    return way


def doubt(address: Address) -> None:
    """Let the next connection try again: one has failed, and there may be another server by now."""
    if (way := _ways.get(address)) is not None:
        _ways[address] = replace(way, until=-inf)


def is_sure(way: Way | None) -> bool:
    """Tell whether an address need not be tried now."""
    return way is not None and registry.clock().monotonic() < way.until


@contextmanager
def looking(address: Address) -> Iterator[bool]:
    """Yield whether to try what an address takes: at most one connection of the process does at a time.

    The others use what is known already. If nothing is known, they wait for at most half of their time.
    """
    way = known(address)
    if is_sure(way):
        yield False
        return
    lock = _looks.setdefault(address, threading.Lock())
    mine = lock.acquire(timeout=0.0 if way is not None else _patience())
    try:
        yield mine and not is_sure(known(address))
    finally:
        if mine:
            lock.release()


def _patience() -> float:
    deadline = current_deadline()
    return 1.0 if deadline is None else deadline.remaining() / 2


os.register_at_fork(after_in_child=_looks.clear)  # another thread of the parent may hold one


def forget() -> None:
    """Forget all addresses, as in a new process."""
    _ways.clear()


def may_be_refused(way: Way | None, error: psycopg.OperationalError) -> bool:
    """Tell whether connecting may have failed because of the options.

    If the address took options before, only the error's text can say so. Otherwise any failure that came at
    once may be due to them, since not every proxy says why.
    """
    if isinstance(error, CutError | SpentError | psycopg.errors.ConnectionTimeout):
        return False
    return way is None or not way.takes_options or bool(_REFUSAL.search(str(error)))
