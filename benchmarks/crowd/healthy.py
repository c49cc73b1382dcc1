"""A crowd of readers on a healthy site: usual sizes, a very large one, and the largest without a stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from benchmarks.crowd.figures import Taken, beside, p99, percentile, rate
from benchmarks.crowd.load import Answer, Request, Role, load, never_asked
from benchmarks.crowd.plan import DELAYS, Plan, shown, tell
from benchmarks.crowd.sites import Connections, CrowdSite, Field, reversed_each
from benchmarks.tables import Table, table

SIZES = (8, 16, 32, 48)
BIG = 128
STEPS = (96, 64, 48, 32, 24, 16, 8)
LARGEST_MEDIAN = 1500.0  # ms of the plain site, above which a round is void
LIVE = "/api/health/live"


def clients(field: Field, plan: Plan) -> Table:
    """Ask both sites by crowds of usual sizes; the one with `cache_page` where no query is slow."""
    cached = field.peer("cached", "benchmarks.sites.cached")
    rows = []
    with cached:
        for delay in DELAYS:
            field.pace.set(delay)
            sites = [field.ours, field.plain] + ([] if delay else [cached])
            for size in SIZES:
                with Connections(field.postgres) as connections:
                    taken, void = _rounds(sites, size, plan)
                rows.append((shown(delay), str(size), *_compared(sites, taken, void, connections)))
    heads = (
        *("queries slower by", "clients", "answers", "stand-ins, %", "breakers closed, %", "live answers/s"),
        *(
            "live answers, times plain's",
            "p99, ms",
            "p99, times plain's",
            "times cache_page's",
            "void rounds",
        ),
        *("connections", "plain's connections"),
    )
    return table(heads, rows)


def big(field: Field, plan: Plan) -> Table:
    """Ask both sites by a crowd that is too large, beside a probe of liveness."""
    rows = []
    for delay in DELAYS:
        field.pace.set(delay)
        sites = [field.ours, field.plain]
        taken = {site.name: Taken(plan.seconds) for site in sites}
        alive = {site.name: Taken(plan.seconds) for site in sites}
        memory = (0.0, 0.0)
        with Connections(field.postgres) as connections:
            for number, turn in reversed_each(plan.rounds, sites):
                for site in turn:
                    tell(f"{BIG} clients, {shown(delay)}, round {number + 1}, {site.name}")
                    roles = [_readers(BIG), Role("liveness", 1, repeat(Request(LIVE)), pause=0.02)]
                    found = load(site.port, roles, plan.seconds)
                    taken[site.name].rounds.append(found["readers"])
                    alive[site.name].rounds.append(found["liveness"])
                memory = max(memory, field.ours.memory())
        ours, theirs = taken["ours"], taken["plain"]
        reasons = ours.reasons()
        rows.append(
            (
                shown(delay),
                f"{len(ours.answers):,}",
                f"{reasons.pop('busy', 0.0):.1f}",
                f"{sum(reasons.values()):.1f}",
                f"{rate(ours.answers, plan.seconds * plan.rounds):.1f}",
                beside(ours, theirs, _live),
                f"{percentile(ours.answers, 0.5):.0f}",
                f"{p99(ours.answers):.0f}",
                f"{p99(theirs.answers):.0f}",
                f"{p99(alive['ours'].answers):.0f}",
                beside(alive["ours"], alive["plain"], p99),
                str(connections.of(field.ours)),
                f"{memory[0]:.0f}",
                f"{memory[1]:.0f}",
            )
        )
    heads = (
        *("queries slower by", "answers", "busy, %", "other stand-ins or none, %", "live answers/s"),
        *("live answers, times plain's", "median, ms", "p99, ms", "plain's p99, ms", "liveness p99, ms"),
        *(
            "liveness p99, times plain's",
            "connections",
            "a worker's MB, resident",
            "a worker's MB, own share",
        ),
    )
    return table(heads, rows)


def capacity(field: Field, plan: Plan) -> Table:
    """Find the largest crowd that gets no stand-in, and ask by twice as many."""
    rows = []
    for delay in DELAYS:
        field.pace.set(delay)
        for size in STEPS:
            tell(f"capacity, {size} clients, {shown(delay)}")
            at = load(field.ours.port, [_readers(size)], plan.capacity_seconds, enough=_is_no_answer)
            if not any(map(_is_no_answer, at["readers"])):
                tell(f"twice the capacity, {2 * size} clients, {shown(delay)}")
                twice = load(field.ours.port, [_readers(2 * size)], plan.capacity_seconds)["readers"]
                rates = [rate(answers, plan.capacity_seconds) for answers in (at["readers"], twice)]
                shed = Taken(plan.capacity_seconds, [twice]).share(_is_no_answer)
                rows.append(
                    (
                        *(shown(delay), str(size), f"{rates[0]:.1f}", f"{rates[1]:.1f}"),
                        *(f"{rates[1] / rates[0]:.2f}", f"{shed:.1f}"),
                    )
                )
                break
        else:
            rows.append((shown(delay), f"below {STEPS[-1]}", "", "", "", ""))
    heads = (
        *("queries slower by", "capacity, clients", "live answers/s", "with twice as many"),
        *("times those", "stand-ins with twice as many, %"),
    )
    return table(heads, rows)


def _rounds(sites: list[CrowdSite], size: int, plan: Plan) -> tuple[dict[str, Taken], int]:
    """Return what each site gave, without void rounds, and how many of these there were."""
    taken = {site.name: Taken(plan.seconds) for site in sites}
    void = 0
    for number, turn in reversed_each(plan.rounds, sites):
        found = {}
        for site in turn:
            tell(f"{size} clients, round {number + 1}, {site.name}")
            found[site.name] = load(site.port, [_readers(size)], plan.seconds)["readers"]
        if percentile(found["plain"], 0.5) > LARGEST_MEDIAN:
            void += 1
            continue
        for name, answers in found.items():
            taken[name].rounds.append(answers)
    return taken, void


def _compared(
    sites: list[CrowdSite], taken: dict[str, Taken], void: int, connections: Connections
) -> tuple[str, ...]:
    ours, theirs = taken["ours"], taken["plain"]
    counted = ours.seconds * max(1, len(ours.rounds))
    return (
        f"{len(ours.answers):,}",
        f"{ours.share(_is_no_answer):.1f}",
        f"{ours.share(lambda answer: answer.is_closed):.1f}",
        f"{rate(ours.answers, counted):.1f}",
        beside(ours, theirs, _live),
        f"{p99(ours.answers):.0f}",
        beside(ours, theirs, p99),
        beside(ours, taken["cached"], _live) if "cached" in taken else "",
        str(void),
        str(connections.of(sites[0])),
        str(connections.of(sites[1])),
    )


def _live(answers: Sequence[Answer]) -> float:
    return rate(answers, 1.0)


def _is_no_answer(answer: Answer) -> bool:
    return not answer.is_full


def _readers(size: int) -> Role:
    return Role("readers", size, never_asked())
