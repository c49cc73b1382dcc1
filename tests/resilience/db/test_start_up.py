"""How a process finds out what an address takes: once, at no cost to direct connections, and again in time.

The kind: what was found may have changed. A pooler comes between, goes away, or begins to drop what it took;
the server behind the same address is another one.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django.db
import psycopg
import pytest
from django.db import transaction

from resilience.db.postgresql import limits
from resilience.db.probe import ping
from resilience.db.set_local import SetLocalConnection
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, ManualClock, Outcome, deadline_scope
from tests.resilience.db.conftest import Calls, alias, counted, query
from tests.servers import PostgresServer
from tests.startup_relay import Mode, StartupRelay
from zenow.settings.base import database_settings

FAILURE, SUCCESS = Outcome.FAILURE, Outcome.SUCCESS


@pytest.fixture
def relay(server: PostgresServer) -> Iterator[StartupRelay]:
    limits.forget()
    with StartupRelay(server.port, "pass") as relay:
        yield relay
    limits.forget()


@pytest.fixture
def relayed(relay: StartupRelay, server: PostgresServer, breaker: CircuitBreaker) -> Iterator[GuardedWrapper]:
    with alias(
        "relayed", database_settings(server.url.replace(f":{server.port}", f":{relay.port}"))
    ) as found:
        yield found


def connected(wrapper: GuardedWrapper) -> bool:
    """Connect anew; tell whether limits go into each transaction."""
    wrapper.close()
    assert query(wrapper, "SHOW statement_timeout") == [("1700ms",)]
    return wrapper.connection.local is not None


def with_options(relay: StartupRelay) -> list[bool]:
    """Return of each start-up since the last look whether it carried options."""
    found = ["options" in each for each in relay.startups]
    relay.startups.clear()
    return found


class TestDirect:
    def test_connects_with_options(self, relay: StartupRelay, relayed: GuardedWrapper) -> None:
        assert [connected(relayed), connected(relayed)] == [False, False]
        assert with_options(relay) == [True, True]

    def test_is_sent_nothing_more(
        self, relayed: GuardedWrapper, server: PostgresServer, breaker: CircuitBreaker
    ) -> None:
        relayed.settings_dict["OPTIONS"]["options"] = "-c log_statement=all"
        query(relayed, "SELECT 1")
        before = len(server.log.read_text())
        query(relayed, "SELECT 'outside'")
        with transaction.atomic("relayed"):
            query(relayed, "SELECT 'inside'")
        sent = re.findall(r"LOG:  statement: (.*)", server.log.read_text()[before:])
        assert sent == ["SELECT 'outside'", "BEGIN", "SELECT 'inside'", "COMMIT"]

    def test_is_looked_at_once_a_minute(
        self, relayed: GuardedWrapper, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        ask = SetLocalConnection.ask

        def record(self: SetLocalConnection, question: str) -> str | None:
            asked.append(question)
            return ask(self, question)

        monkeypatch.setattr(SetLocalConnection, "ask", record)
        for seconds, looks in ((0.0, 1), (30.0, 1), (31.0, 2), (1.0, 2)):
            clock.advance(seconds)
            connected(relayed)
            assert len(asked) == looks

    def test_notices_a_pooler_that_refuses(
        self, relay: StartupRelay, relayed: GuardedWrapper, calls: Calls
    ) -> None:
        connected(relayed)
        relay.mode = "refuse"
        assert connected(relayed)
        assert counted(calls) == [("query", SUCCESS)] * 2

    def test_notices_one_that_drops_them_within_a_minute(
        self, relay: StartupRelay, relayed: GuardedWrapper, clock: ManualClock
    ) -> None:
        connected(relayed)
        relay.mode = "drop"
        clock.advance(limits.LOOK_AGAIN)
        assert connected(relayed)

    def test_is_looked_at_after_a_failure(
        self, relay: StartupRelay, relayed: GuardedWrapper, server: PostgresServer
    ) -> None:
        connected(relayed)
        relay.mode, relay.target = "drop", 1  # nobody is there
        relayed.close()
        with pytest.raises(django.db.OperationalError):
            query(relayed, "SELECT 1")
        relay.target = server.port
        assert connected(relayed)

    def test_failure_is_tried_once(self, relay: StartupRelay, relayed: GuardedWrapper, calls: Calls) -> None:
        connected(relayed)
        with_options(relay)
        calls.clear()
        relay.target = 1
        relayed.close()
        with pytest.raises(django.db.OperationalError):
            query(relayed, "SELECT 1")
        assert with_options(relay) == [True]
        assert counted(calls) == [("connect", FAILURE)]


class TestRefusal:
    def test_is_met_once(
        self, relay: StartupRelay, relayed: GuardedWrapper, calls: Calls, caplog: pytest.LogCaptureFixture
    ) -> None:
        relay.mode = "refuse"
        with caplog.at_level(logging.INFO, "resilience.db"):
            assert [connected(relayed), connected(relayed)] == [True, True]
        assert with_options(relay) == [True, False, False, False]  # the third tells the pooler's mode
        assert [record.message for record in caplog.records] == [
            "DATABASES['relayed'] takes no start-up parameters: limits go into each transaction"
        ]
        assert counted(calls) == [("query", SUCCESS)] * 2

    def test_is_asked_again_after_a_failure(
        self, relay: StartupRelay, relayed: GuardedWrapper, server: PostgresServer
    ) -> None:
        relay.mode = "refuse"
        connected(relayed)
        relay.mode, relay.target = "pass", 1
        relayed.close()
        with pytest.raises(django.db.OperationalError):
            query(relayed, "SELECT 1")
        relay.target = server.port
        assert not connected(relayed)

    def test_is_met_by_one_of_many_at_once(
        self, relay: StartupRelay, relayed: GuardedWrapper, breaker: CircuitBreaker
    ) -> None:
        relay.mode = "refuse"
        connections = [relayed.copy() for _ in range(8)]
        ready = threading.Barrier(len(connections))

        def connect(wrapper: Any) -> bool:
            ready.wait(10)
            with deadline_scope(20.0):
                connection = wrapper.get_new_connection(wrapper.get_connection_params())
            connection.close()
            return connection.local is not None

        with ThreadPoolExecutor(len(connections)) as pool:
            assert list(pool.map(connect, connections)) == [True] * len(connections)
        assert with_options(relay).count(True) == 1

    def test_need_not_be_known_yet(
        self, relay: StartupRelay, relayed: GuardedWrapper, breaker: CircuitBreaker
    ) -> None:
        """Whoever has waited in vain for another connection's look does what is right at any server."""
        address = limits.address_of(relayed.get_connection_params())
        with limits.looking(address), deadline_scope(1.0):
            assert connected(relayed)
        assert with_options(relay) == [False]
        assert not connected(relayed)

    def test_of_an_address_that_hangs_holds_up_no_other(self) -> None:
        limits.forget()
        with limits.looking(("hangs",)) as first, limits.looking(("answers",)) as other:
            assert (first, other) == (True, True)

    def test_hides_no_outage(self, relay: StartupRelay, relayed: GuardedWrapper, calls: Calls) -> None:
        relay.mode, relay.target = "refuse", 1
        for _ in range(2):
            with pytest.raises(django.db.OperationalError) as caught:
                query(relayed, "SELECT 1")
            assert "option" not in str(caught.value)  # what is wrong is told, not what was tried first
        assert counted(calls) == [("connect", FAILURE)] * 2


