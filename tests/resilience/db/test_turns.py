"""At most two new connections are made at once: the others wait for their turn, and for no more than that."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from resilience import registry
from resilience.db import idle, turns
from resilience.db.connection import DeadlineConnection
from resilience.db.failures import DatabaseDeadlineError, DatabaseRefusedError
from resilience.db.turns import AT_ONCE, LOOK_EVERY, turn
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, Outcome, State, deadline_scope
from tests.faultproxy import FaultProxy
from tests.patience import ROOM
from tests.resilience.db.conftest import Calls, counted, frozen, pid, query
from tests.servers import PostgresServer

CROWD = 20


def never() -> bool:
    return False


@pytest.fixture
def all_taken() -> Iterator[ExitStack]:
    """All turns are taken by others, until the test closes this."""
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(turn("database", never))
        yield stack


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CROWD) as threads:
        yield threads


def request(wrapper: GuardedWrapper, work: Callable[[GuardedWrapper], Any], seconds: float = 2.0) -> Any:
    """Do the work of one request, in a thread that has no connection yet."""
    theirs = type(wrapper)(wrapper.settings_dict, wrapper.alias)
    try:
        with deadline_scope(seconds):
            return work(theirs)
    finally:
        theirs.close_if_unusable_or_obsolete()


def waits(begun: Future[Any]) -> bool:
    time.sleep(0.15)
    return not begun.done()


class TestTurns:
    def test_are_two_at_once_and_each_of_a_crowd_gets_its_connection(
        self,
        guarded: GuardedWrapper,
        proxy: FaultProxy,
        threads: ThreadPoolExecutor,
        calls: Calls,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        query(guarded, "SELECT 1")  # it has been found out what the address takes
        proxy.set("latency", delay=0.005)
        lock, now, most = threading.Lock(), 0, 0
        connect = DeadlineConnection.connect
        all_at_work = threading.Barrier(CROWD)

        def counting(*args: Any, **kwargs: Any) -> Any:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            try:
                return connect(*args, **kwargs)
            finally:
                with lock:
                    now -= 1

        def work(wrapper: GuardedWrapper) -> int:
            number = pid(wrapper)
            all_at_work.wait(10.0)
            return number

        monkeypatch.setattr(DeadlineConnection, "connect", counting)
        begun = [threads.submit(request, guarded, work, 10.0) for _ in range(CROWD)]
        assert len({each.result() for each in begun}) == CROWD
        assert most == AT_ONCE
        assert {outcome for _, outcome in calls} == {Outcome.SUCCESS}

    def test_go_to_those_who_wait_in_their_order_and_to_no_newcomer(
        self, threads: ThreadPoolExecutor
    ) -> None:
        order: list[str] = []

        def wait(name: str) -> None:
            with turn("database", never):
                order.append(name)

        with turn("database", never):
            with turn("database", never):
                begun = []
                for name in ("first", "second", "third"):
                    begun.append(threads.submit(wait, name))
                    time.sleep(LOOK_EVERY * 0.7)
            wait("newcomer")
            for each in begun:
                each.result(5.0)
        assert order == ["first", "second", "third", "newcomer"]

    def test_pass_on_when_a_wait_ends_with_an_error(
        self, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turns, "LOOK_EVERY", 60.0)

        def fail() -> bool:
            raise DatabaseDeadlineError("spent", before_call=True)

        def wait(look: Callable[[], bool]) -> None:
            with turn("database", look):
                pass

        with turn("database", never):
            with turn("database", never):
                fails = threads.submit(wait, fail)
                assert waits(fails)
                follows = threads.submit(wait, never)
                assert waits(follows)
            assert isinstance(fails.exception(5.0), DatabaseDeadlineError)
            follows.result(5.0)

    def test_are_left_at_once_for_a_connection_that_is_given_back(
        self,
        guarded: GuardedWrapper,
        all_taken: ExitStack,
        threads: ThreadPoolExecutor,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        all_taken.close()
        request(guarded, pid)
        given = idle.of("guarded")._pop()
        assert given is not None
        monkeypatch.setattr(turns, "LOOK_EVERY", 60.0)
        with turn("database", never), turn("database", never):
            begun = threads.submit(request, guarded, pid)
            assert waits(begun)
            idle.of("guarded").keep(given, most=5, max_age=60.0)
            assert begun.result(1.0 + ROOM) == given.info.backend_pid

    def test_are_waited_for_no_longer_than_the_budget(
        self, guarded: GuardedWrapper, all_taken: ExitStack, calls: Calls
    ) -> None:
        began = time.monotonic()
        with pytest.raises(DatabaseDeadlineError) as caught:
            request(guarded, pid, 0.3)
        assert caught.value.before_call
        assert 0.3 <= time.monotonic() - began <= 0.5 + ROOM
        assert counted(calls) == []

    def test_are_not_needed_once_another_request_gives_its_connection_back(
        self,
        guarded: GuardedWrapper,
        proxy: FaultProxy,
        all_taken: ExitStack,
        threads: ThreadPoolExecutor,
    ) -> None:
        begun = threads.submit(request, guarded, pid)
        assert waits(begun)
        all_taken.close()
        first = begun.result()
        with turn("database", never), turn("database", never):
            assert request(guarded, pid) == first
        made = proxy.connections
        given = idle.of("guarded")._pop()
        assert given is not None
        with turn("database", never), turn("database", never):
            begun = threads.submit(request, guarded, pid)
            assert waits(begun)
            idle.of("guarded").keep(given, most=5, max_age=60.0)
            assert begun.result() == first
        assert proxy.connections == made

    def test_end_for_all_who_wait_when_the_breaker_opens(
        self,
        guarded: GuardedWrapper,
        breaker: CircuitBreaker,
        all_taken: ExitStack,
        threads: ThreadPoolExecutor,
    ) -> None:
        begun = [threads.submit(request, guarded, pid) for _ in range(5)]
        assert waits(begun[0])
        breaker.isolate(who="test", why="test")
        for each in begun:
            with pytest.raises(DatabaseRefusedError):
                each.result(0.5 + ROOM)

    def test_make_no_line_before_a_frozen_server(
        self, guarded: GuardedWrapper, server: PostgresServer, threads: ThreadPoolExecutor
    ) -> None:
        """Two wait for the time of a connect, and two more; then the breaker is open, and nobody waits."""
        began = time.monotonic()
        with frozen(server):
            begun = [threads.submit(request, guarded, pid) for _ in range(CROWD)]
            refused = [type(each.exception()) for each in begun].count(DatabaseRefusedError)
        assert time.monotonic() - began <= 1.3 + ROOM
        assert registry.breaker("database").shown() is State.OPEN
        assert refused >= CROWD - 4

    def test_are_waited_for_by_a_probe_though_others_are_refused(
        self,
        guarded: GuardedWrapper,
        half_open: CircuitBreaker,
        all_taken: ExitStack,
        threads: ThreadPoolExecutor,
    ) -> None:
        begun = threads.submit(request, guarded, pid)
        assert waits(begun)
        all_taken.close()
        assert begun.result() > 0
        assert half_open.shown() is State.CLOSED

    def test_of_its_parent_keep_no_forked_child_waiting(self, all_taken: ExitStack) -> None:
        child = os.fork()
        if child == 0:
            looks: list[None] = []

            def look() -> bool:
                looks.append(None)
                return True

            with turn("database", look):
                os._exit(len(looks))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
