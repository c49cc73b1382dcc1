"""The end of a transaction that was lost: what raises, what stays silent, what stays as it was."""

from __future__ import annotations

from contextlib import suppress

import django.db
import psycopg
import pytest
from django.db import transaction

from resilience.db.failures import NotStoredError
from resilience.db.outages import is_outage
from resilience.db.wrapper import GuardedWrapper
from resilience.request.scope import RequestScope
from tests.resilience.db.conftest import as_in_a_new_request, insert, query, saving


@pytest.fixture(params=["postgresql", "sqlite"])
def db(request: pytest.FixtureRequest, role: str) -> GuardedWrapper:
    wrapper: GuardedWrapper = request.getfixturevalue(f"{request.param}_kept")
    return wrapper


def stored(db: GuardedWrapper) -> list[int]:
    """Return what is stored, as another client sees it."""
    other: GuardedWrapper = db.copy()
    try:
        return [row[0] for row in query(other, "SELECT id FROM kept ORDER BY id")]
    finally:
        other.close()


class OwnError(Exception):
    """The program's own."""


class TestWhatStaysAsItWas:
    def test_an_exception_on_its_way_is_not_replaced(self, db: GuardedWrapper) -> None:
        def work() -> None:
            with transaction.atomic("guarded"), transaction.atomic("guarded"):
                insert(db, 1)
                db.close()
                raise OwnError

        def work_by_hand() -> None:
            transaction.set_autocommit(False, "guarded")
            try:
                insert(db, 1)
                db.close()
                raise OwnError
            finally:
                transaction.set_autocommit(True, "guarded")

        for each in (work, work_by_hand):
            with pytest.raises(OwnError):
                each()
            assert stored(db) == []
            assert db.get_autocommit()

    def test_a_rollback_that_was_asked_for_is_silent(self, db: GuardedWrapper) -> None:
        with transaction.atomic("guarded"):
            insert(db, 1)
            transaction.set_rollback(True, "guarded")
        with transaction.atomic("guarded"):
            insert(db, 2)
            with transaction.atomic("guarded"):
                insert(db, 3)
                with transaction.atomic("guarded", savepoint=False):
                    transaction.set_rollback(True, "guarded")
        assert stored(db) == [2]

    def test_a_rollback_that_was_asked_for_is_silent_after_a_loss_too(self, db: GuardedWrapper) -> None:
        with transaction.atomic("guarded"):
            insert(db, 1)
            db.close()
            transaction.set_rollback(True, "guarded")
        assert stored(db) == []

    def test_an_inner_block_cannot_ask_for_the_outer_ones_rollback(self, db: GuardedWrapper) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                insert(db, 1)
                with transaction.atomic("guarded"):
                    db.close()
                    transaction.set_rollback(True, "guarded")

        with pytest.raises(NotStoredError):
            work()
        assert stored(db) == []

    def test_a_rollback_by_hand_is_silent_and_the_section_goes_on(self, db: GuardedWrapper) -> None:
        transaction.set_autocommit(False, "guarded")
        insert(db, 1)
        transaction.rollback("guarded")
        insert(db, 2)
        db.close()
        transaction.rollback("guarded")
        insert(db, 3)
        assert not db.get_autocommit()
        transaction.rollback("guarded")
        insert(db, 4)
        transaction.commit("guarded")
        transaction.set_autocommit(True, "guarded")
        assert stored(db) == [4]

    def test_django_closes_no_connection_within_a_block(self, db: GuardedWrapper) -> None:
        with transaction.atomic("guarded"):
            insert(db, 1)
            as_in_a_new_request(db)
            insert(db, 2)
        assert stored(db) == [1, 2]

    def test_nor_within_a_section_by_hand_of_a_request(self, db: GuardedWrapper) -> None:
        with RequestScope():
            transaction.set_autocommit(False, "guarded")
            insert(db, 1)
            as_in_a_new_request(db)
            insert(db, 2)
            transaction.commit("guarded")
            transaction.set_autocommit(True, "guarded")
        assert stored(db) == [1, 2]

    def test_a_section_by_hand_that_a_request_left_open_is_not_the_next_ones(
        self, db: GuardedWrapper
    ) -> None:
        with RequestScope():
            transaction.set_autocommit(False, "guarded")
            insert(db, 1)
        as_in_a_new_request(db)
        insert(db, 2)
        assert stored(db) == [2]

    def test_nor_a_block_that_it_left_open(self, db: GuardedWrapper) -> None:
        with RequestScope():
            transaction.atomic("guarded").__enter__()
            insert(db, 1)
        as_in_a_new_request(db)
        insert(db, 2)
        assert stored(db) == [2]

    def test_a_section_by_hand_outside_of_requests_is_forgotten_at_the_second_call(
        self, db: GuardedWrapper
    ) -> None:
        transaction.set_autocommit(False, "guarded")
        insert(db, 1)
        as_in_a_new_request(db)  # closes it
        with pytest.raises(NotStoredError):
            insert(db, 2)
        as_in_a_new_request(db)
        insert(db, 3)
        assert stored(db) == [3]


