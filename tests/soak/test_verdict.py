"""A run that breaks a promise is found out."""

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from resilience.drills.load import Answer
from tests.soak.plan import BETWEEN_KILLS, KINDS, draw
from tests.soak.run import Soak, paths
from tests.soak.verdict import judge, rise
from tests.soak.watch import Process, Sample

WITNESS, MASTER = 7, 6


def process(pid: int, *, age: float = 100.0, rss: float = 100_000.0, descriptors: float = 60.0) -> Process:
    return Process(pid=pid, age=age, rss=int(rss), pss=int(rss), descriptors=int(descriptors), threads=20)


def good() -> Soak:
    """Return a run in which all went well: a worker dies each 20 s, and two writes were stored."""
    plan = draw(1, seconds=1200.0, workers=2)
    soak = Soak(
        plan=plan,
        length=1200.0,
        witness=WITNESS,
        well_after=0.1,
        alone_after=0.1,
        kills=[20.0 * n for n in range(1, 60)],
    )
    noise = random.Random(3)  # noqa: S311 - no secret
    for at in range(0, 1200, 2):
        rss = noise.gauss(100_000, 2_000)
        workers = (process(WITNESS, rss=rss), process(100 + at // 20, age=at % 20.0, rss=rss))
        folders = dict.fromkeys(("store", "journal", "static"), (1000, 3))
        soak.samples.append(
            Sample(at=float(at), masters=(process(MASTER),), workers=workers, family=3, folders=folders)
        )
    soak.answers = [Answer(at=1.0, seconds=0.1, path="/", status=200, source="live")]
    soak.ledger.stored |= {"Ledger 1", "Ledger 2"}
    soak.sign_ins = Counter({"right password 200": 3})
    return soak


def broken(soak: Soak) -> list[str]:
    return [each.name for each in judge(soak) if not each.met]


def test_a_good_run_passes() -> None:
    assert broken(good()) == []


def _answer(status: int, mislabelled: str = "") -> Callable[[Soak], object]:
    answer = Answer(at=2.0, seconds=0.1, path="/", status=status, source="x", mislabelled=mislabelled)
    return lambda soak: soak.answers.append(answer)


def _replace(soak: Soak, change: Callable[[Sample], Sample]) -> None:
    soak.samples[:] = map(change, soak.samples)


def _with(sample: Sample, **changes: Any) -> Sample:
    return Sample(**{**vars(sample), **changes})


def _witness_grows(soak: Soak) -> None:
    _replace(
        soak,
        lambda s: _with(
            s, workers=(process(WITNESS, rss=s.workers[0].rss * (1 + s.at / 6_000)), s.workers[1])
        ),
    )


def _newcomers_grow(soak: Soak) -> None:
    def change(s: Sample) -> Sample:
        young = s.workers[1]
        grown = process(young.pid, age=young.age, rss=young.rss * (1 + s.at / 6_000))
        return _with(s, workers=(s.workers[0], grown))

    _replace(soak, change)


def _leak_descriptors(soak: Soak) -> None:
    _replace(soak, lambda s: _with(s, masters=(process(MASTER, descriptors=20 + s.at / 60),)))


def _fill_the_disk(soak: Soak) -> None:
    _replace(soak, lambda s: _with(s, folders={**s.folders, "static": (1_000 * int(s.at), 3)}))


@pytest.mark.parametrize(
    ("harm", "promise"),
    [
        (_answer(500), "every read that no death cut is answered 200"),
        (_answer(200, "static, and its body does not say so"), "every degraded answer says so"),
        (lambda soak: soak.broken.append((25.0, 30.0)), "connections break only where a worker was killed"),
        (lambda soak: soak.broken.append((5.0, 20.2)), None),
        (lambda soak: soak.broken.append((19.8, 35.0)), None),
        (
            lambda soak: soak.contradictions.append("acknowledged and lost: Ledger 1"),
            "no acknowledged write is lost or doubled, none is lied about",
        ),
        (
            lambda soak: soak.strange_sign_ins.append("right password: 401"),
            "who signs in is told the truth: never 401 for the right password, never 500",
        ),
        (
            lambda soak: soak.logged.update(["Traceback (most recent call last):"]),
            "no error of the server's is uncaught",
        ),
        (_witness_grows, "flat: memory of the worker that is spared"),
        (_newcomers_grow, "flat: memory of workers that served for 8 s"),
        (_leak_descriptors, "flat: descriptors of supervisor and server"),
        (lambda soak: setattr(soak, "alone_after", None), "no process is left over"),
        (_fill_the_disk, "bounded: the files of the static"),
        (lambda soak: setattr(soak, "well_after", None), "all is well within 60 s of the end"),
    ],
)
def test_a_broken_promise_is_named(harm: Callable[[Soak], object], promise: str | None) -> None:
    soak = good()
    harm(soak)
    assert broken(soak) == ([] if promise is None else [promise])


def test_a_short_run_tells_nothing_of_growth() -> None:
    soak = good()
    _witness_grows(soak)
    soak.length = 90.0
    assert broken(soak) == []


class TestRise:
    def test_is_that_of_a_line(self) -> None:
        assert rise([(float(x), 3.0 * x) for x in range(100)]) == pytest.approx(297.0)

    def test_is_not_bent_by_peaks(self) -> None:
        points = [(float(x), 1_000.0 if x % 10 == 0 else 5.0) for x in range(100)]
        assert rise(points) == pytest.approx(0.0)


class TestPlan:
    def test_is_the_same_for_one_seed(self) -> None:
        assert draw(5, seconds=600.0) == draw(5, seconds=600.0) != draw(6, seconds=600.0)

    def test_has_a_fault_each_twenty_seconds_and_never_two_at_once(self) -> None:
        faults = draw(5, seconds=1200.0).faults
        assert len(faults) == 59  # one more would outlast the run
        assert all(
            after.begins == pytest.approx(fault.begins + 20.0) for fault, after in itertools.pairwise(faults)
        )
        assert all(fault.ends < after.begins for fault, after in itertools.pairwise(faults))
        assert {fault.kind for fault in faults} == set(KINDS)

    def test_kills_no_two_workers_within_ten_seconds(self) -> None:
        kills = draw(5, seconds=1200.0).kills
        assert len(kills) > 60
        assert all(after - kill >= BETWEEN_KILLS for kill, after in itertools.pairwise(kills))

    def test_reads_what_was_never_asked_before_among_what_is_repeated(self) -> None:
        asked = Counter(paths(draw(5, seconds=1200.0)))
        once = sum(1 for count in asked.values() if count == 1)
        assert 0.25 < once / asked.total() < 0.4
        assert max(asked.values()) > 100
