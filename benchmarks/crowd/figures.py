"""What is read off the answers of a crowd."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.crowd.load import Answer
from benchmarks.processor import processor_of

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Taken:
    """The answers that one site gave to one role, round by round, and the seconds that a round took."""

    seconds: float
    rounds: list[Sequence[Answer]] = field(default_factory=list)

    @property
    def answers(self) -> list[Answer]:
        return [answer for one in self.rounds for answer in one]

    def share(self, true: Callable[[Answer], bool]) -> float:
        """Return the percentage of answers of which this is true."""
        answers = self.answers
        return 100 * sum(map(true, answers)) / max(1, len(answers))

    def reasons(self) -> dict[str, float]:
        """Return the percentage of stand-ins and refusals, by reason."""
        counted = Counter(answer.reason for answer in self.answers if answer.reason)
        return {reason: 100 * count / len(self.answers) for reason, count in counted.items()}

    def statuses(self) -> str:
        """Return the statuses and how often each came, for a cell of a table."""
        counted = Counter(answer.status for answer in self.answers)
        return ", ".join(f"{status or 'none'}: {count}" for status, count in sorted(counted.items()))


def rate(answers: Sequence[Answer], seconds: float) -> float:
    """Return the live answers a second: those to what was asked in so many seconds."""
    full = [answer for answer in answers if answer.is_full]
    return len(full) / seconds


def p99(answers: Sequence[Answer]) -> float:
    """Return the time within which 99 of 100 answers came, in ms; that of the slowest of fewer."""
    return percentile(answers, 0.99)


def percentile(answers: Sequence[Answer], share: float) -> float:
    """Return the time within which a share of the answers came, in ms; 0 without any."""
    times = sorted(answer.seconds for answer in answers)
    return 1000 * times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


def beside(ours: Taken, theirs: Taken, figure: Callable[[Sequence[Answer]], float], form: str = ".2f") -> str:
    """Return a cell: ours as a multiple of theirs, pooled over all rounds; from lowest to highest round."""
    each = [ratio(figure(one), figure(other)) for one, other in zip(ours.rounds, theirs.rounds, strict=True)]
    pooled = ratio(figure(ours.answers), figure(theirs.answers))
    return f"{pooled:{form}} ({min(each):{form}} to {max(each):{form}})" if each else "void"


def ratio(one: float, other: float) -> float:
    """Return one as a multiple of the other; 0 if the other is 0."""
    return one / other if other else 0.0


class Machine:
    """What the processors did since this was made: for us, for the generator alone, and for others."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = self._now()

    def says(self) -> str:
        """Return a sentence about the quiet of the machine."""
        took = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        whole, own, generator = (
            after - before for after, before in zip(self._now(), self._before, strict=True)
        )
        others = max(0.0, whole - own) / took
        quiet = "" if others <= 0.05 else " **The machine was not quiet: these figures are void.**"
        return (
            f"The load generator used {generator / took:.0%} of the processors, other processes "
            f"{others:.0%}.{quiet}"
        )

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Return the seconds of all processes of the machine, of ours, and of this one."""
        user, nice, system, _, _, interrupts, soft, *_ = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        )
        whole = (user + nice + system + interrupts + soft) / _TICKS
        return whole, processor_of(os.getpid()), time.process_time()
