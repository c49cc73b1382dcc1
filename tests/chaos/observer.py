"""Somebody who only looks, as often as may be: which record is in force, and whether a count went back."""

from __future__ import annotations

import time
from pathlib import Path

from resilience.primitives.breaker import CircuitBreaker
from resilience.primitives.rules import State
from resilience.primitives.store import HostStore
from tests.chaos.board import Board
from tests.chaos.journal import Journal, Kind
from tests.chaos.worker import CONFIG, NAME, NAMESPACE

STATES = list(State)
_EACH = 0.001


def observe(folder: Path, board: Board, journal: Journal) -> None:
    """Write down each record that is new, and each count that is lower than it was, until the storm ends."""
    store = HostStore(folder, NAMESPACE, role="command", create=True)
    breaker = CircuitBreaker(name=NAME, config=CONFIG, store=store)
    breaker.snapshot()
    generation = -1
    highest: dict[tuple[str, str], int] = {}
    rounds = 0
    while not board.finish:
        record = breaker._host.look()[0]
        board.closed = record.state is State.CLOSED
        if record.generation != generation:
            generation = record.generation
            journal.write(
                Kind.RECORD, x=record.since, y=record.until, m=generation, n=STATES.index(record.state)
            )
        rounds += 1
        if rounds % 10 == 0:
            counts = {**breaker.calls(), ("refusals", ""): breaker.snapshot().rejected}
            for label, count in counts.items():
                if count < highest.get(label, 0):
                    journal.write(Kind.COUNTS, m=highest[label], n=count)
                highest[label] = count
        time.sleep(_EACH)
