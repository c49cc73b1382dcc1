"""Find out why a connection is silent: the server is at work on its statement, or has forgotten it.

If the server has forgotten it, waiting until the budget ends would cost this request its answer, and also the
requests that wait for rows it has locked. If the server is only slow, ending the wait early would be wrong.
So another connection asks the server which it is. One thread of a process does so at a time.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import django.db
import psycopg

from resilience import conf, registry
from resilience.db.connection import DeadlineConnection, SpentError
from resilience.db.idle import Idle
from resilience.db.turns import turn_at_once
from resilience.primitives import deadline_scope

if TYPE_CHECKING:
    from resilience.db.postgresql.keeping import KeepingWrapper

logger = logging.getLogger(__name__)

# Behind a pooler the process number that we were told is not the server's: then the state is unknown, and no
# session is ended.
_STATE = """
SELECT CASE WHEN pg_backend_pid() <> {own} THEN 'unknown'
ELSE coalesce((SELECT state FROM pg_stat_activity WHERE pid = {silent}), 'gone') END
"""
# A session that began after ours only has the same process number.
_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
JOIN (VALUES {orphans}) AS orphan (process, age) ON pid = process
WHERE pg_backend_pid() = {own} AND usename = current_user
AND backend_start <= clock_timestamp() - age * interval '1 second'
"""
# Seconds of silence after which the server is asked. They are few, since the waiting request holds a place.
PATIENCE = 0.2
# Seconds that a thread waits for another one's inquiry; its own answer may come meanwhile.
TURN = 0.1
_NO_PROOF = ("active", "fastpath function call", "disabled", "unknown")


def inquire(wrapper: KeepingWrapper, silent: DeadlineConnection, waited: float) -> float:
    """Ask whether the server is at work for a connection that has been silent for `waited` seconds.

    Returns 0 if it is not, and ends the session, which may hold locks. Otherwise returns the seconds after
    which to ask again: `PATIENCE` if another connection of that age was found silent, or if nobody could be
    asked because others connect; else `waited`. Behind a pooler there is no telling. If no other connection
    answers either, the steward is told to ping.
    """
    idle = wrapper.idle
    if silent.local is None and idle.inquiry.acquire(timeout=TURN):
        try:
            with deadline_scope(conf.deadline("connect")):
                if _is_forgotten(wrapper, silent):
                    return 0.0
        except _NobodyToAskError:
            return PATIENCE
        finally:
            idle.inquiry.release()
    return PATIENCE if idle.is_doubtful(silent) else waited


class _NobodyToAskError(Exception):
    """No kept connection has answered lately, and others have all turns to connect."""


def _is_forgotten(wrapper: KeepingWrapper, silent: DeadlineConnection) -> bool:
    idle, began = wrapper.idle, time.monotonic()
    kept = other = idle.take_living(silent.taken_at)
    try:
        if other is None:
            other = _new(wrapper, silent)
        state = other.ask(_STATE.format(own=other.server_process, silent=silent.server_process))
    except (psycopg.Error, django.db.Error) as error:
        if other is not None:
            other.close()
        note = idle.suspect if kept is None else idle.doubt
        note(began, error, limit=conf.deadline("connect"))
        return False
    forgotten = state not in _NO_PROOF and silent.is_silent()
    if forgotten:
        idle.abandon([silent])
    end_orphans(idle, other)
    # A new one is of use where nothing is kept. Else each slow query would leave one more.
    surplus = kept is None and not forgotten and len(idle) > 0
    if surplus or not wrapper.keep(other):
        other.close()
    return forgotten


def end_orphans(idle: Idle, connection: DeadlineConnection) -> bool:
    """End the sessions of connections that were dropped, if the server has not noticed their end.

    Returns False if the connection was lost by it: the next one tries again. An error is counted and logged,
    and says nothing of the server, which may be slow to end so many.
    """
    if not (orphans := idle.take_orphans()):
        return True
    now = time.monotonic()
    rows = ", ".join(f"({each.server_process}, {now - each.made_at:.6f})" for each in orphans)
    try:
        with deadline_scope(conf.deadline("health_check")):
            connection.ask(_END.format(own=connection.server_process, orphans=rows))
    except psycopg.Error as error:
        if connection.closed or isinstance(error, SpentError):  # else the server would say the same again
            idle.abandon(orphans)
        registry.store().counters.add("questions_failed", "end of dropped sessions")
        logger.warning("the sessions of %d dropped connections could not be ended: %s", len(orphans), error)
    return not connection.closed


def _new(wrapper: KeepingWrapper, like: DeadlineConnection) -> DeadlineConnection:
    with turn_at_once(wrapper.breaker_name) as free:
        if not free:
            raise _NobodyToAskError
        made: DeadlineConnection = wrapper.get_new_connection(wrapper.get_connection_params())
    made.autocommit = like.autocommit
    made.generation = like.generation
    return made
