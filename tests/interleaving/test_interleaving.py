"""The store keeps its claims in each order of steps, and the search finds what is planted.

The short form of `python -m tests.interleaving`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.interleaving.defects import DEFECTS, Defect
from tests.interleaving.kernel import in_place
from tests.interleaving.scenarios import SCENARIOS
from tests.interleaving.schedule import Schedule, parse
from tests.interleaving.search import Bounds, Chance, Exhaustive
from tests.interleaving.world import World, replay

SEEDS = 50


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Without the store's log, which tells of each dead process."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def broken(world: World, bounds: Bounds) -> list[tuple[Schedule, str]]:
    with in_place(world):
        return [each for found in Exhaustive(world, bounds).run() for each in found.broken]


class TestStore:
    @pytest.mark.parametrize("name", SCENARIOS)
    def test_keeps_its_claims_with_a_preemption_at_each_step(self, name: str) -> None:
        assert broken(World(SCENARIOS[name](), 2), Bounds(1)) == []

    @pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.deaths])
    def test_keeps_its_claims_with_a_death_at_each_step(self, name: str) -> None:
        assert broken(World(SCENARIOS[name](), 2), Bounds(0, deaths=1)) == []

    @pytest.mark.parametrize("name", SCENARIOS)
    def test_keeps_its_claims_among_three_processes(self, name: str) -> None:
        world = World(SCENARIOS[name](), 3)
        with in_place(world):
            chance = Chance(world)
            assert [seed for seed in range(SEEDS) if chance.run(seed)[1] is not None] == []


class TestSearch:
    @pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
    def test_finds_what_is_planted(self, defect: Defect) -> None:
        with defect.planted():
            assert broken(World(SCENARIOS[defect.scenario](), 2), defect.bounds) != []

    def test_runs_a_schedule_again_from_its_text(self) -> None:
        defect = DEFECTS[0]
        with defect.planted():
            world = World(SCENARIOS[defect.scenario](), 2)
            (schedule, failure), *_ = broken(world, defect.bounds)
            with in_place(world):
                assert replay(world, parse(str(schedule))) == failure

    def test_refuses_what_is_no_schedule(self) -> None:
        with pytest.raises(ValueError, match="not a schedule"):
            parse("a 17?b")
