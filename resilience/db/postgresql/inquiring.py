"""Find out why a connection is silent: its server is at work on a statement, or knows nothing of it.

Waiting for the end of the budget would cost the request its answer, and whoever waits for a row that it has
locked theirs. Cutting it short would end what is only slow. The server itself knows: another connection asks
it. One thread of a process does so at a time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import django.db
import psycopg

from resilience import conf
from resilience.db.connection import DeadlineConnection
from resilience.db.idle import Idle
from resilience.primitives import deadline_scope

if TYPE_CHECKING:
    from resilience.db.postgresql.keeping import KeepingWrapper

# Behind a pooler the number that we were told is none of the server's: nobody can tell, and nothing is ended.
_STATE = """
SELECT CASE WHEN pg_backend_pid() <> {own} THEN 'unknown'
ELSE coalesce((SELECT state FROM pg_stat_activity WHERE pid = {silent}), 'gone') END
"""
# A session that began after ours has only inherited its number.
_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pg_backend_pid() = {own} AND pid = {orphan} AND usename = current_user
AND backend_start <= clock_timestamp() - {age} * interval '1 second'
"""
# Seconds of silence after which the server is asked: few, since whoever waits holds a place.
PATIENCE = 0.2
# Seconds that one waits for another who inquires; an answer may come meanwhile.
TURN = 0.1
_NO_PROOF = ("active", "fastpath function call", "disabled", "unknown")


def inquire(wrapper: KeepingWrapper, silent: DeadlineConnection, waited: float) -> float:
    """Ask whether the server is at work for a connection that has been silent for `waited` seconds.

    Return 0 where it does nothing, and end the session, which may hold locks. Else return when to ask again:
    soon, where others of that age are forgotten (what it does now it may have done soon), else after as long.
    Nobody can tell behind a pooler, or while no other connection answers, of which the steward is told.
    """
    if _is_forgotten(wrapper, silent):
        return 0.0
    return PATIENCE if wrapper.idle.is_doubtful(silent) else waited


def _is_forgotten(wrapper: KeepingWrapper, silent: DeadlineConnection) -> bool:
    if silent.local is not None or not wrapper.idle.inquiry.acquire(timeout=TURN):
        return False
    began, other = time.monotonic(), None
    try:
        with deadline_scope(conf.deadline("connect")):
            other = wrapper.idle.take_living(silent.taken_at) or _new(wrapper, silent)
            state = other.ask(_STATE.format(own=other.server_process, silent=silent.server_process))
            forgotten = state not in _NO_PROOF and silent.is_silent()
            if forgotten:
                wrapper.idle.abandon([silent])
            end_orphans(wrapper.idle, other)
    except (psycopg.Error, django.db.Error) as error:
        if other is not None:
            other.close()
        wrapper.idle.doubt(began, f"silent, and no other one answers: {error}")
        return False
    finally:
        wrapper.idle.inquiry.release()
    if not wrapper.keep(other):
        other.close()
    return forgotten


def end_orphans(idle: Idle, connection: DeadlineConnection) -> None:
    """End the sessions of connections that were dropped, where the server has not noticed."""
    while (orphan := idle.next_orphan()) is not None:
        age = time.monotonic() - orphan.made_at
        connection.ask(_END.format(own=connection.server_process, orphan=orphan.server_process, age=age))


def _new(wrapper: KeepingWrapper, like: DeadlineConnection) -> DeadlineConnection:
    made: DeadlineConnection = wrapper.get_new_connection(wrapper.get_connection_params())
    made.autocommit = like.autocommit
    made.generation = like.generation
    return made
