"""An hour at 100 calls a second, some of which fail on their own: how often does that open a breaker?

A run of three needs three independent failures in a row, so the expected number is about n * p ** 3.
"""

import random

import pytest

from resilience.primitives import BreakerConfig, CircuitBreaker, ManualClock, Outcome, State

SECONDS, PER_SECOND = 3_600, 100


def openings(share: float, *, seed: int) -> int:
    """Count how often the breaker of a database opens within an hour of noise."""
    chance = random.Random(seed)  # noqa: S311 - the same noise each time
    clock = ManualClock()
    config = BreakerConfig(failure_threshold=3, recovery_timeout=15.0, window=30.0, minimum_volume=5)
    breaker = CircuitBreaker(config=config, clock=clock)
    opened = 0

    def heard(after: State) -> None:
        nonlocal opened
        opened += after is State.OPEN

    breaker.on_transition(lambda transition: heard(transition.after))
    for _ in range(SECONDS * PER_SECOND):
        clock.advance(1 / PER_SECOND)
        if not breaker.refuses():
            failed = chance.random() < share
            breaker.settle(breaker.admit(), Outcome.FAILURE if failed else Outcome.SUCCESS)
    return opened


class TestNoise:
    @pytest.mark.parametrize(("share", "least", "most"), [(0.001, 0, 0), (0.01, 0, 2), (0.1, 60, 240)])
    def test_opens_as_rarely_as_chance_makes_runs(self, share: float, least: int, most: int) -> None:
        assert least <= openings(share, seed=1) <= most
