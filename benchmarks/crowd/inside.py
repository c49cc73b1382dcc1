"""What a crowd of readers leaves to others: those who write, sign in, or read while they are signed in."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.crowd.figures import Taken, beside, p99, ratio
from benchmarks.crowd.load import Answer, Role, load, never_asked, sent_as, sign_ins, writes
from benchmarks.crowd.plan import Plan, shown, tell
from benchmarks.crowd.sites import PASSWORD, CrowdSite, Field, names, reversed_each
from benchmarks.tables import Table, table

CROWD = 48
SPEEDS = (0.0, 0.3)
WHO = ("writes", "sign-ins", "signed-in reads")


def inside(field: Field, plan: Plan) -> Table:
    """Ask both sites for all of this within a crowd, and this app without one too.

    What is written are categories, which are never slow: a write of several slow queries would only measure
    its own deadline.
    """
    sites = [field.ours, field.plain]
    rows = []
    for delay in SPEEDS:
        field.pace.set(delay)
        taken = {site.name: {who: Taken(plan.seconds) for who in ("readers", *WHO)} for site in sites}
        alone = {who: Taken(plan.seconds) for who in WHO}
        for number, turn in reversed_each(plan.rounds, sites):
            for site in turn:
                tell(f"inside a crowd, {shown(delay)}, round {number + 1}, {site.name}")
                found = load(site.port, [*_few(site), Role("readers", CROWD, never_asked())], plan.seconds)
                for who, answers in found.items():
                    taken[site.name][who].rounds.append(answers)
            tell(f"without a crowd, {shown(delay)}, round {number + 1}")
            for who, answers in load(field.ours.port, _few(field.ours), plan.seconds).items():
                alone[who].rounds.append(answers)
        rows += [_row(delay, who, taken, alone[who]) for who in WHO]
    heads = (
        *("queries slower by", "who", "answers", "statuses", "stand-ins, %", "p99, ms", "p99, times plain's"),
        *("times the crowd's", "times without a crowd", "plain's p99, ms"),
    )
    return table(heads, rows)


def _few(site: CrowdSite) -> Sequence[Role]:
    token = site.token()
    return [
        Role("writes", 2, writes(token), pause=0.05),
        Role("sign-ins", 1, sign_ins(names(), PASSWORD), pause=0.1),
        Role("signed-in reads", 2, sent_as(token, never_asked()), pause=0.02),
    ]


def _row(delay: float, who: str, taken: dict[str, dict[str, Taken]], alone: Taken) -> tuple[str, ...]:
    ours, theirs, crowd = taken["ours"][who], taken["plain"][who], taken["ours"]["readers"]
    return (
        shown(delay),
        who,
        f"{len(ours.answers):,}",
        ours.statuses(),
        f"{ours.share(_is_no_answer):.1f}",
        f"{p99(ours.answers):.0f}",
        beside(ours, theirs, p99),
        beside(ours, crowd, p99),
        f"{ratio(p99(ours.answers), p99(alone.answers)):.2f}",
        f"{p99(theirs.answers):.0f}",
    )


def _is_no_answer(answer: Answer) -> bool:
    return not answer.is_full
