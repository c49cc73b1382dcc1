"""The objectives of a drill, each with its measurement."""

from __future__ import annotations

from dataclasses import dataclass

from resilience.drills.run import GRACE, Result, interval
from resilience.drills.sign_in import Attempt

SLOWEST = 2.5
"""Seconds that the slowest read may take: the budget of 2 s and an allowance for a busy machine."""
SLOWEST_WRITE = SLOWEST + 1.5
"""The same for a write, such as a sign-in: its COMMIT has additional time."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A demand, what was measured, and whether that meets it."""

    name: str
    measured: str
    met: bool


def judge(result: Result) -> list[Objective]:
    """Return all objectives; the drill is passed if each is met."""
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
            measured=f"{len(wrong)} of {len(answers)} do not"
            + (f"; first: {wrong[0].mislabelled}" if wrong else ""),
            met=not wrong,
        ),
        Objective(
            name=f"all breakers are closed again within {allowed:g} s of the fault's end",
            measured=back,
            met=result.recovered is not None and result.recovered <= allowed,
        ),
        Objective(
            name="the fault was met, so that the drill says something",
            measured="calls that met it: "
            + ", ".join(f"{count} of {name}" for name, count in result.met.items()),
            met=any(result.met.values()),
        ),
        *(_of_sign_ins(result) if result.plan.user else []),
    ]


def _of_sign_ins(result: Result) -> list[Objective]:
    attempts = result.sign_ins
    wrong = [each for each in attempts if not _is_honest(each)]
    slowest = max((each.seconds for each in attempts), default=0.0)
    reads = [each for each in result.answers if each.status == 200]
    by = f"; first: {wrong[0].status} by {wrong[0].how} at {wrong[0].at:.1f} s" if wrong else ""
    last = attempts[-1].status if attempts else 0
    return [
        Objective(
            name="every sign-in is answered by 200, or by 503 (a limit: 429) with Retry-After, never by 401",
            measured=f"{len(attempts) - len(wrong)} of {len(attempts)}{by}",
            met=bool(attempts) and not wrong,
        ),
        Objective(
            name=f"the slowest sign-in takes less than {SLOWEST_WRITE:g} s",
            measured=f"{slowest:.2f} s",
            met=slowest < SLOWEST_WRITE,
        ),
        Objective(
            name="people who have signed in go on reading",
            measured=f"{len(reads)} of {len(result.answers)} reads with an access token",
            met=bool(reads) and len(reads) == len(result.answers),
        ),
        Objective(
            name="sign-in works again at the end", measured=f"the last is answered {last}", met=last == 200
        ),
    ]


def _is_honest(attempt: Attempt) -> bool:
    return attempt.status == 200 or (attempt.status in (429, 503) and attempt.retry_after)
