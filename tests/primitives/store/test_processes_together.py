"""What one process did is what another one sees, counts on and builds on."""

import logging
import os
import stat
from pathlib import Path

import pytest

from resilience.primitives import CircuitBreaker, HostStore, LocalStore, ManualClock, State
from resilience.primitives.config import BreakerConfig
from resilience.primitives.store import Layout
from resilience.primitives.store.layout import SMALL_COPY
from resilience.primitives.store.row import BUCKETS
from resilience.primitives.store.versioned import Versioned

from .conftest import Another, breaker, said, server

THREE = BreakerConfig(failure_threshold=3, recovery_timeout=15.0, window=30.0, minimum_volume=5)


def fail() -> None:
    raise ConnectionError


def succeed() -> None:
    """Answer."""


class TestRun:
    """The rule's first half looks at failures in a row, whoever had them, whatever succeeded before."""

    @pytest.fixture
    def guarded(self, another: Another, clock: ManualClock) -> list[CircuitBreaker]:
        return [CircuitBreaker(name="database", config=THREE, store=another(), clock=clock) for _ in range(3)]

    def fails(self, one: CircuitBreaker) -> None:
        with pytest.raises(ConnectionError):
            one.call(fail)

    def test_of_three_processes_opens_though_each_knows_of_much_success(
        self, guarded: list[CircuitBreaker]
    ) -> None:
        # Each has asked the rule, which said no for long: noise among many successes.
        for one in guarded:
            for _ in range(4):
                for _ in range(100):
                    one.call(succeed)
                self.fails(one)
        assert guarded[0].shown() is State.CLOSED
        guarded[0].call(succeed)
        for one in guarded:
            assert one.shown() is State.CLOSED
            self.fails(one)
        assert guarded[0].shown() is State.OPEN

    def test_is_broken_by_a_success_of_any(self, guarded: list[CircuitBreaker]) -> None:
        for one in guarded:
            for _ in range(100):
                one.call(succeed)
        for one in (*guarded, *guarded):
            self.fails(one)
            guarded[2].call(succeed)
        assert guarded[0].shown() is State.CLOSED


class TestBucket:
    def test_that_is_full_of_failures_counts_no_further(self, clock: ManualClock) -> None:
        config = BreakerConfig(failure_threshold=1000, window=30.0, minimum_volume=10**9)
        one = CircuitBreaker(config=config, clock=clock)
        one.call(succeed)
        for number in range(2):
            clock.advance(3.0)  # One bucket of an even number, one of an odd one.
            one.call(succeed)
            window = one._host.window
            assert window is not None
            with pytest.raises(ConnectionError):
                one.call(fail)
            at = window._bucket + 1
            one._host.store.words[at] |= 0xFFFF << 16
            mark = one._host.store.words[at] >> 32
            with pytest.raises(ConnectionError):
                one.call(fail)
            assert one._host.store.words[at] >> 32 == mark, number
            assert (one._host.store.words[at] >> 16) & 0xFFFF == 0xFFFF
            assert at >= window._row + BUCKETS


class TestVersioned:
    def value(self, store: HostStore) -> "Versioned[int]":
        return Versioned(
            store,
            store.layout.lease.at,
            SMALL_COPY,
            0,
            encode=lambda value: value,
            decode=lambda value: value,
        )

    def test_is_read_while_another_one_holds_the_lock(self, another: Another) -> None:
        one, two = another(), another()
        reads = self.value(one)
        assert reads.read() == 0
        assert self.value(two).update(lambda _: 7) == 7
        assert two.lock.take() is not None
        assert reads.read() == 7

    def test_is_built_on_the_newest_even_where_an_older_one_is_named(self, another: Another) -> None:
        one, two = another(), another()
        mine, other = self.value(one), self.value(two)
        assert mine.update(lambda last: last + 1) == 1
        assert other.update(lambda last: last + 1) == 2
        one.words[one.layout.lease.at] = 1  # As one would name it that slept through both.
        assert mine.update(lambda last: last + 1) == 3
        assert other.read() == 3


class TestLastError:
    def test_of_200_bytes_is_kept_whole_and_a_longer_one_is_cut(self) -> None:
        store = LocalStore()
        for length in (200, 300):
            store.last_errors.put(0, 5.0, "x" * length)
            found = store.last_errors.get(0)
            assert found is not None
            assert found.what == "x" * 200

    def test_of_one_byte_is_one(self) -> None:
        store = LocalStore()
        store.last_errors.put(0, 5.0, "x")
        found = store.last_errors.get(0)
        assert found is not None
        assert (found.what, found.at) == ("x", 5.0)


class TestPools:
    def test_are_found_again_after_all_was_forgotten(self) -> None:
        store = LocalStore()
        assert store.pools.put("read", in_use=1, waiting=0, limit=5, rejected=0)
        store.pools.forget()
        assert store.pools.put("read", in_use=2, waiting=0, limit=5, rejected=0)
        assert store.pools.totals()["read"].in_use == 2

    def test_without_room_are_said(self, caplog: pytest.LogCaptureFixture) -> None:
        store = LocalStore(Layout(breakers=1, slots=1, pools=1))
        with caplog.at_level(logging.WARNING):
            shown = [store.pools.put(name, in_use=0, waiting=0, limit=1, rejected=0) for name in ("a", "b")]
        assert shown == [True, False]
        assert said(caplog) == ["bulkheads are not all shown: the store has no room, or is busy"]


class TestFile:
    def test_is_for_its_owner_alone(self, folder: Path) -> None:
        before = os.umask(0)
        try:
            store = server(folder)
        finally:
            os.umask(before)
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        store.close()


class TestSlots:
    def test_are_used_again_the_longest_ago_claimed_first(self, another: Another) -> None:
        """So that the counts of the dead stay in the window as long as may be."""
        zero, one = another(), another()
        assert (zero.slot(), one.slot()) == (0, 1)
        zero.close()
        zero = another()
        assert zero.slot() == 0
        zero.close()
        one.close()
        assert another().slot() == 1


class TestMoving:
    def test_to_another_store_is_said(
        self, folder: Path, caplog: pytest.LogCaptureFixture, clock: ManualClock
    ) -> None:
        store = server(folder)
        store.path.unlink()
        server(folder).close()
        with caplog.at_level(logging.WARNING):
            store.refresh()
        assert said(caplog) == [
            f"the store at {store.path} was replaced; this process has moved to the new one"
        ]
        store.close()

    def test_away_without_another_is_said_with_the_reason(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = server(folder)
        elsewhere = folder / "elsewhere"
        store.path.rename(elsewhere)
        store.path.symlink_to(elsewhere)
        with caplog.at_level(logging.WARNING):
            store.refresh()
        (message,) = said(caplog)
        assert message.startswith("the store was taken away, and its memory is used on: ")
        assert "symbolic link" in message
        store.close()


class TestLocal:
    def test_has_one_slot(self) -> None:
        assert LocalStore().used_slots == 1
        assert LocalStore(Layout(breakers=2, slots=1)).used_slots == 1

    def test_counts_alone(self, clock: ManualClock) -> None:
        store = LocalStore()
        one = breaker(store, clock)
        one.call(succeed)
        assert one.snapshot().successes == 1
