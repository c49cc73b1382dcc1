"""Names that no living process uses are given back, so that a host never runs out of them.

What uses names up: another address of a database or a cache (blue and green, tests, a restored server) is
another breaker; bulkheads and counters of settings that came and went. What must not vanish: the name of a
living process, an order, a state while its server restarts. A process may die, or come between, at each step.
"""

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest

from resilience.primitives import BreakerConfig, CircuitBreaker, HostStore, ManualClock, State
from resilience.primitives.store.names import Names
from resilience.primitives.store.users import BreakerUsers

from .conftest import Another

_later = itertools.count(10**9, 100)
ONE_FAILURE = BreakerConfig(failure_threshold=1, recovery_timeout=1000)


def of(store: HostStore, address: str, clock: ManualClock | None = None) -> CircuitBreaker:
    """Make the breaker of one address, and use it."""
    own: dict[str, Any] = {} if clock is None else {"clock": clock}
    made = CircuitBreaker(name="database", config=ONE_FAILURE, store=store, key=f"database@{address}", **own)
    made.call(lambda: None)
    return made


def fail(breaker: CircuitBreaker) -> None:
    def refused() -> None:
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError):
        breaker.call(refused)


def lived(another: Another, *addresses: str) -> None:
    """Let processes use breakers of these addresses, one each, one after the other, and end."""
    for address in addresses:
        process = another()
        of(process, address, ManualClock(next(_later)))
        process.close()


def names(store: HostStore) -> set[str]:
    return {name.removeprefix("database@") for name in store.breaker_names.all()}


def in_child(work: Callable[[], object]) -> None:
    """Do `work` in a forked child, which dies in the middle of it."""
    if (pid := os.fork()) == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 9, "it was to die on its way"


