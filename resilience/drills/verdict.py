"""The objectives that a drill is held to, each with what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from resilience.drills.run import GRACE, Result, interval

SLOWEST = 2.5
"""Seconds that the slowest read may take: a budget of 2 s, and what a busy machine adds."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What was demanded, what was measured, and whether that is enough."""

    name: str
    measured: str
    met: bool


def judge(result: Result) -> list[Objective]:
    """Return all objectives; a drill has passed when each is met."""
    answers = result.answers
    failed = [answer for answer in answers if not 200 <= answer.status < 500]
    wrong = [answer for answer in answers if answer.mislabelled]
    slowest = max((answer.seconds for answer in answers), default=0.0)
    allowed = interval(result.plan.names) + GRACE
    back = "not" if result.recovered is None else f"after {result.recovered:.1f} s"
    return [
        Objective(
            name="every read is answered, and none by a 5xx",
            measured=f"{len(answers) - len(failed)} of {len(answers)}"
            + (f"; first: {failed[0].source} for {failed[0].path}" if failed else ""),
            met=bool(answers) and not failed,
        ),
        Objective(
            name=f"the slowest read takes less than {SLOWEST:g} s",
            measured=f"{slowest:.2f} s",
            met=slowest < SLOWEST,
        ),
        Objective(
            name="every degraded answer says so",
            measured=f"{len(wrong)} do not" + (f"; first: {wrong[0].mislabelled}" if wrong else ""),
            met=not wrong,
        ),
        Objective(
            name=f"all breakers are closed again within {allowed:g} s of the fault's end",
            measured=back,
            met=result.recovered is not None and result.recovered <= allowed,
        ),
        Objective(
            name="the fault was met, so that the drill says something",
            measured="calls that failed, were slow or were refused: "
            + ", ".join(f"{count} of {name}" for name, count in result.met.items()),
            met=any(result.met.values()),
        ),
    ]
