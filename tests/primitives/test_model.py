"""The breaker beside a plain model: whatever is done to both, they agree."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resilience.primitives import (
    Admission,
    BreakerConfig,
    BreakerOpenError,
    CircuitBreaker,
    LocalStore,
    ManualClock,
    Outcome,
    State,
)
from resilience.primitives.store import Layout

THRESHOLD, OPEN_FOR, WINDOW, VOLUME, LASTS = 3, 15.0, 30.0, 6, 4.0
COUNTED = (Outcome.SUCCESS, Outcome.FAILURE, Outcome.SLOW)


@dataclass
class Model:
    """A breaker as one would write it with a list and no hurry."""

    probes: int
    successes_needed: int
    now: float = 1_000.0
    state: State = State.CLOSED
    generation: int = 0
    until: float = 0.0
    log: list[tuple[float, Outcome]] = field(default_factory=list)
    permits: dict[int, float] = field(default_factory=dict)
    probe_successes: int = 0
    isolated: bool = False
    disabled: bool = False

    def shown(self) -> State:
        if self.isolated:
            return State.OPEN
        if self.disabled:
            return State.CLOSED
        if self.state is State.OPEN and self.now >= self.until:
            return State.HALF_OPEN
        return self.state

    def admits(self) -> bool:
        if self.isolated:
            return False
        if self.disabled or self.state is State.CLOSED:
            return True
        if self.shown() is State.OPEN:
            return False
        return self.state is State.OPEN or len(self.in_force()) < self.probes

    def in_force(self) -> dict[int, float]:
        return {number: until for number, until in self.permits.items() if self.now < until}

    def take(self, number: int) -> None:
        if self.state is State.OPEN:
            self.move(State.HALF_OPEN)
            self.probe_successes = 0
        self.permits = {**self.in_force(), number: self.now + LASTS}

    def move(self, state: State) -> None:
        self.state = state
        self.generation += 1
        self.permits = {}
        if state is State.OPEN:
            self.until = self.now + OPEN_FOR
        if state is State.CLOSED:
            self.log = []

    def settle(self, generation: int, permit: int, outcome: Outcome) -> None:
        if generation != self.generation:
            return
        if permit:
            self.settle_probe(permit, outcome)
        elif outcome in COUNTED:
            self.log.append((self.now, outcome))
            if outcome is not Outcome.SUCCESS and not self.disabled and self.must_open():
                self.move(State.OPEN)

    def settle_probe(self, permit: int, outcome: Outcome) -> None:
        if permit not in self.permits:
            return
        del self.permits[permit]
        if outcome in (Outcome.FAILURE, Outcome.SLOW):
            self.move(State.OPEN)
        elif outcome is not Outcome.IGNORED:
            self.probe_successes += 1
            if self.probe_successes >= self.successes_needed:
                self.move(State.CLOSED)

    def must_open(self) -> bool:
        recent = [outcome for at, outcome in self.log if self.now - at <= WINDOW]
        failures, slow = recent.count(Outcome.FAILURE), recent.count(Outcome.SLOW)
        run = 0
        for _, outcome in reversed(self.log):
            if outcome is Outcome.SUCCESS:
                break
            run += outcome is Outcome.FAILURE
        if failures >= THRESHOLD and run >= THRESHOLD:
            return True
        trouble = failures + slow
        return trouble >= THRESHOLD and len(recent) >= VOLUME and trouble >= len(recent) / 2


class BreakerMachine(RuleBasedStateMachine):
    """Time moves by whole windows or hardly at all: in between, a tenth of a window may be forgotten."""

    @initialize(probes=st.integers(1, 3), successes=st.integers(1, 2))
    def begin(self, probes: int, successes: int) -> None:
        self.clock = ManualClock()
        self.model = Model(probes, successes)
        self.admissions: list[Admission] = []
        self.heard: list[State] = []
        config = BreakerConfig(
            failure_threshold=THRESHOLD,
            recovery_timeout=OPEN_FOR,
            window=WINDOW,
            minimum_volume=VOLUME,
            half_open_max_calls=probes,
            success_threshold=successes,
            permit_timeout=LASTS,
        )
        store = LocalStore(Layout(breakers=1, slots=1, counters=32))
        # Two faces of one breaker, of which one keeps what it has seen, and the other had nothing to do.
        self.breaker = CircuitBreaker(name="model", config=config, store=store, clock=self.clock)
        self.other = CircuitBreaker(name="model", config=config, store=store, clock=self.clock)
        self.breaker.on_transition(lambda transition: self.heard.append(transition.after))

    @rule()
    def admit(self) -> None:
        expected = self.model.admits()
        assert self.breaker.refuses() is not expected
        if not expected:
            with pytest.raises(BreakerOpenError) as refusal:
                self.breaker.admit()
            assert refusal.value.retry_after > 0
            return
        admission = self.breaker.admit()
        if admission.permit:
            self.model.take(admission.permit)
        assert admission.generation == self.model.generation
        self.admissions.append(admission)

    @precondition(lambda self: self.admissions)
    @rule(which=st.integers(0), outcome=st.sampled_from(Outcome), keep=st.booleans())
    def settle(self, which: int, outcome: Outcome, keep: bool) -> None:
        place = which % len(self.admissions)
        admission = self.admissions[place] if keep else self.admissions.pop(place)
        self.breaker.settle(admission, outcome)
        self.model.settle(admission.generation, admission.permit, outcome)

    @rule(outcomes=st.lists(st.sampled_from(Outcome), max_size=12))
    def call_one_after_the_other(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.admit()
            if self.admissions:
                self.settle(len(self.admissions) - 1, outcome, keep=False)

    @rule(seconds=st.sampled_from([0.001, 0.002, LASTS - 0.5, LASTS, OPEN_FOR, 34.0, 100.0]))
    def wait(self, seconds: float) -> None:
        # What would fall into the last tenth of the window is not asked about.
        if seconds >= 1 and self.model.state is State.CLOSED:
            seconds = 34.0
        self.clock.advance(seconds)
        self.model.now += seconds

    @rule()
    def isolate(self) -> None:
        assert self.breaker.isolate(who="anna", why="")
        self.model.isolated, self.model.disabled = True, False
        self.model.generation += 1
        self.model.permits = {}

    @rule()
    def disable(self) -> None:
        assert self.breaker.disable(who="anna", why="")
        if self.model.state is State.CLOSED:
            self.model.generation += 1
        else:
            self.model.move(State.CLOSED)
        self.model.isolated, self.model.disabled = False, True

    @rule()
    def auto(self) -> None:
        ordered = self.model.isolated or self.model.disabled
        assert self.breaker.auto(who="anna", why="") is ordered
        self.model.isolated = self.model.disabled = False
        self.model.generation += ordered

    @rule()
    def reset(self) -> None:
        assert self.breaker.reset()
        self.model.move(State.CLOSED)
        self.model.isolated = self.model.disabled = False

    @invariant()
    def both_faces_agree_with_the_model(self) -> None:
        for breaker in (self.breaker, self.other):
            assert breaker.shown() is self.model.shown()
            found = breaker.snapshot()
            assert found.generation == self.model.generation
            if self.model.state is State.CLOSED:
                recent = [outcome for at, outcome in self.model.log if self.model.now - at <= WINDOW]
                assert (found.successes, found.failures, found.slow) == tuple(map(recent.count, COUNTED))


TestModel = pytest.mark.filterwarnings("default")(BreakerMachine.TestCase)
TestModel.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
