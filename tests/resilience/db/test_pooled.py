"""Behind a pooler, or a proxy that takes no start-up parameters: the limits hold, and nothing is left behind.

The kind: what a direct connection may do once for its session and a shared session may not. Beside the limits
that is the time zone, the role, a project's own options, cursors WITH HOLD, prepared statements and the mode
of a repeated read; by text, by server-side binding, by COPY and by executemany.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import django.db
import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from resilience.db.failures import DatabaseDeadlineError
from resilience.db.postgresql import limits
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, Outcome, deadline_scope
from tests.resilience.db.conftest import Calls, alias, counted, query
from tests.resilience.db.poolers import left_behind, needs_pgbouncer
from tests.servers import PostgresServer
from tests.servers.pgbouncer import PgBouncerServer
from tests.startup_relay import StartupRelay
from zenow.settings.base import database_settings

SUCCESS, SLOW = Outcome.SUCCESS, Outcome.SLOW
LIMITS = ("statement_timeout", "lock_timeout", "client_connection_check_interval")


@pytest.fixture(scope="module")
def berlin() -> Iterator[PostgresServer]:
    """A server with another time zone than Django's, which writes down what it is sent."""
    with PostgresServer(options={"timezone": "Europe/Berlin", "log_statement": "all"}) as server:
        yield server


@pytest.fixture(scope="module")
def pgbouncer(berlin: PostgresServer) -> Iterator[PgBouncerServer]:
    with PgBouncerServer(berlin, "transaction") as pooler:
        yield pooler


@pytest.fixture(autouse=True)
def _knows_no_address() -> Iterator[None]:
    limits.forget()
    yield
    limits.forget()


