"""An inquiry about a silent connection disturbs neither those who connect nor those who are idle."""

from __future__ import annotations

import time
from typing import Any

import pytest

from resilience import registry
from resilience.db import idle
from resilience.db.connection import ConnectCutError, DeadlineConnection
from resilience.db.turns import AT_ONCE, turn, turn_at_once
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import current_deadline, deadline_scope
from resilience.steward import watches
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import Calls, counted, pid, query
from tests.resilience.db.test_idle import two_at_once


def never() -> bool:
    return False


def test_makes_no_connection_while_others_have_all_turns(
    guarded: GuardedWrapper, proxy: FaultProxy, calls: Calls
) -> None:
    pid(guarded)
    before = proxy.connections
    with turn("database", never), turn("database", never), deadline_scope(2):
        query(guarded, "SELECT pg_sleep(0.7)")
    assert proxy.connections == before


def test_asks_once_a_turn_is_free(guarded: GuardedWrapper, proxy: FaultProxy) -> None:
    pid(guarded)
    before = proxy.connections
    with deadline_scope(2):
        query(guarded, "SELECT pg_sleep(0.7)")
    assert proxy.connections == before + 1


def test_drops_no_idle_connection_when_its_connect_times_out_but_has_the_steward_ping(
    guarded: GuardedWrapper, monkeypatch: pytest.MonkeyPatch, calls: Calls
) -> None:
    tried = []

    def in_vain(*args: Any, **kwargs: Any) -> Any:
        tried.append(deadline := current_deadline())
        assert deadline is not None
        time.sleep(deadline.remaining())
        raise ConnectCutError("connection timeout expired")

    two_at_once(guarded)
    pid(guarded)  # takes one of the two
    (watch,) = (each for each in watches() if each.name == "watch-database")
    silent = registry.store().silences.latest("database")
    calls.clear()
    monkeypatch.setattr(DeadlineConnection, "connect", in_vain)
    with deadline_scope(1.9):
        query(guarded, "SELECT pg_sleep(0.9)")
    assert tried
    assert len(counted(calls)) == 1
    assert registry.store().silences.latest("database") == silent
    assert len(idle.of("guarded")) == 1
    assert watch._suspected()


def test_a_turn_at_once_is_had_only_if_nobody_connects() -> None:
    assert AT_ONCE == 2
    with turn("other", never), turn_at_once("other") as free:
        assert free
        with turn_at_once("other") as another:
            assert not another
    with turn_at_once("other") as free:
        assert free
