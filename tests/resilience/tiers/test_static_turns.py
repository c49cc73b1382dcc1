"""Reads that are answered from the static copy take turns."""

import os
from threading import Event, Thread

from resilience.primitives import deadline_scope
from resilience.tiers.static_copy import turns
from resilience.tiers.static_copy.turns import turn


def test_one_waits_for_the_end_of_another() -> None:
    entered = Event()

    def enter() -> None:
        with turn():
            entered.set()

    with turn():
        reader = Thread(target=enter)
        reader.start()
        assert not entered.wait(0.05)
    assert entered.wait(30)
    reader.join(30)


def test_one_goes_on_when_its_time_is_over() -> None:
    with turn(), deadline_scope(0.01), turn():
        assert turns._turns._value == 0
    assert turns._turns._value == turns.AT_ONCE


def test_a_forked_child_does_not_wait_for_the_threads_of_its_parent() -> None:
    with turn():
        pid = os.fork()
        if pid == 0:
            os._exit(turns._turns._value != turns.AT_ONCE)
        assert os.waitpid(pid, 0)[1] == 0
