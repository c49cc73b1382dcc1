"""How settings reach the server: as start-up parameters, or by SET LOCAL in each transaction.

A direct connection takes them in its start-up parameter ``options``, which costs nothing afterwards. Poolers
and proxies refuse that parameter (PgBouncer, RDS Proxy) or drop it (PgBouncer with
``ignore_startup_parameters``). So each address is looked at: the options carry a mark, and a server that
does not say it back has not got them.
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

# That start-up parameters are taken is looked at again after so many seconds: a pooler may have come between.
LOOK_AGAIN = 60.0

_OPTION = re.compile(r"(?:-c\s*|--)(?P<name>[A-Za-z_][\w.-]*)=(?P<value>(?:\\.|\S)*)", re.DOTALL)
# What poolers say of it: "unsupported startup parameter: options", "… doesn't support command-line options".
_REFUSAL = re.compile(r"options|start-?up parameter", re.IGNORECASE)

Address = tuple[str, ...]


def own(*, check_interval: bool) -> dict[str, str]:
    """Return the limits, just below the client's: a live server ends a statement itself, and is free."""
    limits = {
        "statement_timeout": str(round(conf.deadline("statement") * 1000)),
        "lock_timeout": str(round(conf.deadline("lock") * 1000)),
    }
    return limits | ({CHECK_INTERVAL: "1000"} if check_interval else {})


def as_options(settings: Mapping[str, str]) -> str:
    """Return settings as the start-up parameter ``options``."""
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def as_settings(options: str) -> dict[str, str]:
    """Return what ``options`` set, the last value of each, without the mark.

    Raises `ValueError` for what sets nothing: a transaction cannot be given that.
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
    """What is known of an address, and until when nobody need look again."""

    takes_options: bool
    until: float
    holds_session: bool = False
    """whether a pooler lends each client a session for as long as it stays"""


# Of each address that this process has connected to; the lock is held by the connection that looks there.
_ways: dict[Address, Way] = {}
_looks: dict[Address, threading.Lock] = {}


def address_of(params: Mapping[str, Any]) -> Address:
    """Return what tells one address from another among the parameters of a connection."""
    return tuple(
        str(params.get(name, "")) for name in ("service", "host", "hostaddr", "port", "dbname", "user")
    )


def known(address: Address) -> Way | None:
    """Return what was found there; None where nobody has been yet."""
    return _ways.get(address)


def learn(address: Address, *, takes_options: bool, holds_session: bool = False) -> Way:
    """Keep what was found. SET LOCAL is right at any server, so only its opposite is looked at again."""
    until = registry.clock().monotonic() + LOOK_AGAIN if takes_options else inf
    way = _ways[address] = Way(takes_options, until, holds_session)
    return way


def doubt(address: Address) -> None:
    """Have the next connection look again: one has failed, and another server may stand there by now."""
    if (way := _ways.get(address)) is not None:
        _ways[address] = replace(way, until=-inf)


def is_sure(way: Way | None) -> bool:
    """Tell whether nobody need look now."""
    return way is not None and registry.clock().monotonic() < way.until


@contextmanager
def looking(address: Address) -> Iterator[bool]:
    """Tell whether to look what an address takes: one connection of the process to it does at a time.

    The others go by what is known. Where nothing is, they wait for it, half of their time at most.
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
    """Know nothing, as a process that has just begun."""
    _ways.clear()


def may_be_refused(way: Way | None, error: psycopg.OperationalError) -> bool:
    """Tell whether a connection may have failed for its options.

    Where they were taken before only the words can say so. Elsewhere any failure that came at once is tried
    without: not every proxy says why.
    """
    if isinstance(error, CutError | SpentError | psycopg.errors.ConnectionTimeout):
        return False
    return way is None or not way.takes_options or bool(_REFUSAL.search(str(error)))