class TestBreaker:
    def test_of_each_of_forty_addresses_has_a_place(self, another: Another) -> None:
        for number in range(40):
            process = another()
            assert of(process, f"10.0.0.{number}").shared, number
            process.close()

    def test_that_a_living_process_uses_keeps_its_place(self, another: Another) -> None:
        living = another()
        used = [of(living, address) for address in "abcd"]
        fail(used[0])
        late = of(another(), "e")
        assert not late.snapshot().shared
        assert [breaker.snapshot().shared for breaker in used] == [True] * 4
        assert used[0].shown() is State.OPEN

    def test_gets_a_place_as_soon_as_there_is_one(
        self, another: Another, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("resilience.primitives.store.names._PAUSE", 0.0)
        living = another()
        for address in "abcd":
            of(living, address)
        late = of(another(), "e", clock)
        living.close()
        clock.advance(2.0)
        late.call(lambda: None)
        assert late.snapshot().shared

    def test_is_not_looked_for_at_each_call_while_there_is_none(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        living, late = another(), another()
        for address in "abcd":
            of(living, address)
        assert late.breaker_names.index("database@e") is None
        monkeypatch.setattr(late.lock, "take", lambda *_: pytest.fail("it asks for the lock"))
        assert late.breaker_names.index("database@e") is None

    def test_that_was_used_last_is_given_back_last(self, another: Another) -> None:
        clocks = {
            address: ManualClock(start) for address, start in zip("abcd", (300, 100, 400, 200), strict=True)
        }
        for address, clock in clocks.items():
            process = another()
            of(process, address, clock)
            process.close()
        living = another()
        of(living, "e")
        assert names(living) == {"a", "c", "d", "e"}
        of(living, "f")
        assert names(living) == {"a", "c", "e", "f"}

    def test_with_an_order_is_kept_though_nobody_runs_that_it_is_for(self, another: Another) -> None:
        """An order outlives a restart, and the servers of a host may all restart at once."""
        process = another()
        assert of(process, "a").isolate(who="ada", why="moved")
        process.close()
        lived(another, "b", "c", "d", "e", "f")
        again = another()
        assert of_order(again, "a") == "ada"

    def test_whose_order_has_ended_is_given_back(self, another: Another) -> None:
        process = another()
        breaker = of(process, "a")
        assert breaker.isolate(who="ada", why="moved")
        assert breaker.auto(who="ada", why="done")
        process.close()
        lived(another, "b", "c", "d", "e")
        assert "a" not in names(another())

    def test_leaves_nothing_to_the_next_one(self, another: Another) -> None:
        process = another()
        old = of(process, "a")
        fail(old)
        assert old.shown() is State.OPEN
        process.close()
        lived(another, "b", "c", "d")
        living = another()
        fresh = of(living, "e").snapshot()
        assert "a" not in names(living)
        assert (fresh.state, fresh.failures, fresh.successes) == (State.CLOSED, 0, 1)
        assert (fresh.last_error, fresh.rejected, fresh.openings) == (None, 0, 0)

    def test_that_is_damaged_is_given_back_too(self, another: Another) -> None:
        lived(another, "a", "b", "c", "d")
        living = another()
        living.words[living.layout.breaker_names.of(1)] = -1
        lived(another, "e", "f", "g", "h")
        assert names(living) == {"e", "f", "g", "h"}


def of_order(store: HostStore, address: str) -> str | None:
    """Return who gave the order that is in force for an address."""
    made = CircuitBreaker(name="database", store=store, key=f"database@{address}")
    override = made.snapshot().override
    return None if override is None else override.who


class TestCommand:
    """A command counts nowhere, so its name may go while it looks."""

    def test_steers_no_other_breaker_that_has_its_place_now(self, another: Another) -> None:
        lived(another, "a", "b", "c", "d")
        looking = another()
        looking.role = "command"
        old = CircuitBreaker(name="database", store=looking, key="database@a")
        assert old.snapshot().shared
        living = another()
        new = [of(living, address) for address in "efgh"]
        assert not names(living) & set("abcd")
        old.isolate(who="ada", why="the old one")
        assert [breaker.snapshot().override for breaker in new] == [None] * 4
        assert not old.snapshot().shared

    def test_that_finds_a_name_just_as_it_goes_sees_no_other(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looking = another()
        looking.role = "command"
        monkeypatch.setattr(Names, "holds", lambda *_, **__: False)
        seen = CircuitBreaker(name="database", store=looking, key="database@a").snapshot()
        assert not seen.shared

    def test_does_not_reach_another_one_that_came_while_it_waited_for_the_lock(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lived(another, "a", "b", "c", "d")
        looking, living = another(), another()
        looking.role = "command"
        old = CircuitBreaker(name="database", store=looking, key="database@a")
        assert old.snapshot().shared
        usual = looking.lock.take
        new: list[CircuitBreaker] = []

        def late(*arguments: float) -> float | None:
            new[:] = new or [of(living, address) for address in "efgh"]
            return usual(*arguments)

        monkeypatch.setattr(looking.lock, "take", late)
        assert not old.isolate(who="ada", why="the old one")
        assert [breaker.snapshot().override for breaker in new] == [None] * 4


class TestRaces:
    def test_who_has_said_so_before_the_second_look_keeps_the_name(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lived(another, "a", "b", "c", "d")
        comes_back, living = another(), another()
        usual = BreakerUsers.any
        back: list[CircuitBreaker] = []

        def looked(self: BreakerUsers, place: int) -> bool:
            found = usual(self, place)
            # After the first look at all four, which found nobody, and as the second one begins.
            if self._store is living and place == 3 and not back:
                back.append(of(comes_back, "a"))
            return found

        monkeypatch.setattr(BreakerUsers, "any", looked)
        of(living, "e")
        assert "a" in names(living)
        assert back[0].snapshot().shared

    def test_who_says_so_after_the_second_look_finds_out(
        self, another: Another, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lived(another, "a", "b", "c", "d")
        comes_back, living = another(), another()
        usual = Names.index

        def looked_up(self: Names, name: str) -> int | None:
            place = usual(self, name)
            if self._store is comes_back and not names(living) & set("efgh"):
                for address in "efgh":
                    of(living, address)
            return place

        monkeypatch.setattr(Names, "index", looked_up)
        late = of(comes_back, "a", clock)
        assert not late.snapshot().shared
        living.close()
        clock.advance(2.0)
        late.call(lambda: None)
        assert late.snapshot().shared
        # Nor does it keep the place that it had taken.
        lived(another, "i", "j", "k", "l")
        assert names(another()) == {"a", "j", "k", "l"}

    def test_a_name_that_was_taken_from_its_user_all_the_same_is_looked_up_again(
        self, another: Another, clock: ManualClock
    ) -> None:
        """As by a process that was stopped in the middle, after its lock was replaced."""
        living = another()
        breaker = of(living, "a", clock)
        living.words[living.layout.breaker_names.of(1)] = 0
        clock.advance(2.0)
        breaker.call(lambda: None)
        assert "a" in names(living)
        assert breaker.snapshot().shared
        assert another().breaker_names.all() == ["", "database@a"]

    @pytest.mark.parametrize("lost_at", [2, 3, 4, 5, 6])
    def test_a_lock_that_is_lost_on_the_way_gives_no_place(
        self, another: Another, monkeypatch: pytest.MonkeyPatch, lost_at: int
    ) -> None:
        lived(another, "a", "b", "c", "d")
        living = another()
        answers = iter([True] * (lost_at - 1))
        monkeypatch.setattr(living.lock, "valid", lambda: next(answers, False))
        assert living.breaker_names.index("database@e") is None
        # Others may have given it another place meanwhile.
        assert "e" not in names(another())

    @pytest.mark.parametrize("step", ["marked", "cleared", "written"])
    def test_a_death_on_the_way_leaves_a_list_that_works(
        self, another: Another, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lived(another, "a", "b", "c", "d")
        dying = another()

        def dies() -> None:
            usual_any, usual_clear, usual_valid = BreakerUsers.any, BreakerUsers.clear, dying.lock.valid
            marked = []

            def any_(self: BreakerUsers, place: int) -> bool:
                if "" in dying.breaker_names.all() and step == "marked":
                    os._exit(9)
                return usual_any(self, place)

            def clear(self: BreakerUsers, place: int, taken: float) -> None:
                usual_clear(self, place, taken)
                marked.append(place)
                if step == "cleared":
                    os._exit(9)

            def valid() -> bool:
                if marked and "database@e" in dying.breaker_names.all():
                    os._exit(9)
                return usual_valid()

            BreakerUsers.any, BreakerUsers.clear = any_, clear  # type: ignore[method-assign]
            dying.lock.valid = valid  # type: ignore[method-assign]
            of(dying, "e")

        in_child(dies)
        living = another()
        assert [of(living, address).snapshot().shared for address in "wxyz"] == [True] * 4
        assert names(living) == set("wxyz")

    def test_a_name_left_marked_is_found_again_with_what_it_held(self, another: Another) -> None:
        process = another()
        fail(of(process, "a"))
        process.close()
        lived(another, "b", "c", "d")
        living, busy = another(), another()
        living.words[living.layout.breaker_names.of(1)] |= 1 << 62
        assert busy.lock.take() is not None
        assert "a" not in names(living)
        busy.lock.release()
        again = CircuitBreaker(name="database", config=ONE_FAILURE, store=living, key="database@a")
        assert again.shown() is State.OPEN
        assert names(living) == set("abcd")

    def test_a_name_left_marked_is_shown_to_all_again_by_the_next_look(self, another: Another) -> None:
        """Its user counts on, and may never need the lock for a new name."""
        living = another()
        assert living.counters.add("responses", "live")
        living.words[living.layout.counter_names.of(1)] |= 1 << 62
        assert another().counters.totals() == {("responses", "live"): 1}
