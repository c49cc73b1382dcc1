"""Sections between `set_autocommit(False)` and `(True)`, in which the blocks of Django are savepoints.

Of this kind: a block of a section that cannot begin, since its SAVEPOINT fails; one that begins a section on
SQLite, whose RELEASE is a COMMIT; a connection that somebody closed without Django.
"""

from __future__ import annotations

from contextlib import suppress

import django.db
import pytest
from django.db import transaction

from resilience.db.wrapper import GuardedWrapper
from tests.resilience.db.conftest import Beside, insert, pid, query, rows
from tests.servers import PostgresServer


def test_a_block_that_could_not_begin_is_not_taken_for_one_that_never_ends(
    postgresql_kept: GuardedWrapper, server: PostgresServer, beside: Beside
) -> None:
    db = postgresql_kept
    transaction.set_autocommit(False, "guarded")
    insert(db, 1)
    beside.execute("SELECT pg_terminate_backend(%s, 2000)", [pid(db)])
    with suppress(django.db.OperationalError), transaction.atomic("guarded"):
        insert(db, 2)
    transaction.rollback("guarded")
    transaction.set_autocommit(True, "guarded")
    with transaction.atomic("guarded"):
        insert(db, 3)
    assert rows(server) == [3]


def test_a_rollback_undoes_a_block_that_began_the_section(sqlite_kept: GuardedWrapper) -> None:
    transaction.set_autocommit(False, "guarded")
    with transaction.atomic("guarded"):
        insert(sqlite_kept, 1)
    transaction.rollback("guarded")
    transaction.set_autocommit(True, "guarded")
    assert query(sqlite_kept, "SELECT id FROM kept") == []


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_a_connection_that_was_closed_without_django_is_an_error_of_the_database(
    kind: str, request: pytest.FixtureRequest, role: str
) -> None:
    db: GuardedWrapper = request.getfixturevalue(f"{kind}_kept")

    def work() -> None:
        with transaction.atomic("guarded"):
            insert(db, 1)
            db.connection.close()
            with suppress(django.db.Error):
                insert(db, 2)

    with pytest.raises(django.db.Error):
        work()
    with transaction.atomic("guarded"):
        insert(db, 3)
    assert query(db, "SELECT id FROM kept") == [(3,)]