class TestCommand:
    """Commands, and what the steward and `manage.py health` ask, connect as servers do."""

    def test_sends_options_without_limits(
        self, relay: StartupRelay, relayed: GuardedWrapper, calls: Calls, as_command: None
    ) -> None:
        assert query(relayed, "SHOW statement_timeout") == [("0",)]
        assert [each["options"] for each in relay.startups] == ["-c resilience.role=command"]
        assert calls == []

    def test_has_none_behind_a_pooler_either(
        self, relay: StartupRelay, relayed: GuardedWrapper, as_command: None
    ) -> None:
        relay.mode = "refuse"
        assert query(relayed, "SHOW statement_timeout") == [("0",)]
        assert relayed.connection.local == {}

    @pytest.mark.parametrize("mode", ["pass", "refuse"])
    def test_keeps_to_what_its_role_is_given(
        self,
        relay: StartupRelay,
        relayed: GuardedWrapper,
        as_command: None,
        server: PostgresServer,
        mode: Mode,
    ) -> None:
        relay.mode = mode
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("ALTER ROLE zenow SET lock_timeout = '7s'")
            try:
                assert query(relayed, "SHOW lock_timeout") == [("7s",)]
            finally:
                connection.execute("ALTER ROLE zenow RESET lock_timeout")

    def test_asks_as_a_server_would(
        self, relay: StartupRelay, relayed: GuardedWrapper, as_command: None, server: PostgresServer
    ) -> None:
        relay.mode = "refuse"
        ping("relayed")
        assert with_options(relay)[:2] == [True, False]
        with psycopg.connect(server.url) as watcher:
            held = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
            assert watcher.execute(held).fetchone() == (0,)
