"""Die, or be interrupted, at every single line of a transition: whoever comes next goes on.

A storm hits lines by chance; here each line that a transition runs through is hit once.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import resilience.primitives
from resilience.primitives import BreakerConfig, BreakerOpenError, CircuitBreaker, HostStore, ManualClock
from resilience.primitives.rules import State
from resilience.primitives.store import Layout
from resilience.primitives.store.layout import HELD
from resilience.primitives.store.lock import LONGEST_HOLD, HostLock

_HOME = str(Path(resilience.primitives.__file__).parent)
_SMALL = Layout(breakers=4, slots=8, counters=64, pools=4, limits=64)
Transition = Callable[[CircuitBreaker], None]
_CONFIG = BreakerConfig(failure_threshold=3, recovery_timeout=15.0, window=30.0)


class InterruptError(BaseException):
    """Comes between two lines."""


Place = tuple[str, int]


@contextmanager
def watched(reached: Callable[[Place], bool]) -> Iterator[None]:
    """Tell `reached` each line of the primitives that the block is about to run, until it says so."""

    def lines(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line" and reached((frame.f_code.co_filename, frame.f_lineno)):
            sys.settrace(None)
        return lines

    def calls(frame: FrameType, event: str, argument: Any) -> Any:
        return lines if frame.f_code.co_filename.startswith(_HOME) else None

    before = sys.gettrace()
    sys.settrace(calls)
    try:
        yield
    finally:
        sys.settrace(before)


def fail() -> None:
    raise ConnectionError


def succeed() -> None:
    """Answer."""


class Host:
    """One store, and breakers of it as each process would have its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.clock = ManualClock()

    def process(self) -> tuple[HostStore, CircuitBreaker]:
        store = HostStore(self._folder, "test", role="server", create=True, layout=_SMALL)
        return store, CircuitBreaker(name="database", config=_CONFIG, store=store, clock=self.clock)


def opens(breaker: CircuitBreaker) -> None:
    """The third failure."""
    with suppress(ConnectionError):
        breaker.call(fail)


def closes(breaker: CircuitBreaker) -> None:
    """A probe that succeeds: a permit is taken, the breaker closes."""
    breaker.call(succeed)


def reopens(breaker: CircuitBreaker) -> None:
    """A probe that fails."""
    with suppress(ConnectionError):
        breaker.call(fail)


def prepare(breaker: CircuitBreaker, clock: ManualClock, transition: Transition) -> None:
    for _ in range(2 if transition is opens else 3):
        with suppress(ConnectionError):
            breaker.call(fail)
    if transition is not opens:
        clock.advance(15.0)


def goes_on(breaker: CircuitBreaker, clock: ManualClock) -> None:
    """Whatever state the breaker was left in, an outage opens it and its end closes it."""
    clock.advance(_CONFIG.permit_lasts)  # A permit of an interrupted call is given back by nobody else.
    for _ in range(4):
        with suppress(ConnectionError, BreakerOpenError):
            breaker.call(fail)
    assert breaker.snapshot().state is State.OPEN
    clock.advance(15.0)
    breaker.call(succeed)
    assert (breaker.snapshot().state, breaker.snapshot().failures) == (State.CLOSED, 0)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "resilience")


def a_second_passes(store: HostStore) -> None:
    """Move back since when the lock is held, in this process and on the host."""
    assert isinstance(store.lock, HostLock)
    store.lock._threads._since -= LONGEST_HOLD
    store.times[HELD] -= LONGEST_HOLD


def every_line(host: Host, breaker: CircuitBreaker, transition: Transition) -> list[Place]:
    """Run the transition once and return each line that it came through, in order of the first time."""
    places: dict[Place, None] = {}

    def note(place: Place) -> bool:
        places[place] = None
        return False

    prepare(breaker, host.clock, transition)
    with watched(note):
        transition(breaker)
    assert len(places) > 50
    return list(places)


def writes(place: Place) -> bool:
    """Say whether a line is of the code that writes what others see; the rest cannot hurt them."""
    return place[0].startswith(f"{_HOME}/store") or place[0] == f"{_HOME}/window.py"


@pytest.mark.parametrize("transition", [opens, closes])
def test_killed_at_any_line_it_leaves_the_others_a_breaker_that_works(
    host: Host, transition: Transition
) -> None:
    """A forked child dies; its parent, another process, takes the lock at once and goes on."""
    store, breaker = host.process()
    for fatal in filter(writes, every_line(host, breaker, transition)):

        def die(place: Place, fatal: Place = fatal) -> bool:
            if place == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return False

        breaker.reset(who="test", why="the next line")
        prepare(breaker, host.clock, transition)
        child = os.fork()
        if child == 0:
            try:
                with watched(die):
                    transition(breaker)
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] in (signal.SIGKILL, 0), fatal
        assert store.lock.take(0) is not None, fatal
        store.lock.release()
        goes_on(breaker, host.clock)


@pytest.mark.parametrize("transition", [opens, closes, reopens])
def test_interrupted_at_any_line_a_process_goes_on_itself(host: Host, transition: Transition) -> None:
    """At once, or, where it was interrupted just as it took or gave back the lock, after a second."""
    store, breaker = host.process()
    for chosen in every_line(host, breaker, transition):

        def interrupt(place: Place, chosen: Place = chosen) -> bool:
            if place == chosen:
                sys.settrace(None)
                raise InterruptError
            return False

        breaker.reset(who="test", why="the next line")
        prepare(breaker, host.clock, transition)
        with suppress(InterruptError), watched(interrupt):
            transition(breaker)
        if store.lock.take(0) is None:
            a_second_passes(store)
            store.lock.take(0.001)
            assert store.lock.take(0) is not None, chosen
        store.lock.release()
        goes_on(breaker, host.clock)
