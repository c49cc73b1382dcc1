"""How often something may happen, over all processes of a host."""

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resilience.primitives import HostStore, Limits, LocalStore, ManualClock, Store
from resilience.primitives.store import Layout

from .conftest import SMALL


@pytest.fixture(params=["process", "host"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "host":
        found: Store = request.getfixturevalue("host_store")
        return found
    return LocalStore(Layout(breakers=1, slots=1, limits=64))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def limits(store: Store, clock: ManualClock) -> Limits:
    return Limits(store, clock=clock)


def allowed(limits: Limits, times: int, key: str = "anna", limit: int = 5, per: float = 60.0) -> list[bool]:
    return [limits.hit(key, limit, per).allowed for _ in range(times)]


class TestLimits:
    def test_allow_so_many_and_refuse_the_next(self, limits: Limits) -> None:
        assert allowed(limits, 7) == [True] * 5 + [False] * 2

    def test_say_when_to_come_again_and_keep_their_word(self, limits: Limits, clock: ManualClock) -> None:
        allowed(limits, 5)
        clock.advance(10)
        refused = limits.hit("anna", 5, 60.0)
        assert not refused.allowed
        assert refused.counted
        clock.advance(refused.retry_after - 0.01)
        assert not limits.hit("anna", 5, 60.0).allowed
        clock.advance(0.02)
        assert limits.hit("anna", 5, 60.0).allowed

    def test_keep_their_word_in_the_next_window_too(self, limits: Limits, clock: ManualClock) -> None:
        allowed(limits, 5)
        clock.advance(61)
        refused = limits.hit("anna", 5, 60.0)
        assert refused.retry_after == pytest.approx(11.0)
        clock.advance(refused.retry_after + 0.01)
        assert limits.hit("anna", 5, 60.0).allowed

    def test_never_allow_twice_the_limit_where_windows_meet(self, limits: Limits, clock: ManualClock) -> None:
        allowed(limits, 1)
        clock.advance(59)
        assert sum(allowed(limits, 5)) == 4
        clock.advance(2)
        assert sum(allowed(limits, 5)) == 0

    def test_forget_after_two_windows(self, limits: Limits, clock: ManualClock) -> None:
        allowed(limits, 5)
        clock.advance(120)
        assert allowed(limits, 6) == [True] * 5 + [False]

    def test_do_not_count_what_they_refused(self, limits: Limits, clock: ManualClock) -> None:
        allowed(limits, 500)
        clock.advance(120)
        assert limits.hit("anna", 5, 60.0).allowed

    def test_are_apart_for_each_key_and_each_limit(self, limits: Limits) -> None:
        allowed(limits, 5)
        assert limits.hit("berta", 5, 60.0).allowed
        assert limits.hit("anna", 50, 60.0).allowed
        assert not limits.hit("anna", 5, 60.0).allowed

    def test_of_none_allow_none(self, limits: Limits) -> None:
        refused = limits.hit("anna", 0, 60.0)
        assert (refused.allowed, refused.retry_after) == (False, 60.0)

    def test_make_room_by_forgetting_the_oldest(self, limits: Limits, clock: ManualClock) -> None:
        allowed(limits, 5)
        for number in range(2_000):
            clock.advance(0.001)
            limits.hit(f"stranger {number}", 5, 60.0)
        assert limits.hit("anna", 5, 60.0).allowed

    def test_hold_a_key_while_there_is_room(self, limits: Limits, clock: ManualClock) -> None:
        allowed(limits, 5)
        clock.advance(1)
        for number in range(6):
            limits.hit(f"stranger {number}", 5, 60.0)
        assert not limits.hit("anna", 5, 60.0).allowed


class TestAcrossProcesses:
    def test_are_counted_together(self, host_store: HostStore, clock: ManualClock) -> None:
        other = HostStore(host_store.path.parent, "test", role="server", create=False, layout=SMALL)
        allowed(Limits(host_store, clock=clock), 3)
        assert allowed(Limits(other, clock=clock), 3) == [True, True, False]
        other.close()

    def test_let_through_and_say_so_when_they_cannot_count(
        self, host_store: HostStore, clock: ManualClock, held_lock: Path
    ) -> None:
        limits = Limits(host_store, clock=clock)
        decision = limits.hit("anna", 0, 60.0)
        assert (decision.allowed, decision.counted) == (True, False)

    def test_keep_no_key_in_clear(self, host_store: HostStore, clock: ManualClock) -> None:
        Limits(host_store, clock=clock).hit("anna@example.org", 5, 60.0)
        assert b"anna" not in host_store.path.read_bytes()

    def test_place_keys_differently_in_each_store(self, clock: ManualClock) -> None:
        stores = [LocalStore(SMALL) for _ in range(8)]
        places = set()
        for store in stores:
            Limits(store, clock=clock).hit("anna", 5, 60.0)
            region = store.layout.limit_entries
            places.add(next(n for n in range(region.room) if store.words[region.of(n)]))
        assert len(places) > 1


@pytest.fixture
def held_lock(host_store: HostStore) -> Iterator[Path]:
    """The lock of limits, held by somebody who does not let go."""
    path = host_store.path.with_suffix(".limits-lock")
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    yield path
    os.close(file)


def test_names_of_keys_do_not_collide() -> None:
    store = LocalStore(SMALL)
    limits = Limits(store)
    assert len({limits._hashed("".join(key)) for key in itertools.product("abcdef", repeat=5)}) == 6**5


class Dying:
    """Memory whose process is killed at its n-th write."""

    class KilledError(Exception):
        """Nothing comes after it."""

    def __init__(self, memory: "memoryview[Any]", lives: list[int]) -> None:
        self._memory = memory
        self._lives = lives

    def __getitem__(self, at: int) -> Any:
        return self._memory[at]

    def __setitem__(self, at: int, value: float) -> None:
        if not self._lives:
            raise self.KilledError
        self._lives.pop()
        self._memory[at] = value


@pytest.mark.parametrize("writes", range(6))
class TestADeathOnTheWay:
    def dies(
        self, store: Store, clock: ManualClock, key: str, writes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lives = [0] * writes
        with monkeypatch.context() as patch:
            patch.setattr(store, "words", Dying(store.words, lives))
            patch.setattr(store, "times", Dying(store.times, lives))
            with contextlib.suppress(Dying.KilledError):
                Limits(store, clock=clock).hit(key, 5, 60.0)

    def test_leaves_nobody_the_hits_of_another(
        self, clock: ManualClock, writes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = LocalStore(Layout(breakers=1, slots=1, limits=8))
        limits = Limits(store, clock=clock)
        for number in range(8):
            allowed(limits, 5, key=str(number))
        self.dies(store, clock, "new", writes, monkeypatch)
        # It may have counted itself.
        assert allowed(limits, 4, key="new") == [True] * 4

    def test_forgets_no_hit(self, clock: ManualClock, writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
        store = LocalStore(Layout(breakers=1, slots=1, limits=8))
        limits = Limits(store, clock=clock)
        allowed(limits, 5)
        clock.advance(61.0)
        self.dies(store, clock, "anna", writes, monkeypatch)
        assert not limits.hit("anna", 5, 60.0).allowed
