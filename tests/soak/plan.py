"""What breaks when: drawn from a seed before the run begins. Times are seconds from the beginning."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["kill", "freeze", "refuse", "slow", "reset", "cut", "mute"]

KINDS: tuple[Kind, ...] = ("kill", "freeze", "refuse", "slow", "reset", "cut", "mute")
VICTIMS = (("database",), ("cache",), ("database", "cache"))
# Reads and workers come to rest before the first fault.
QUIET = 8.0
# Two deaths of one worker within 5.5 s end granian.
BETWEEN_KILLS = 10.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One or both dependencies broken from `begins` to `ends`; `delay` is how slow the wire is when slow."""

    begins: float
    ends: float
    victims: tuple[str, ...]
    kind: Kind
    delay: float

    def __str__(self) -> str:
        how = f"slow by {self.delay:.1f} s" if self.kind == "slow" else self.kind
        return f"{' and '.join(self.victims)}: {how} for {self.ends - self.begins:.1f} s"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole run.

    One worker, the witness, is spared until `spared_until`: its memory tells of growth with age.
    """

    seed: int
    seconds: float
    rate: float
    workers: int
    faults: tuple[Fault, ...]
    kills: tuple[float, ...]
    spared_until: float


def draw(
    seed: int,
    *,
    seconds: float,
    rate: float = 15.0,
    workers: int = 3,
    every: float = 20.0,
    longest: float = 12.0,
) -> Plan:
    """Draw a fault each `every` seconds, of 3 s up to `longest`, and kills at least ten seconds apart.

    Every kind of fault has had its turn before one comes again.
    """
    chance = random.Random(seed)  # noqa: S311 - a storm, no secret
    faults: list[Fault] = []
    turns: list[Kind] = []
    begins = QUIET
    while begins + longest < seconds - 1.0:
        if not turns:
            turns = chance.sample(KINDS, len(KINDS))
        lasts = chance.uniform(3.0, longest)
        faults.append(
            Fault(
                begins=begins,
                ends=begins + lasts,
                victims=chance.choice(VICTIMS),
                kind=turns.pop(),
                delay=chance.uniform(0.1, 3.0),
            )
        )
        begins += every
    kills: list[float] = []
    dies = QUIET + chance.uniform(0.0, BETWEEN_KILLS)
    while dies < seconds:
        kills.append(dies)
        dies += chance.uniform(1.0, 2.0) * BETWEEN_KILLS
    return Plan(
        seed=seed,
        seconds=seconds,
        rate=rate,
        workers=workers,
        faults=tuple(faults),
        kills=tuple(kills),
        spared_until=0.8 * seconds,
    )
