"""What a run is held to, each promise with its figures.

Note [What flat means]
Processes warm up: each of a worker's threads opens its connections and its memory arena when it first works.
So the first part of the run, a quarter of it, is left out. Through the rest a straight line is laid, by
Theil and Sen (the median of all slopes between two samples), which short peaks do not bend; flat is what
rises along it by less than a tenth of its level.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import median

from resilience.drills.verdict import Objective
from resilience.journal.files import KEPT, ROTATED_AT
from tests.soak.run import RECOVERY, Soak
from tests.soak.watch import Process

Points = Sequence[tuple[float, float]]

# Seconds of a run that tells of growth.
LONG_ENOUGH = 600.0
WARM_UP = 0.25
RISE = 0.10
# So soon after a worker's death its connections are found broken, on a busy machine; in seconds.
CUT_WITHIN = 1.0
LED_PAST_WITHIN = 2.0
# Workers that are killed are compared when they have served for so many seconds.
AGE = 8.0
# So many pairs of samples give the slope; more would not change it.
_POINTS = 300


def judge(soak: Soak) -> list[Objective]:
    """Return all promises, those of growth for a long run alone: a short one is all warm-up."""
    return [
        *_clients(soak),
        _processes(soak),
        *_folders(soak),
        Objective(
            name=f"all is well within {RECOVERY:.0f} s of the end",
            measured="never" if soak.well_after is None else f"after {soak.well_after:.1f} s",
            met=soak.well_after is not None,
        ),
        *(_growth(soak) if soak.length >= LONG_ENOUGH else []),
    ]


def rise(points: Points) -> float:
    """Return by how much a straight line through the points rises over their span (Theil-Sen)."""
    if len(points) < 2:
        return 0.0
    thinned = points[:: -(-len(points) // _POINTS)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(thinned, 2) if b[0] > a[0]]
    return median(slopes) * (points[-1][0] - points[0][0])


def unexplained(soak: Soak) -> list[tuple[float, float]]:
    """Return the broken connections that no death of a worker explains.

    What a worker had accepted breaks with it. What waited in its queue, or came before connections were led
    past it, waits for its successor: on a slow machine longer than clients do.
    """

    def explains(died: float, asked: float, broke: float) -> bool:
        cut = asked <= died + CUT_WITHIN and died <= broke <= died + CUT_WITHIN
        return cut or (died - CUT_WITHIN <= asked <= died + LED_PAST_WITHIN and broke > died)

    return [each for each in soak.broken if not any(explains(died, *each) for died in soak.kills)]


def _clients(soak: Soak) -> list[Objective]:
    ledger = soak.ledger
    answered = [each for each in soak.answers if each.status != 0]
    wrong = [each for each in answered if each.status != 200]
    mislabelled = [each for each in answered if each.mislabelled]
    odd = unexplained(soak)
    uncaught = [word for word in soak.logged if "Internal Server Error" in word or ": " not in word]
    return [
        Objective(
            name="every read that no death cut is answered 200",
            measured=f"{len(answered) - len(wrong)} of {len(answered)}: {_listed(e.source for e in answered)}"
            + (f"; first: {wrong[0].status} for {wrong[0].path}" if wrong else ""),
            met=bool(answered) and not wrong,
        ),
        Objective(
            name="every degraded answer says so",
            measured=f"{len(mislabelled)} do not"
            + (f"; first: {mislabelled[0].mislabelled}" if mislabelled else ""),
            met=not mislabelled,
        ),
        Objective(
            name="connections break only where a worker was killed",
            measured=f"{len(soak.kills)} killed, {len(soak.broken)} broken "
            f"({len(ledger.broken)} of writes), {len(odd)} unexplained"
            + "".join(f"; from {asked:.1f} s to {broke:.1f} s" for asked, broke in odd[:5])
            + (f"; killed at {', '.join(f'{at:.1f}' for at in soak.kills)} s" if odd else ""),
            met=bool(soak.kills) and not odd,
        ),
        Objective(
            name="no acknowledged write is lost or doubled, none is lied about",
            measured=f"{len(ledger.stored)} stored ({len(ledger.settled)} of them by a repeat, of which "
            f"{ledger.replayed} found it stored), {len(ledger.not_stored)} refused; answers: "
            + ", ".join(f"{word} {count}" for word, count in sorted(ledger.answers.items()))
            + f"; {len(soak.contradictions)} contradictions"
            + (f"; first: {soak.contradictions[0]}" if soak.contradictions else ""),
            met=bool(ledger.stored) and not soak.contradictions,
        ),
        Objective(
            name="who signs in is told the truth: never 401 for the right password, never 500",
            measured=_listed(soak.sign_ins.elements())
            + (f"; first: {soak.strange_sign_ins[0]}" if soak.strange_sign_ins else ""),
            met=bool(soak.sign_ins) and not soak.strange_sign_ins,
        ),
        Objective(
            name="no error of the server's is uncaught",
            measured=f"{sum(soak.logged[word] for word in uncaught)} in its log"
            + (f"; first: {uncaught[0]}" if uncaught else ""),
            met=not uncaught,
        ),
    ]


def _growth(soak: Soak) -> list[Objective]:
    def megabytes(process: Process) -> float:
        return process.rss / 1024

    def descriptors(process: Process) -> float:
        return float(process.descriptors)

    def witness(value: Callable[[Process], float]) -> Points:
        return [
            (sample.at, value(each))
            for sample in soak.samples
            for each in sample.workers
            if each.pid == soak.witness
        ]

    def masters(value: Callable[[Process], float]) -> Points:
        return [(sample.at, sum(map(value, sample.masters))) for sample in soak.samples]

    return [
        _flat("memory of the worker that is spared", witness(megabytes), "MB", soak),
        _flat("memory of supervisor and server", masters(megabytes), "MB", soak),
        _flat(f"memory of workers that served for {AGE:.0f} s", _young(soak, megabytes), "MB", soak),
        _flat("descriptors of the worker that is spared", witness(descriptors), "", soak),
        _flat("descriptors of supervisor and server", masters(descriptors), "", soak),
    ]


def _processes(soak: Soak) -> Objective:
    """Children export the catalogue, or remove rows from the last export, and end.

    A steward that is killed leaves its own behind, which ends by itself.
    """
    others = [sample.family - len(sample.masters) - len(sample.workers) for sample in soak.samples]
    ended = "never" if soak.alone_after is None else f"after {soak.alone_after:.1f} s"
    return Objective(
        name="no process is left over",
        measured=f"{max(others)} at most beside supervisor, server and workers; all ended {ended}",
        met=soak.alone_after is not None,
    )


def _young(soak: Soak, value: Callable[[Process], float]) -> Points:
    """Return the killed workers when each had served for `AGE`, by when that was."""
    began: dict[int, float] = {}
    found: dict[int, tuple[float, float]] = {}
    for sample in soak.samples:
        for each in sample.workers:
            if each.pid == soak.witness or each.threads == 1:  # While it loads there is one thread.
                continue
            if sample.at - began.setdefault(each.pid, sample.at) >= AGE:
                found.setdefault(each.pid, (sample.at, value(each)))
    return sorted(found.values())


def _flat(name: str, points: Points, unit: str, soak: Soak) -> Objective:
    """See Note [What flat means]."""
    begins = WARM_UP * soak.length
    judged = points[bisect.bisect_left([at for at, _ in points], begins) :]
    if len(judged) < 3:
        return Objective(name=f"flat: {name}", measured=f"only {len(judged)} samples", met=False)
    values = [value for _, value in judged]
    rises, level = rise(judged), median(values)
    return Objective(
        name=f"flat: {name}",
        measured=f"{level:.0f} {unit}".strip()
        + f" ({min(values):.0f} to {max(values):.0f}), {rises:+.1f} in {judged[-1][0] - judged[0][0]:.0f} s",
        met=rises <= RISE * level,
    )


def _folders(soak: Soak) -> list[Objective]:
    first = soak.samples[0].folders
    objectives = []
    for name, bytes_allowed, files_allowed in (
        # A replacement is a new file of the same size, and for a moment there are both.
        ("store", 2 * first["store"][0], 8),
        ("journal", KEPT + 3 * ROTATED_AT, 32),
        # The two newest catalogues, and one that is being written, with its journal.
        ("static", 6 * first["static"][0], 8),
    ):
        sizes = [sample.folders[name] for sample in soak.samples]
        before, most, files = sizes[0][0], max(size for size, _ in sizes), max(count for _, count in sizes)
        objectives.append(
            Objective(
                name=f"bounded: the files of the {name}",
                measured=f"{before / 1e6:.2f} MB at first, {most / 1e6:.2f} MB, {files} files at most",
                met=most <= bytes_allowed and files <= files_allowed,
            )
        )
    return objectives


def _listed(words: object) -> str:
    counts = Counter(words)  # type: ignore[call-overload]
    return ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