class TestTheError:
    def test_is_an_outage_with_the_first_error_as_its_cause(self, db: GuardedWrapper) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                insert(db, 1)
                for _ in range(2):
                    with suppress(django.db.Error), saving():
                        insert(db, 1)

        with pytest.raises(NotStoredError) as raised:
            work()
        assert isinstance(raised.value.__cause__, db.Database.IntegrityError)
        assert isinstance(raised.value, django.db.OperationalError)
        assert is_outage(raised.value)

    def test_of_a_mistake_of_the_programs_own_is_no_outage(self, db: GuardedWrapper) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                insert(db, 1)
                with suppress(OwnError), transaction.atomic("guarded", savepoint=False):
                    raise OwnError

        with pytest.raises(NotStoredError) as raised:
            work()
        assert isinstance(raised.value.__cause__, OwnError)
        assert not is_outage(raised.value)
        assert stored(db) == []

    def test_is_raised_again_for_whoever_catches_it_too(self, db: GuardedWrapper) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                insert(db, 1)
                db.close()
                for _ in range(3):
                    with suppress(NotStoredError):
                        insert(db, 2)
                    with suppress(NotStoredError), transaction.atomic("guarded"):
                        insert(db, 3)

        with pytest.raises(NotStoredError):
            work()
        assert stored(db) == []

    def test_of_an_inner_block_leaves_the_outer_one_whole(self, db: GuardedWrapper) -> None:
        def inner() -> None:
            with transaction.atomic("guarded"):
                insert(db, 2)
                with suppress(django.db.Error), saving():
                    insert(db, 1)

        with transaction.atomic("guarded"):
            insert(db, 1)
            with pytest.raises(NotStoredError):
                inner()
            insert(db, 3)
        assert stored(db) == [1, 3]

    def test_is_in_the_log_once(self, db: GuardedWrapper, caplog: pytest.LogCaptureFixture) -> None:
        def work() -> None:
            with transaction.atomic("guarded"):
                insert(db, 1)
                with suppress(django.db.Error), saving():
                    insert(db, 1)
                for _ in range(3):
                    with suppress(django.db.Error):
                        insert(db, 2)

        with caplog.at_level("WARNING", "resilience.db"), pytest.raises(NotStoredError):
            work()
        (line,) = [each for each in caplog.records if each.name == "resilience.db"]
        assert "'guarded' is not stored" in line.getMessage()
        assert line.exc_info is not None  # a mistake of the program's: its traceback

    def test_tells_no_words_of_the_program_s_own_errors(
        self, db: GuardedWrapper, caplog: pytest.LogCaptureFixture
    ) -> None:
        def work() -> None:
            with transaction.atomic("guarded"), suppress(ValueError), saving():
                raise ValueError("card 4111 1111")

        with caplog.at_level("WARNING", "resilience.db"), pytest.raises(NotStoredError):
            work()
        assert "builtins.ValueError" in caplog.text
        assert "4111" not in caplog.text

    def test_is_none_where_the_program_recovers_by_its_own_savepoint(self, db: GuardedWrapper) -> None:
        with transaction.atomic("guarded"):
            insert(db, 1)
            point = transaction.savepoint("guarded")
            with suppress(django.db.Error), transaction.atomic("guarded", savepoint=False), saving():
                insert(db, 1)
            transaction.set_rollback(False, "guarded")
            transaction.savepoint_rollback(point, "guarded")
            insert(db, 2)
        assert stored(db) == [1, 2]

    def test_has_a_cause_also_where_the_driver_s_own_error_was_caught(
        self, postgresql_kept: GuardedWrapper, role: str
    ) -> None:
        if role == "command":
            return  # only the cursors of a server see COPY

        def work() -> None:
            with transaction.atomic("guarded"):
                insert(postgresql_kept, 1)
                cursor = postgresql_kept.cursor()
                with suppress(psycopg.DataError), cursor.copy("COPY kept FROM STDIN") as copy:
                    copy.write("no number\n")

        with pytest.raises(NotStoredError) as raised:
            work()
        assert isinstance(raised.value.__cause__, psycopg.DataError)
