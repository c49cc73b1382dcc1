"""The short form of `make soak`."""

import pytest

from tests.soak.plan import draw
from tests.soak.run import run
from tests.soak.verdict import judge

# Connections of 16 threads to database, cache and static copy, those of a few clients, and the server's own.
MOST_DESCRIPTORS = 150
# KiB; a worker at rest has 90 MB.
MOST_MEMORY = 400 * 1024


@pytest.mark.timeout(600)
def test_every_promise_is_kept_while_dependencies_break_and_workers_die() -> None:
    plan = draw(11, seconds=90.0, rate=8.0, workers=2, every=13.0, longest=6.0)
    soak = run(plan, open_for="1", step=30.0, tell=lambda _: None)
    assert {f"{each.name}: {each.measured}" for each in judge(soak) if not each.met} == set()
    processes = [each for sample in soak.samples for each in (*sample.masters, *sample.workers)]
    assert max(each.descriptors for each in processes) < MOST_DESCRIPTORS
    assert max(each.rss for each in processes) < MOST_MEMORY
    assert len(soak.faults) >= 5
    assert len(soak.kills) >= 2
    assert {"live", "static"} <= {answer.source for answer in soak.answers}
