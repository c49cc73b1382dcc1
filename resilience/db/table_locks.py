"""Refuse reads of a table that another client has locked, after a few of them have waited in vain.

``ALTER TABLE``, ``LOCK TABLE``, ``TRUNCATE`` and ``VACUUM FULL`` make every read of their table wait, even
while they still wait themselves for an earlier reader. The server is well, so its breaker stays closed. But
each read would wait as long as ``lock_timeout`` allows, and then be answered by a stand-in. So the host
counts: after `WAITS` waits in vain within `WITHIN` seconds, reads that name the table are refused at once.
Every `TRY_EVERY` seconds one read is let through. As soon as one succeeds, all are let through.

This is for PostgreSQL only: readers of SQLite in WAL mode wait for nobody.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import django.db

from resilience import registry
from resilience.primitives import RejectedError
from resilience.primitives.store import TableLock
from resilience.signals import table_lock

if TYPE_CHECKING:
    from resilience.db.wrapper import GuardedWrapper

logger = logging.getLogger("resilience.database")

WAITS, WITHIN, TRY_EVERY = 3, 10.0, 2.0

# Seconds without a wait after which a table is forgotten: nobody reads it any more, or it was dropped.
_FORGOTTEN_AFTER = 60.0
# The most tables that are remembered.
_MOST = 32
_NAME = re.compile(r'(?:"?\w+"?\.)?"?(\w+)"?')
_NAMED = re.compile(r'\b(?:FROM|JOIN)\s+(?:"?\w+"?\.)?"?(\w+)"?', re.IGNORECASE)

Locks = dict[str, TableLock]


class TableLockedError(RejectedError, django.db.OperationalError):
    """The read was not made: others have just waited in vain for a lock on its table."""

    busy = True


def ask(wrapper: GuardedWrapper, sql: str) -> list[str]:
    """Return the locked tables that this read is let through to try, as "breaker table"; usually none.

    Raises `TableLockedError` if the read names a locked table and is not the one to try.
    """
    locks = registry.store().table_locks.read()
    if not locks:
        return []
    now = registry.clock().monotonic()
    needed = [
        name
        for name, lock in locks.items()
        if _is_in_force(lock, now) and _names(sql, name, wrapper.breaker_name)
    ]
    for name in needed:
        if not _claims_the_try(name, now):
            table = name.partition(" ")[2]
            raise TableLockedError(
                wrapper.breaker_name, retry_after=TRY_EVERY, reason=f"another client has locked {table}"
            )
    return needed


def waited_in_vain(wrapper: GuardedWrapper, sql: str, params: Any, error: django.db.Error) -> None:
    """Count a read that the server ended because it did not get its lock in time."""
    now = registry.clock().monotonic()
    names = [f"{wrapper.breaker_name} {table}" for table in _tables(wrapper, sql, params, error)]

    def counted(locks: Locks) -> Locks:
        recent = {name: lock for name, lock in locks.items() if now - lock.waits[-1] < _FORGOTTEN_AFTER}
        for name in names:
            last = recent.get(name, TableLock())
            waits = (*(at for at in last.waits if now - at < WITHIN), now)[-WAITS:]
            since = last.since or (now if len(waits) == WAITS else 0.0)
            if name in recent or len(recent) < _MOST:
                recent[name] = TableLock(waits, since, now if since else 0.0)
        return recent

    before = locked()
    registry.store().table_locks.update(counted)
    for name in names:
        if name not in before and name in locked():
            _tell(name, locked=True)


def has_read(tried: list[str]) -> None:
    """Let all reads of these tables through again, since one that tried them has succeeded."""
    if not tried:
        return
    before = locked()
    registry.store().table_locks.update(
        lambda locks: {name: lock for name, lock in locks.items() if name not in tried}
    )
    for name in tried:
        if name in before and name not in locked():
            _tell(name, locked=False, seconds=before[name])


def locked() -> dict[str, float]:
    """Return the tables whose reads are refused, as "breaker table", each with the seconds since when."""
    now = registry.clock().monotonic()
    locks = registry.store().table_locks.read()
    return {name: now - lock.since for name, lock in locks.items() if _is_in_force(lock, now)}


def _tell(name: str, *, locked: bool, seconds: float = 0.0) -> None:
    breaker, _, table = name.partition(" ")
    logger.warning("reads of %s %s for its lock", table, "no longer wait" if locked else "wait again")
    table_lock.send_robust(
        sender=TableLockedError, breaker=breaker, table=table, locked=locked, seconds=seconds
    )


def _is_in_force(lock: TableLock, now: float) -> bool:
    return lock.since > 0.0 and now - lock.waits[-1] < _FORGOTTEN_AFTER


def _claims_the_try(name: str, now: float) -> bool:
    """Tell whether this read may try the table: one of the host may in each `TRY_EVERY` seconds."""

    def claimed(locks: Locks) -> Locks | None:
        lock = locks.get(name)
        if lock is None or now - lock.tried < TRY_EVERY:
            return None
        return {**locks, name: lock._replace(tried=now)}

    lock = registry.store().table_locks.read().get(name)
    return lock is None or (now - lock.tried >= TRY_EVERY and registry.store().table_locks.update(claimed))


def _names(sql: str, name: str, breaker: str) -> bool:
    owner, _, table = name.partition(" ")
    return owner == breaker and re.search(rf"\b{re.escape(table)}\b", sql) is not None


def _tables(wrapper: GuardedWrapper, sql: str, params: Any, error: django.db.Error) -> Iterator[str]:
    """Yield the table at the position that the server's error names; without one, all that are read."""
    told: Any = getattr(error.__cause__, "diag", None)
    position = None if told is None else told.statement_position
    if position is not None and (found := _NAME.match(wrapper.as_sent(sql, params), int(position) - 1)):
        yield found[1]
        return
    yield from dict.fromkeys(_NAMED.findall(sql))
