"""How full the pools of all processes are."""

import pytest

from resilience.primitives import HostStore
from resilience.primitives.store import Gauge
from tests.primitives.conftest import SMALL

from .conftest import Another


class TestPools:
    def test_are_summed_over_living_processes_and_refusals_over_all(
        self, one: HostStore, two: HostStore
    ) -> None:
        assert one.pools.put("read", in_use=2, waiting=1, limit=5, rejected=3)
        assert two.pools.put("read", in_use=1, waiting=0, limit=5, rejected=4)
        assert two.pools.put("write", in_use=1, waiting=0, limit=2, rejected=0)
        assert one.pools.totals() == {
            "read": Gauge(in_use=3, waiting=1, limit=10, rejected=7),
            "write": Gauge(in_use=1, waiting=0, limit=2, rejected=0),
        }
        two.close()
        assert one.pools.totals() == {
            "read": Gauge(in_use=2, waiting=1, limit=5, rejected=7),
            "write": Gauge(),
        }

    def test_refusals_go_on_in_a_slot_that_is_used_again(self, one: HostStore, another: Another) -> None:
        one.pools.put("read", in_use=0, waiting=0, limit=5, rejected=3)
        one.close()
        successor = another()
        successor.pools.put("read", in_use=0, waiting=0, limit=5, rejected=1)
        successor.pools.put("read", in_use=0, waiting=0, limit=5, rejected=2)
        assert successor.pools.totals()["read"].rejected == 5

    def test_that_have_no_room_are_not_shown_and_it_is_said_once(
        self, one: HostStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        shown = [one.pools.put(str(n), in_use=0, waiting=0, limit=1, rejected=0) for n in range(6)]
        assert shown == [True] * SMALL.pools + [False] * 2
        assert caplog.text.count("bulkheads are not all shown") == 1
