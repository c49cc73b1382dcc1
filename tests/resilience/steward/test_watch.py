"""What the steward does for one dependency, on a clock moved by hand."""

import itertools
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from resilience.primitives import (
    BreakerConfig,
    BreakerOpenError,
    CircuitBreaker,
    ManualClock,
    Outcome,
    OwnTroubleError,
    State,
    Store,
    current_deadline,
)
from resilience.steward.watch import PING_EVERY, Watch
from resilience.testing import host_store
from tests.starving import no_threads

CONFIG = BreakerConfig(failure_threshold=3, recovery_timeout=15.0, window=30.0, minimum_volume=5, probed=True)
FULL = psycopg.OperationalError("FATAL:  sorry, too many clients already")


class Dependency:
    """Answers while `up`; remembers when it was asked and with how much time."""

    def __init__(self, clock: ManualClock) -> None:
        self.up = True
        self.asked: list[float] = []
        self.left: list[float] = []
        self._clock = clock

    def ping(self) -> None:
        deadline = current_deadline()
        assert deadline is not None
        self.left.append(deadline.remaining())
        self.asked.append(self._clock.monotonic())
        if not self.up:
            raise ConnectionError


class Scene:
    def __init__(self, store: Store) -> None:
        self.clock = ManualClock()
        self.store = store
        self.breaker = CircuitBreaker(name="database", config=CONFIG, store=store, clock=self.clock)
        self.dependency = Dependency(self.clock)
        self.watch = Watch(
            self.breaker,
            self.dependency.ping,
            limit=0.5,
            clock=self.clock,
            silent=lambda: store.silences.latest("database"),
            repeat_after=0.0,
        )
        self.start = self.clock.monotonic()

    def live(self, seconds: float) -> None:
        """Let the watch do what it does in so many seconds, holding the lease."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.store.lease.take(self.clock.monotonic())
            self.clock.advance(max(self.watch.step(), 0.001))

    def trip(self) -> None:
        for _ in range(CONFIG.failure_threshold):
            self.breaker.settle(self.breaker.admit(), Outcome.FAILURE)
        assert self.breaker.shown() is State.OPEN


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with host_store(tmp_path) as store:
        yield Scene(store)


class TestSilence:
    """A kept connection was silent: a new one is asked at once, and its answer counts."""

    def asked(self, scene: Scene) -> list[float]:
        return [round(at - scene.start, 1) for at in scene.dependency.asked]

    def test_is_looked_into_at_once(self, scene: Scene) -> None:
        scene.live(0.5)
        scene.store.silences.note("database", scene.clock.monotonic())
        scene.live(0.9)
        assert self.asked(scene) == [0.0, 0.5]

    def test_that_began_before_a_ping_was_answered_is_explained(self, scene: Scene) -> None:
        scene.live(0.5)
        began = scene.clock.monotonic()
        scene.live(0.7)
        scene.store.silences.note("database", began)
        scene.live(0.5)
        assert self.asked(scene) == [0.0, 1.0]

    def test_of_a_server_that_is_silent_itself_opens(self, scene: Scene) -> None:
        scene.live(0.5)
        scene.dependency.up = False
        scene.store.silences.note("database", scene.clock.monotonic())
        scene.live(0.2)
        assert scene.breaker.shown() is State.OPEN

    def test_of_another_dependency_is_none_of_it(self, scene: Scene) -> None:
        scene.live(0.5)
        scene.store.silences.note("cache", scene.clock.monotonic())
        scene.live(0.4)
        assert self.asked(scene) == [0.0]


class TestPings:
    def test_come_at_once_and_then_each_second(self, scene: Scene) -> None:
        scene.live(2.5)
        assert [round(at - scene.start, 1) for at in scene.dependency.asked] == [0, 1, 2]

    def test_have_half_a_second_each(self, scene: Scene) -> None:
        scene.live(0.1)
        assert scene.dependency.left == pytest.approx([0.5])

    def test_that_succeed_count_for_nothing(self, scene: Scene) -> None:
        scene.live(2 * PING_EVERY)
        assert scene.breaker.snapshot().calls == 0

    def test_that_fail_are_repeated_twice_at_once_and_open_the_breaker(self, scene: Scene) -> None:
        scene.live(0.5)
        scene.dependency.up = False
        scene.live(0.6)
        assert scene.breaker.shown() is State.OPEN
        failed = [at for at in scene.dependency.asked if at > scene.start]
        assert len(failed) == CONFIG.failure_threshold
        assert len(set(failed)) == 1

    def test_that_fail_count_for_nothing_if_the_next_is_answered(self, scene: Scene) -> None:
        for _ in range(CONFIG.failure_threshold):
            answers = iter([ConnectionError()])

            def ping(answers: Iterator[Exception] = answers) -> None:
                scene.dependency.asked.append(0.0)
                for error in answers:
                    raise error

            Watch(scene.breaker, ping, limit=0.5, clock=scene.clock, repeat_after=60.0).step()
        assert len(scene.dependency.asked) == 2 * CONFIG.failure_threshold, "it is repeated once"
        assert scene.breaker.snapshot().failures == 0
        assert scene.breaker.shown() is State.CLOSED
        assert scene.breaker.calls()["ping", "ignored"] == CONFIG.failure_threshold

    @pytest.mark.parametrize(
        ("repeated", "failures", "ignored"),
        [
            ([None, None], 0, 1),
            ([None, ConnectionError()], 0, 1),
            ([ConnectionError(), None], 0, 1),
            ([FULL, FULL], 0, 3),  # it is there, but has no connection left
            (
                [FULL, ConnectionError()],
                2,
                1,
            ),  # an answer of one counts for nothing beside a failure of the other
            ([ConnectionError(), FULL], 2, 1),
            ([ConnectionError(), ConnectionError()], 3, 0),
        ],
    )
    def test_that_fail_are_refuted_by_an_answer_or_by_a_server_that_is_full_twice(
        self, scene: Scene, repeated: list[Exception | None], failures: int, ignored: int
    ) -> None:
        said = iter([ConnectionError(), *repeated])

        def ping() -> None:
            error = next(said)
            if error is not None:
                raise error

        Watch(scene.breaker, ping, limit=0.5, clock=scene.clock, repeat_after=0.0).step()
        calls = scene.breaker.calls()
        assert calls.get(("ping", "failure"), 0) == failures
        assert calls.get(("ping", "ignored"), 0) == ignored
        assert scene.breaker.shown() is (State.OPEN if failures == CONFIG.failure_threshold else State.CLOSED)

    def test_wait_side_by_side_when_they_are_repeated(self, scene: Scene) -> None:
        """The third begins although the second has no answer yet."""
        both = threading.Barrier(2, timeout=10.0)
        times = itertools.count()

        def ping() -> None:
            if next(times):
                both.wait()
            raise ConnectionError

        Watch(scene.breaker, ping, limit=0.5, clock=scene.clock, repeat_after=0.0).step()
        assert not both.broken
        assert scene.breaker.shown() is State.OPEN

    def test_of_a_server_without_a_free_connection_count_for_nothing(self, scene: Scene) -> None:
        def ping() -> None:
            scene.dependency.asked.append(0.0)
            raise psycopg.OperationalError("FATAL:  sorry, too many clients already")

        watch = Watch(scene.breaker, ping, limit=0.5, clock=scene.clock)
        for _ in range(CONFIG.failure_threshold):
            watch.step()
            scene.clock.advance(PING_EVERY)
        assert len(scene.dependency.asked) == CONFIG.failure_threshold, "it is not repeated at once"
        assert scene.breaker.shown() is State.CLOSED
        assert scene.breaker.calls()["ping", "ignored"] == CONFIG.failure_threshold

    def test_that_cannot_be_repeated_for_want_of_threads_blame_nobody(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scene.dependency.up = False
        with no_threads(monkeypatch), pytest.raises(OwnTroubleError, match="threads"):
            scene.watch.step()
        assert scene.breaker.shown() is State.CLOSED

    def test_stop_while_the_breaker_is_open(self, scene: Scene) -> None:
        scene.trip()
        scene.live(CONFIG.recovery_timeout - 0.5)
        assert scene.dependency.asked == []


class TestProbes:
    def test_come_once_the_open_time_is_over_and_close_the_breaker(self, scene: Scene) -> None:
        scene.trip()
        scene.live(CONFIG.recovery_timeout + 0.2)
        assert len(scene.dependency.asked) == 1
        assert scene.breaker.shown() is State.CLOSED

    def test_that_fail_open_it_for_the_same_time_again(self, scene: Scene) -> None:
        scene.dependency.up = False
        scene.trip()
        scene.live(2 * CONFIG.recovery_timeout + 0.5)
        gaps = [after - before for before, after in pairwise(scene.dependency.asked)]
        assert gaps == [pytest.approx(CONFIG.recovery_timeout, abs=0.2)]
        assert scene.breaker.shown() is State.OPEN

    def test_cost_no_request_anything(self, scene: Scene) -> None:
        scene.trip()
        scene.clock.advance(CONFIG.recovery_timeout + 0.01)
        scene.store.lease.take(scene.clock.monotonic())
        with pytest.raises(BreakerOpenError, match="steward"):
            scene.breaker.admit()

    def test_are_a_requests_own_affair_without_a_steward(self, scene: Scene) -> None:
        scene.trip()
        scene.clock.advance(CONFIG.recovery_timeout + 0.01)
        scene.breaker.settle(scene.breaker.admit(), Outcome.SUCCESS)
        assert scene.breaker.shown() is State.CLOSED

    def test_are_waited_for_without_counting_refusals(self, scene: Scene) -> None:
        """What is refused is what somebody asked for."""
        scene.trip()
        scene.live(14.5)
        assert scene.breaker.snapshot().rejected == 0

    def test_are_not_sent_to_what_an_operator_isolated(self, scene: Scene) -> None:
        scene.breaker.isolate(who="ada", why="a drill")
        scene.live(60.0)
        assert scene.dependency.asked == []
