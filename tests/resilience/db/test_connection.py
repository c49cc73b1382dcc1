"""Every wait of a connection ends with the budget, whatever the server does."""

import socket
import time
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import pq
from psycopg.errors import ConnectionTimeout

from resilience.db.connection import CONTROL_FLOOR, CutError, DeadlineConnection, SpentError
from resilience.net import addresses
from resilience.primitives import TICKS, deadline_scope, own_trouble
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import frozen, takes
from tests.servers import PostgresServer


@pytest.fixture
def connection(server: PostgresServer) -> Iterator[DeadlineConnection]:
    with deadline_scope(5):
        connection = DeadlineConnection.connect(server.url, autocommit=True)
    yield connection
    connection.close()


class TestConnect:
    def test_ends_with_the_budget_when_the_server_is_frozen(self, server: PostgresServer) -> None:
        with frozen(server), deadline_scope(0.3), takes(0.3, 0.6), pytest.raises(ConnectionTimeout):
            DeadlineConnection.connect(server.url)

    def test_that_ended_while_the_process_got_no_processor_is_its_own_trouble(
        self, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with frozen(server), deadline_scope(0.3), pytest.raises(ConnectionTimeout) as caught:
            DeadlineConnection.connect(server.url)
        assert own_trouble(caught.value, 0.3) is None
        monkeypatch.setattr(TICKS, "late_within", lambda seconds: True)
        assert own_trouble(caught.value, 0.3) == "processor"

    def test_takes_five_round_trips_with_that_of_tcp(self, server: PostgresServer) -> None:
        with FaultProxy(server.port) as proxy, deadline_scope(5):
            url = server.url.replace(f":{server.port}", f":{proxy.port}")
            connection = DeadlineConnection.connect(url)
            assert 1 + proxy.chunks == 5
            connection.close()

    def test_shares_the_budget_among_all_addresses(self, server: PostgresServer) -> None:
        url = server.url.replace(f"127.0.0.1:{server.port}", ",".join([f"127.0.0.1:{server.port}"] * 3))
        with frozen(server), deadline_scope(0.45), takes(0.45, 0.75), pytest.raises(ConnectionTimeout):
            DeadlineConnection.connect(url)

    def test_reaches_a_live_address_behind_a_silent_one(self, server: PostgresServer) -> None:
        with FaultProxy(server.port) as proxy:
            proxy.set("silent")
            url = server.url.replace(
                f"127.0.0.1:{server.port}", f"127.0.0.1:{proxy.port},127.0.0.1:{server.port}"
            )
            with deadline_scope(0.6), takes(0.3, 0.6):
                DeadlineConnection.connect(url).close()

    def test_raises_at_once_when_it_is_refused(self, server: PostgresServer) -> None:
        with FaultProxy(server.port) as proxy:
            proxy.set("refuse")
            url = server.url.replace(f":{server.port}", f":{proxy.port}")
            with (
                deadline_scope(0.5),
                takes(0.0, 0.2),
                pytest.raises(psycopg.OperationalError, match="refused"),
            ):
                DeadlineConnection.connect(url)

    def test_uses_the_last_known_address_of_a_name(
        self, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = server.url.replace("127.0.0.1", "localhost")
        with deadline_scope(1):
            DeadlineConnection.connect(url).close()

        def silent(*_: object, **__: object) -> None:
            pytest.fail("a name server was asked")

        monkeypatch.setattr(socket, "getaddrinfo", silent)
        with deadline_scope(1):
            DeadlineConnection.connect(url).close()

    def test_tries_each_address_of_each_name(
        self, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with FaultProxy(server.port) as proxy:
            proxy.set("refuse")
            found = {"old.example": ["127.0.0.2", "127.0.0.3"], "new.example": ["127.0.0.1"]}
            monkeypatch.setattr(addresses, "lookup", lambda host, limit: found[host])
            hosts = f"old.example:{proxy.port},new.example:{server.port}"
            with deadline_scope(1):
                connection = DeadlineConnection.connect(
                    server.url.replace(f"127.0.0.1:{server.port}", hosts), target_session_attrs="any"
                )
            assert (connection.info.host, connection.info.hostaddr) == ("new.example", "127.0.0.1")
            connection.close()

    def test_of_a_name_that_is_not_resolved_in_time_has_timed_out(
        self, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def silent(host: str, limit: float) -> None:
            raise TimeoutError("no name server answered")

        monkeypatch.setattr(addresses, "lookup", silent)
        with deadline_scope(1), pytest.raises(ConnectionTimeout, match="no name server"):
            DeadlineConnection.connect("host=db.example")

    def test_of_an_unknown_name_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(host: str, limit: float) -> None:
            raise socket.gaierror("no such name")

        monkeypatch.setattr(addresses, "lookup", unknown)
        with deadline_scope(1), pytest.raises(psycopg.OperationalError, match=r"db\.example"):
            DeadlineConnection.connect("host=db.example")


class TestWait:
    def test_of_a_query_ends_with_the_budget(
        self, server: PostgresServer, connection: DeadlineConnection
    ) -> None:
        with frozen(server), deadline_scope(0.3), takes(0.3, 0.5), pytest.raises(CutError):
            connection.execute("SELECT 1")
        assert connection.closed

    def test_costs_a_frozen_server_its_budget_once(
        self, server: PostgresServer, connection: DeadlineConnection
    ) -> None:
        connection.autocommit = False
        connection.execute("SELECT 1")
        with frozen(server), deadline_scope(0.3), takes(0.3, 0.5):
            with pytest.raises(CutError):
                connection.execute("SELECT 1")
            with pytest.raises(psycopg.OperationalError):
                connection.rollback()
            connection.close()

    def test_outside_all_deadlines_has_the_limit_of_the_connection(
        self, server: PostgresServer, connection: DeadlineConnection
    ) -> None:
        connection.limit = 0.2
        with frozen(server), takes(0.2, 0.4), pytest.raises(CutError):
            connection.execute("SELECT 1")

    def test_of_several_statements_shares_one_budget(self, connection: DeadlineConnection) -> None:
        with deadline_scope(0.5), takes(0.5, 0.7):
            connection.execute("SELECT pg_sleep(0.3)")
            with pytest.raises(CutError):
                connection.execute("SELECT pg_sleep(0.3)")

    def test_is_not_begun_on_a_spent_budget(self, connection: DeadlineConnection) -> None:
        with deadline_scope(0), pytest.raises(SpentError):
            connection.execute("SELECT 1")
        assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_of_many_statements_in_a_pipeline_ends_with_the_budget(
        self, server: PostgresServer, connection: DeadlineConnection
    ) -> None:
        with frozen(server), deadline_scope(0.3), takes(0.3, 0.6), pytest.raises(psycopg.OperationalError):
            connection.cursor().executemany("SELECT %s::int", [(1,), (2,)])
        assert connection.closed

    def test_in_the_midst_of_a_copy_throws_the_connection_away(self, connection: DeadlineConnection) -> None:
        rows = "SELECT repeat('x', 100000) FROM generate_series(1, 500)"
        with deadline_scope(0.2), connection.cursor() as cursor, pytest.raises(CutError):
            self.read_slowly(cursor, f"COPY ({rows}) TO STDOUT")
        assert connection.closed

    @staticmethod
    def read_slowly(cursor: psycopg.Cursor[Any], statement: LiteralString) -> None:
        with cursor.copy(statement) as copy:
            for _ in copy:
                time.sleep(0.01)

    def test_of_a_callers_own_ends_as_the_caller_says(self, connection: DeadlineConnection) -> None:
        connection.execute("LISTEN news")
        with takes(0.1, 0.3):
            assert list(connection.notifies(timeout=0.1)) == []
        assert not connection.closed


class TestFloor:
    def test_of_commit_is_there_when_the_budget_is_spent(self, connection: DeadlineConnection) -> None:
        connection.autocommit = False
        connection.execute("CREATE TABLE kept (id int)")
        with deadline_scope(0):
            connection.commit()
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        connection.execute("DROP TABLE kept")
        connection.commit()

    def test_of_commit_bounds_it_on_a_frozen_server(
        self, server: PostgresServer, connection: DeadlineConnection
    ) -> None:
        connection.commit_floor = 0.4
        connection.autocommit = False
        connection.execute("SELECT 1")
        with frozen(server), deadline_scope(0), takes(0.4, 0.6), pytest.raises(CutError):
            connection.commit()

    def test_of_rollback_is_there_when_the_budget_is_spent(self, connection: DeadlineConnection) -> None:
        connection.autocommit = False
        connection.execute("SELECT 1")
        with deadline_scope(0):
            connection.rollback()
        assert connection.info.transaction_status == pq.TransactionStatus.IDLE

    def test_of_rollback_bounds_it_on_a_frozen_server(
        self, server: PostgresServer, connection: DeadlineConnection
    ) -> None:
        connection.autocommit = False
        connection.execute("SELECT 1")
        with (
            frozen(server),
            deadline_scope(0),
            takes(CONTROL_FLOOR, CONTROL_FLOOR + 0.2),
            pytest.raises(CutError),
        ):
            connection.rollback()
