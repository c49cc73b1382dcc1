"""Guards in shadow refuse nothing, cut nothing, and count what they would have done."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

import pytest

from resilience.primitives import (
    BreakerConfig,
    BreakerOpenError,
    BulkheadConfig,
    CircuitBreaker,
    DeadlineExceededError,
    Guard,
    HostStore,
    ManualClock,
    Outcome,
    ShadowBreaker,
    ShadowBulkhead,
    State,
    Threads,
    Transition,
    as_one,
    current_deadline,
    probing,
)
from resilience.primitives.shadow import CALLS, LATE, WAITED, measured, note_late

from .conftest import SMALL, Dependency

CONFIG = BreakerConfig(
    failure_threshold=3, recovery_timeout=15.0, window=30.0, minimum_volume=5, slow_after=1.0
)


class Scene:
    def __init__(self, store: HostStore) -> None:
        self.clock = ManualClock()
        self.store = store
        self.dependency = Dependency(self.clock)
        self.heard: list[Transition] = []
        self.breaker = ShadowBreaker(
            name="database", config=CONFIG, store=store, clock=self.clock, counted_in=store
        )
        self.breaker.on_transition(self.heard.append)

    def call(self, error: BaseException | None = None, takes: float = 0.0) -> None:
        self.dependency.error, self.dependency.takes = error, takes
        if error is None:
            self.breaker.call(self.dependency)
        else:
            with pytest.raises(type(error)):
                self.breaker.call(self.dependency)

    def open(self) -> None:
        for _ in range(3):
            self.call(ConnectionError())
        assert self.breaker.snapshot().would_be is State.OPEN

    def counted(self, *labels: str) -> int:
        return self.store.counters.totals().get(labels, 0)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    store = HostStore(tmp_path, "test", role="server", create=True, layout=SMALL)
    yield Scene(store)
    store.close()


class TestABreaker:
    def test_makes_each_call_that_it_would_refuse(self, scene: Scene) -> None:
        scene.open()
        before = scene.dependency.calls
        scene.call()
        with scene.breaker:
            scene.dependency()
        assert scene.dependency.calls == before + 2
        assert not scene.breaker.refuses()
        scene.breaker.raise_if_refusing()

    def test_shows_itself_closed_and_what_it_would_be_beside(self, scene: Scene) -> None:
        scene.open()
        found = scene.breaker.snapshot()
        assert (found.state, found.would_be, found.retry_after) == (State.CLOSED, State.OPEN, 0.0)
        assert (scene.breaker.shown(), scene.breaker.state) == (State.CLOSED, "closed")
        assert (found.rejected, found.failures) == (0, 3)

    def test_counts_what_it_would_refuse_by_how_it_ended(self, scene: Scene) -> None:
        scene.open()
        scene.call(ConnectionError(), takes=2.0)
        scene.call(takes=3.0)
        scene.call()
        scene.call()
        assert {
            outcome: scene.counted(CALLS, "database", outcome) for outcome in ("failure", "slow", "success")
        } == {"failure": 1, "slow": 1, "success": 2}
        assert scene.counted(WAITED, "database", "refused") == 5000

    def test_counts_nothing_while_it_would_be_closed(self, scene: Scene) -> None:
        scene.call()
        scene.call(ConnectionError())
        assert [labels for labels in scene.store.counters.totals() if labels[0] == CALLS] == []

    def test_is_not_kept_open_by_what_it_would_have_refused(self, scene: Scene) -> None:
        scene.open()
        for _ in range(3):
            scene.call(ConnectionError())
        scene.clock.advance(15.0)
        scene.call()  # the probe that it would have been
        assert scene.breaker.snapshot().would_be is State.CLOSED
        assert scene.counted(CALLS, "database", "failure") == 3

    def test_tells_the_steward_what_it_would_do(self, scene: Scene) -> None:
        scene.open()
        with probing():
            assert scene.breaker.shown() is State.OPEN
            assert scene.breaker.refuses()
            assert (scene.breaker.snapshot().state, scene.breaker.snapshot().retry_after) == (
                State.OPEN,
                15.0,
            )
            with pytest.raises(BreakerOpenError):
                scene.breaker.admit()
        scene.clock.advance(15.0)
        with probing():
            scene.breaker.settle(scene.breaker.admit(), Outcome.SUCCESS)
        assert scene.breaker.snapshot().would_be is State.CLOSED

    def test_changes_in_shadow_and_in_no_count_of_changes(self, scene: Scene) -> None:
        scene.open()
        assert [change.shadow for change in scene.heard] == [True]
        assert scene.counted("shadow_transitions", "database", "CLOSED", "OPEN") == 1
        assert [labels for labels in scene.store.counters.totals() if labels[0] == "transitions"] == []

    def test_does_not_even_heed_an_order_to_isolate(self, scene: Scene) -> None:
        assert scene.breaker.isolate(who="ann", why="before it was in shadow")
        scene.call()
        found = scene.breaker.snapshot()
        assert (found.state, found.isolated, found.would_be) == (State.CLOSED, False, State.OPEN)


class TestABulkhead:
    def places(self, running: int, waiting: int, full: list[str]) -> ShadowBulkhead:
        config = BulkheadConfig(running=running, waiting=waiting, max_wait=1.0)
        return ShadowBulkhead("read", config, clock=ManualClock(), full=lambda: full.append("full"))

    def test_has_a_place_for_everybody_and_counts_who_would_have_none(self) -> None:
        full: list[str] = []
        pool = self.places(1, 2, full)
        with ExitStack() as stack:
            waits = [stack.enter_context(pool.enter()) for _ in range(5)]
            assert (pool.in_use, pool.rejected, waits) == (5, 0, [False] * 5)
        assert (len(full), pool.in_use) == (2, 0)

    def test_counts_who_would_have_waited_too_long(self) -> None:
        full: list[str] = []
        pool = self.places(1, 9, full)
        for _ in range(20):  # from then on it is known how long a place is held
            with pool.enter():
                pool._clock.advance(0.6)  # type: ignore[attr-defined]  # a clock moved by hand
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(pool.enter())
        assert len(full) == 1  # the first runs, the next waits for 0.6 s, the last would wait for 1.2 s

    def test_counts_who_would_take_the_last_thread(self) -> None:
        full: list[str] = []
        config = BulkheadConfig(running=9, waiting=9, max_wait=1.0)
        pool = ShadowBulkhead("read", config, threads=Threads(2), full=lambda: full.append("full"))

        def enter() -> None:
            with pool.enter():
                pass

        with pool.enter():
            other = Thread(target=enter)
            other.start()
            other.join()
        assert full == ["full"]
        enter()
        assert full == ["full"]


class TestADeadline:
    def test_is_measured_and_does_not_cut(self) -> None:
        clock, late = ManualClock(), list[float]()
        with measured(2.0, late.append, clock):
            assert current_deadline() is None
            clock.advance(2.0)
        assert late == []
        with measured(2.0, late.append, clock):
            clock.advance(3.5)
        assert late == [1.5]

    def test_of_a_guard_tells_how_much_later_a_call_ended(self) -> None:
        clock, late = ManualClock(), list[float]()
        guard = Guard("partner", limit=1.0, clock=clock, late=late.append)

        def slow() -> object:
            clock.advance(1.25)
            return current_deadline()

        assert guard.call(slow) is None
        assert late == [0.25]

    @pytest.mark.parametrize("fails", [False, True])
    def test_opens_the_breaker_after_as_many_calls_as_a_cut_would(self, scene: Scene, fails: bool) -> None:
        guarded = CircuitBreaker(name="guarded", config=CONFIG, clock=scene.clock)
        late: list[float] = []

        def cut() -> None:
            scene.clock.advance(1.5)
            raise DeadlineExceededError

        def slow() -> None:
            scene.clock.advance(1.8)
            if fails:
                raise LookupError  # an answer, had it come in time

        def calls_until_open(breaker: CircuitBreaker, guard: Guard, call: Callable[[], None]) -> int:
            for number in range(1, 9):
                with suppress(DeadlineExceededError, LookupError):
                    guard.call(call)
                found = breaker.snapshot()
                if State.OPEN in (found.state, found.would_be):
                    return number
            return 0

        numbers = (
            calls_until_open(guarded, Guard("partner", breaker=guarded, limit=1.5, clock=scene.clock), cut),
            calls_until_open(
                scene.breaker,
                Guard("partner", breaker=scene.breaker, limit=1.5, clock=scene.clock, late=late.append),
                slow,
            ),
        )
        assert numbers == (3, 3)
        assert late == pytest.approx([0.3] * 3)


class TestARequest:
    def test_counts_its_first_cut_alone_unless_it_goes_on_after_it(self, scene: Scene) -> None:
        with as_one(scene.store):
            note_late(scene.store, "cache", 0.5, ends=False)
            note_late(scene.store, "database", 1.5)
            note_late(scene.store, "database", 2.5)
        assert (scene.counted(LATE, "cache"), scene.counted(LATE, "database")) == (1, 1)
        assert scene.counted(WAITED, "database", "cut") == 1500

    def test_that_would_have_been_refused_counts_once_by_its_worst_call(self, scene: Scene) -> None:
        scene.open()
        with as_one(scene.store):
            scene.call(takes=0.5)
            scene.call(ConnectionError(), takes=2.0)
            scene.call()
            assert scene.counted(CALLS, "database", "failure") == 0
        assert [count for labels, count in scene.store.counters.totals().items() if labels[0] == CALLS] == [1]
        assert scene.counted(CALLS, "database", "failure") == 1
        assert scene.counted(WAITED, "database", "refused") == 2500

    def test_that_would_have_been_cut_before_is_not_refused_any_more(self, scene: Scene) -> None:
        scene.open()
        with as_one(scene.store):
            note_late(scene.store, "database", 1.5)
            scene.call()
        assert [labels for labels in scene.store.counters.totals() if labels[0] == CALLS] == []
        assert scene.counted(LATE, "database") == 1
        assert scene.counted(WAITED, "database", "cut") == 1500