@contextmanager
def between(kind: str, server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield an address at which what is named lies before the server."""
    with ExitStack() as stack:
        if kind == "transaction":
            yield request.getfixturevalue("pgbouncer").url
        elif kind == "session":
            yield stack.enter_context(PgBouncerServer(server, "session")).url
        else:
            relay = stack.enter_context(StartupRelay(server.port, kind))  # type: ignore[arg-type]
            yield server.url.replace(f":{server.port}", f":{relay.port}")


@pytest.fixture(
    params=[
        pytest.param("transaction", marks=needs_pgbouncer),
        pytest.param("session", marks=needs_pgbouncer),
        "refuse",
        "close",
        "drop",
    ]
)
def pooled(
    request: pytest.FixtureRequest, berlin: PostgresServer, breaker: CircuitBreaker
) -> Iterator[GuardedWrapper]:
    with between(request.param, berlin, request) as url, alias("pooled", database_settings(url)) as wrapper:
        yield wrapper


@pytest.fixture
def in_transactions(pgbouncer: PgBouncerServer, breaker: CircuitBreaker) -> Iterator[GuardedWrapper]:
    with alias("pooled", database_settings(pgbouncer.url)) as wrapper:
        yield wrapper


def shown(wrapper: GuardedWrapper, *names: str) -> list[str]:
    return [query(wrapper, f"SHOW {name}")[0][0] for name in names]


class TestLimits:
    def test_hold_in_and_outside_a_transaction(self, pooled: GuardedWrapper, calls: Calls) -> None:
        assert shown(pooled, *LIMITS) == ["1700ms", "1500ms", "1s"]
        with transaction.atomic("pooled"):
            assert shown(pooled, *LIMITS) == ["1700ms", "1500ms", "1s"]
        assert {outcome for _, outcome in counted(calls)} == {SUCCESS}  # the refusal was none of its failures

    def test_end_a_statement_at_the_server(
        self, pooled: GuardedWrapper, calls: Calls, deadlines: dict[str, float]
    ) -> None:
        deadlines["statement"] = 0.3
        with pytest.raises(django.db.OperationalError, match="statement timeout"):
            query(pooled, "SELECT pg_sleep(10)")
        assert calls[-1] == ("query", SLOW)
        with transaction.atomic("pooled"):
            with pytest.raises(django.db.OperationalError, match="statement timeout"):
                query(pooled, "SELECT pg_sleep(10)")
            transaction.set_rollback(True, using="pooled")
        assert query(pooled, "SELECT 1") == [(1,)]

    def test_end_it_after_the_client_has_gone_too(
        self, pooled: GuardedWrapper, berlin: PostgresServer, deadlines: dict[str, float]
    ) -> None:
        deadlines["statement"] = 0.6
        query(pooled, "SELECT 1")
        with deadline_scope(0.3), pytest.raises(DatabaseDeadlineError):
            query(pooled, "SELECT pg_sleep(10), 'left behind'")
        until = time.monotonic() + 5
        with psycopg.connect(berlin.url, autocommit=True) as watcher:
            while _active(watcher, "left behind"):
                assert time.monotonic() < until
                time.sleep(0.02)

    def test_hold_however_a_statement_is_sent(self, in_transactions: GuardedWrapper) -> None:
        show = "current_setting('statement_timeout')"
        query(in_transactions, "DROP TABLE IF EXISTS seen")
        query(in_transactions, "CREATE TABLE seen (said text)")
        with in_transactions.cursor() as cursor:
            cursor.executemany(f"INSERT INTO seen SELECT {show} WHERE %s", [(True,), (True,)])
            cursor.execute(psycopg.sql.SQL(f"INSERT INTO seen SELECT {show}"))
            cursor.execute(f"INSERT INTO seen SELECT {show} WHERE %s LIKE '1%%'", ["1"])
            assert cursor.rowcount == 1
            with cursor.copy(f"COPY (SELECT {show}) TO STDOUT") as copy:
                assert b"".join(copy) == b"1700ms\n"
        assert query(in_transactions, "SELECT * FROM seen; DROP TABLE seen") == 4 * [("1700ms",)]
        in_transactions.close()
        in_transactions.settings_dict["OPTIONS"]["server_side_binding"] = True
        assert query(in_transactions, f"SELECT {show}, %s", [7]) == [("1700ms", 7)]

    @pytest.mark.parametrize("binding", [False, True], ids=["client", "server"])
    @pytest.mark.parametrize("begin", ["BEGIN", " start transaction"])
    def test_hold_in_a_transaction_that_the_program_begins_itself(
        self, in_transactions: GuardedWrapper, begin: str, binding: bool
    ) -> None:
        in_transactions.settings_dict["OPTIONS"]["server_side_binding"] = binding
        query(in_transactions, begin)
        query(in_transactions, "CREATE TABLE undone ()")
        assert shown(in_transactions, *LIMITS) == ["1700ms", "1500ms", "1s"]
        query(in_transactions, "ROLLBACK")
        assert query(in_transactions, "SELECT to_regclass('undone')") == [(None,)]

    @pytest.mark.parametrize("binding", [False, True], ids=["client", "server"])
    def test_stand_back_where_no_transaction_may_be(
        self, in_transactions: GuardedWrapper, binding: bool
    ) -> None:
        in_transactions.settings_dict["OPTIONS"]["server_side_binding"] = binding
        query(in_transactions, "VACUUM")
        assert shown(in_transactions, "statement_timeout") == ["1700ms"]

    def test_do_not_stand_back_at_the_price_of_the_role(self, in_transactions: GuardedWrapper) -> None:
        in_transactions.settings_dict["OPTIONS"]["assume_role"] = "pg_monitor"
        with pytest.raises(django.db.InternalError, match="transaction block"):
            query(in_transactions, "VACUUM")

    def test_may_be_changed_within_a_transaction(self, in_transactions: GuardedWrapper) -> None:
        with transaction.atomic("pooled"):
            query(in_transactions, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            query(in_transactions, "SET LOCAL statement_timeout = '5s'")
            assert shown(in_transactions, "statement_timeout", "transaction_read_only") == ["5s", "on"]

    def test_give_way_to_the_projects_own(self, pooled: GuardedWrapper) -> None:
        pooled.settings_dict["OPTIONS"]["options"] = "-c statement_timeout=900 --search-path=a\\ b,public"
        assert shown(pooled, "statement_timeout", "lock_timeout") == ["900ms", "1500ms"]
        assert shown(pooled, "search_path") == ['"a b", public']

    def test_cannot_carry_everything(self, in_transactions: GuardedWrapper) -> None:
        in_transactions.settings_dict["OPTIONS"]["options"] = "-c statement_timeout=900 -e"
        with pytest.raises(ImproperlyConfigured, match="'-e'"):
            query(in_transactions, "SELECT 1")


@needs_pgbouncer
class TestSharedSession:
    def test_keeps_nothing_of_ours(
        self, in_transactions: GuardedWrapper, pgbouncer: PgBouncerServer, berlin: PostgresServer
    ) -> None:
        options = in_transactions.settings_dict["OPTIONS"]
        options |= {"assume_role": "pg_monitor", "prepare_threshold": 0, "options": "-c search_path=public"}
        assert shown(in_transactions, "TimeZone", "role") == ["UTC", "pg_monitor"]
        with transaction.atomic("pooled"):
            assert shown(in_transactions, "TimeZone", "role") == ["UTC", "pg_monitor"]
            with in_transactions.chunked_cursor() as cursor:
                cursor.execute("SELECT generate_series(1, 3)")
                assert cursor.fetchmany(2) == [(1,), (2,)]
        with in_transactions.chunked_cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            assert cursor.fetchmany(2) == [(1,), (2,)]
            assert left_behind(pgbouncer) == {"settings": [], "others": []}
        assert left_behind(pgbouncer) == {"settings": [], "others": []}

    @pytest.mark.parametrize(
        ("mode", "holds"), [("transaction", False), ("session", True)], ids=["transaction", "session"]
    )
    def test_is_held_while_idle_in_session_mode(
        self,
        request: pytest.FixtureRequest,
        berlin: PostgresServer,
        breaker: CircuitBreaker,
        mode: str,
        holds: bool,
    ) -> None:
        with between(mode, berlin, request) as url, alias("pooled", database_settings(url)) as wrapper:
            for _ in range(2):
                wrapper.close()
                wrapper.ensure_connection()
                assert wrapper.connection.holds_session is holds
            assert (wrapper._most(wrapper.connection) == 2) is holds  # type: ignore[attr-defined]

    def test_costs_no_message_more(self, in_transactions: GuardedWrapper, berlin: PostgresServer) -> None:
        query(in_transactions, "SELECT 1")
        before = len(berlin.log.read_text())
        query(in_transactions, "SELECT 'outside'")
        with transaction.atomic("pooled"):
            query(in_transactions, "SELECT 'inside'")
        sent = _statements(berlin.log.read_text()[before:])
        assert [each.replace(_settings_of(in_transactions), "") for each in sent] == [
            "SELECT 'outside'",
            "BEGIN; ",
            "SELECT 'inside'",
            "COMMIT",
        ]

    def test_is_told_by_no_statement_that_outlives_a_transaction(
        self, in_transactions: GuardedWrapper, berlin: PostgresServer
    ) -> None:
        before = len(berlin.log.read_text())
        query(in_transactions, "SELECT 'here'")
        sent = _statements(berlin.log.read_text()[before:])
        assert any("'here'" in each for each in sent)
        assert [each for each in sent if "set_config" in each or each.startswith("SET SESSION")] == []
        assert [each for each in sent if "SET " in each.replace("SET LOCAL ", "")] == []

    def test_is_refused_where_there_are_no_transactions(
        self, berlin: PostgresServer, breaker: CircuitBreaker
    ) -> None:
        with (
            PgBouncerServer(berlin, "statement") as pooler,
            alias("pooled", database_settings(pooler.url)) as wrapper,
            pytest.raises(django.db.OperationalError, match="statement pooling mode"),
        ):
            query(wrapper, "SELECT 1")


def _active(watcher: psycopg.Connection[Any], text: str) -> bool:
    found = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
        " AND query LIKE %s",
        [f"%{text}%"],
    ).fetchone()
    return found != (0,)


def _settings_of(wrapper: GuardedWrapper) -> str:
    return "".join(f"SET LOCAL {name} = '{value}'; " for name, value in wrapper.connection.local.items())


def _statements(log: str) -> list[str]:
    return [line.split("statement: ", 1)[1] for line in log.splitlines() if "statement: " in line]
