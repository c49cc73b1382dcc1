"""What processes count: the sums only rise."""

import os

import pytest

from resilience.primitives import HostStore
from tests.primitives.conftest import SMALL

from .conftest import Another


class TestCounters:
    def test_are_summed_over_processes_living_or_not(self, one: HostStore, two: HostStore) -> None:
        assert one.counters.add("responses", "live")
        assert two.counters.add("responses", "live", amount=4)
        assert two.counters.add("responses", "cached")
        two.close()
        assert one.counters.totals() == {("responses", "live"): 5, ("responses", "cached"): 1}

    def test_go_on_in_a_slot_that_is_used_again(self, one: HostStore, another: Another) -> None:
        one.counters.add("responses", "live", amount=3)
        one.close()
        successor = another()
        assert successor.slot() == 0
        successor.counters.add("responses", "live")
        assert successor.counters.totals() == {("responses", "live"): 4}

    def test_have_labels_without_the_sign_that_parts_them(self, one: HostStore) -> None:
        with pytest.raises(ValueError, match=r"must not hold a \|"):
            one.counters.add("a|b")

    def test_that_have_no_room_are_not_counted_and_it_is_said_once(
        self, one: HostStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        counted = [one.counters.add("responses", str(n)) for n in range(SMALL.counters + 3)]
        assert counted == [True] * SMALL.counters + [False] * 3
        assert not one.counters.add("responses", str(SMALL.counters))
        assert len(one.counters.totals()) == SMALL.counters
        assert caplog.text.count("responses are not all counted") == 1

    def test_that_are_new_wait_for_the_lock_and_known_ones_do_not(
        self, one: HostStore, busy: HostStore
    ) -> None:
        assert not one.counters.add("responses", "live")
        busy.lock.release()
        assert one.counters.add("responses", "live")
        busy.lock.take()
        assert one.counters.add("responses", "live")
        assert one.counters.totals() == {("responses", "live"): 2}

    def test_are_of_the_child_alone_after_a_fork(self, one: HostStore) -> None:
        one.counters.add("responses", "live")
        with one.counters._lock:
            pid = os.fork()
            if pid == 0:
                os._exit(0 if one.counters.add("responses", "live") else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert one.counters.totals() == {("responses", "live"): 2}
        assert one.words[one.layout.counts.of(0)] == 1
