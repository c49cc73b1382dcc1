"""Transactions that a program begins and ends by statements of its own, on PostgreSQL.

Of this kind: an error that is caught between BEGIN and COMMIT, END or PREPARE TRANSACTION, which the server
answers with ROLLBACK and no error, also within a block of Django's; a connection that is lost in between,
after which what follows would be stored without what came before; a read in between, which must not be asked
again elsewhere; a transaction that a request leaves open.
"""

from __future__ import annotations

from contextlib import suppress

import django.db
import pytest
from django.db import transaction

from resilience.db.failures import NotStoredError
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker
from resilience.request.scope import RequestScope
from tests.resilience.db.conftest import Beside, as_in_a_new_request, insert, pid, query, rows
from tests.servers import PostgresServer


@pytest.fixture
def role(breaker: CircuitBreaker) -> str:
    """The cursors of commands are Django's own."""
    return "server"


@pytest.fixture
def db(postgresql_kept: GuardedWrapper) -> GuardedWrapper:
    return postgresql_kept


def kill(db: GuardedWrapper, beside: Beside) -> None:
    beside.execute("SELECT pg_terminate_backend(%s, 2000)", [pid(db)])


def test_is_stored_when_nothing_happens(db: GuardedWrapper, server: PostgresServer) -> None:
    for number in (1, 2):
        query(db, "BEGIN")
        insert(db, number)
        assert query(db, "SELECT count(*) FROM kept") == [(number,)]
        query(db, "COMMIT")
    query(db, "BEGIN")
    insert(db, 3)
    with suppress(django.db.Error):
        insert(db, 3)
    query(db, "ROLLBACK")
    with transaction.atomic("guarded"):
        insert(db, 4)
    insert(db, 5)
    assert rows(server) == [1, 2, 4, 5]


@pytest.mark.parametrize("end", ["COMMIT", "end", " COMMIT AND CHAIN", "PREPARE TRANSACTION 'it'"])
def test_that_was_aborted_does_not_end_in_silence(
    db: GuardedWrapper, server: PostgresServer, end: str
) -> None:
    query(db, "BEGIN")
    insert(db, 1)
    with suppress(django.db.Error):
        insert(db, 1)
    with pytest.raises(NotStoredError) as raised:
        query(db, end)
    assert isinstance(raised.value.__cause__, db.Database.IntegrityError)
    query(db, "ROLLBACK")
    insert(db, 2)
    assert rows(server) == [2]


def test_nor_does_a_block_that_ends_so(db: GuardedWrapper, server: PostgresServer) -> None:
    def work() -> None:
        with transaction.atomic("guarded"):
            insert(db, 1)
            with suppress(django.db.Error):
                insert(db, 1)
            with suppress(NotStoredError):
                query(db, "COMMIT")

    with pytest.raises(NotStoredError):
        work()
    assert rows(server) == []


@pytest.mark.parametrize("optional", ["SELECT 1", "INSERT INTO other VALUES (1)"])
def test_that_was_lost_is_not_stored_in_part(
    db: GuardedWrapper, server: PostgresServer, beside: Beside, optional: str
) -> None:
    with RequestScope():
        query(db, "BEGIN")
        insert(db, 1)
        kill(db, beside)
        with pytest.raises(django.db.OperationalError):
            query(db, optional)
        for sql in ("INSERT INTO kept VALUES (2)", "COMMIT"):
            with pytest.raises(NotStoredError):
                query(db, sql)
    as_in_a_new_request(db)
    insert(db, 3)
    assert rows(server) == [3]


def test_that_a_request_left_open_is_not_the_next_ones(
    db: GuardedWrapper, server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    with RequestScope():
        query(db, "BEGIN")
        insert(db, 1)
    as_in_a_new_request(db)
    assert "has left a transaction" in caplog.text
    insert(db, 2)
    with transaction.atomic("guarded"):
        insert(db, 3)
    assert rows(server) == [2, 3]
