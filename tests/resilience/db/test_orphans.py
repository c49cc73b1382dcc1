"""Sessions of dropped connections are ended beside the connect, and are no reason for it to fail."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from resilience import registry
from resilience.db import idle
from resilience.db.connection import DeadlineConnection
from resilience.db.postgresql import inquiring
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import Outcome, deadline_scope
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import Calls, counted, query
from tests.servers import PostgresServer

MANY = 20


@pytest.fixture
def orphans(guarded: GuardedWrapper, server: PostgresServer) -> Iterator[list[DeadlineConnection]]:
    """Connections that were dropped, though the server knows nothing of it."""
    query(guarded, "SELECT 1")  # it has been found out what the address takes
    guarded.close()
    idle.of("guarded").free()
    with ExitStack() as stack:
        made = [stack.enter_context(closing(DeadlineConnection.connect(server.url))) for _ in range(MANY)]
        idle.of("guarded").abandon(made)
        yield made


def was_ended(connection: DeadlineConnection) -> bool:
    return bool(select.select([connection.pgconn.socket], [], [], 5.0)[0])


def failed() -> int:
    return registry.store().counters.totals().get(("questions_failed", "end of dropped sessions"), 0)


def test_all_are_ended_by_one_question(
    guarded: GuardedWrapper, proxy: FaultProxy, orphans: list[DeadlineConnection], calls: Calls
) -> None:
    proxy.set("latency", delay=0.03)  # one question for each would take longer than a connect may
    calls.clear()
    with deadline_scope(2):
        assert query(guarded, "SELECT 1") == [(1,)]
    assert counted(calls) == [("query", Outcome.SUCCESS)]
    assert all(was_ended(each) for each in orphans)
    assert not idle.of("guarded").has_orphans


def test_a_server_that_is_slow_at_it_has_not_failed_and_is_asked_again(
    guarded: GuardedWrapper,
    orphans: list[DeadlineConnection],
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(inquiring, "_END", "SELECT pg_sleep(5)")
        calls.clear()
        before = failed()
        with deadline_scope(2):
            assert query(guarded, "SELECT 1") == [(1,)]
    assert counted(calls) == [("query", Outcome.SUCCESS)]
    assert before < failed() <= before + 2  # a kept connection, if there was one, asks before the new one
    assert f"the sessions of {MANY} dropped connections could not be ended" in caplog.text
    guarded.close()
    query(guarded, "SELECT 1")
    assert all(was_ended(each) for each in orphans)


def test_a_server_that_refuses_it_keeps_the_connection(
    guarded: GuardedWrapper,
    proxy: FaultProxy,
    orphans: list[DeadlineConnection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inquiring, "_END", "SELECT 1 / 0")
    before = proxy.connections
    assert query(guarded, "SELECT 1") == [(1,)]
    assert proxy.connections == before + 1
    assert not idle.of("guarded").has_orphans
