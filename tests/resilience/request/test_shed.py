"""A request that a pool sends away is counted, and shown on the whole host for a while."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience import registry
from resilience.primitives import BulkheadFullError, ManualClock, RejectedError
from resilience.request import shed
from resilience.testing import host_store, server_role

FULL = BulkheadFullError("read", retry_after=1.0, reason="full")
OPEN = RejectedError("database", retry_after=1.0, reason="open")


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    clock = ManualClock()
    with server_role(clock=clock):
        yield clock


class TestNote:
    def test_counts_each_by_pool_and_reason(self, clock: ManualClock) -> None:
        for error in (FULL, FULL, OPEN):
            shed.note("read", error, read=True)
        totals = registry.store().counters.totals()
        assert totals["shed", "read", "busy"] == 2
        assert totals["shed", "read", "unavailable"] == 1


class TestReadsLately:
    def test_are_known_for_ten_seconds(self, clock: ManualClock) -> None:
        shed.note("read", FULL, read=True)
        clock.advance(9.9)
        assert shed.reads_lately() == ["read"]
        clock.advance(0.2)
        assert shed.reads_lately() == []

    def test_are_no_writes_and_none_that_a_breaker_ended(self, clock: ManualClock) -> None:
        shed.note("write", FULL, read=False)
        shed.note("read", OPEN, read=True)
        assert shed.reads_lately() == []


class TestInLastMinute:
    def test_counts_reads_and_writes_of_the_whole_host(self, tmp_path: Path) -> None:
        clock = ManualClock()
        with host_store(tmp_path) as ours, host_store(tmp_path) as others:
            for store, pool in ((ours, "read"), (others, "read"), (others, "write")):
                with server_role(store, clock=clock):
                    for _ in range(3):
                        shed.note(pool, FULL, read=pool == "read")
            with server_role(ours, clock=clock):
                assert shed.in_last_minute() == {"read": 6, "write": 3}
                clock.advance(30.0)
                shed.note("read", FULL, read=True)
                clock.advance(40.0)
                assert shed.in_last_minute() == {"read": 1}
                clock.advance(30.0)
                assert shed.in_last_minute() == {}
