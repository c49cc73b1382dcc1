"""The short form of `make interleaving`: few turns, few seeds, and each planted defect."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.interleaving.__main__ import main
from tests.interleaving.defects import DEFECTS, Defect
from tests.interleaving.kernel import in_place
from tests.interleaving.report import story
from tests.interleaving.scenarios import SCENARIOS
from tests.interleaving.schedule import Bounds, Schedule, parse
from tests.interleaving.search import Chance, Exhaustive, Found, simplest
from tests.interleaving.world import World, replay

SEEDS = 100


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What the store logs of thousands of runs is not kept."""
    with caplog.at_level("CRITICAL", logger="resilience"):
        yield


def search(world: World, bounds: Bounds, *, joins: bool = True) -> Found:
    found = Found()
    with in_place(world):
        for level in Exhaustive(world, bounds, joins=joins).run():
            found += level
    return found


@pytest.mark.parametrize("name", SCENARIOS)
class TestTheStore:
    def test_keeps_its_promises_in_all_orders_of_two_processes(self, name: str) -> None:
        world = World(SCENARIOS[name](), 2)
        for each in (world.scenario.short, Bounds(1, stops=1), Bounds(0, deaths=1)):
            found = search(world, each)
            assert found.broken == [], each
            assert found.schedules > 20
        assert min(world.looked_at.values()) > 5

    def test_keeps_them_in_orders_of_three_that_a_seed_gives(self, name: str) -> None:
        world = World(SCENARIOS[name](), 3)
        with in_place(world):
            chance = Chance(world)
            runs = [chance.run(seed) for seed in range(SEEDS)]
        assert [failure for _, failure in runs if failure] == []
        assert len({schedule for schedule, _ in runs}) > SEEDS * 0.9


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        # One asks for the lease, waits for the lock, and has it after another one that had it and died.
        (
            "lease",
            "c 1>b 9=c 12>b 19>a 22>c 30>c 33>b 36>a 38>c 39>b 40>a 42>c 45>b 46>a 57>b 70>c 74>a 81!c",
        ),
        # The first write of all is taken back, and one looks who could not write itself.
        (
            "folders",
            "b 3>a 5>c 10>b 15>c 18>b 20>c 22>b 26>a 28>c 29>a 36>b 38=c 39>a 44!c 50>b 51>c 64>c 66>b 70>b "
            "95>c",
        ),
    ],
    ids=["lease", "folders"],
)
def test_the_store_keeps_its_promises_in_orders_of_three_that_are_rare(name: str, schedule: str) -> None:
    world = World(SCENARIOS[name](), 3)
    with in_place(world):
        assert replay(world, parse(schedule)) is None


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_is_found_and_told_by_a_schedule_that_shows_it_again(defect: Defect) -> None:
    with defect.planted():
        world = World(SCENARIOS[defect.scenario](), 2)
        found = search(world, defect.bounds)
        ((schedule, failure),) = found.broken
        with in_place(world):
            assert replay(world, parse(str(schedule))) == failure
    with in_place(world):
        assert replay(world, schedule) is None


class TestTheSearch:
    def test_of_runs_that_join_others_comes_to_all_ends_that_there_are(self) -> None:
        every = search(World(SCENARIOS["late"](), 2), Bounds(2, stops=1), joins=False)
        joined = search(World(SCENARIOS["late"](), 2), Bounds(2, stops=1))
        assert every.joined == 0
        assert joined.schedules - joined.joined < every.schedules / 9
        assert joined.ends == every.ends

    def test_leaves_out_of_a_schedule_what_the_failure_does_not_need(self) -> None:
        defect = next(defect for defect in DEFECTS if defect.scenario == "record")
        with defect.planted():
            world = World(SCENARIOS["record"](), 3)
            with in_place(world):
                runs = (Chance(world).run(seed) for seed in range(SEEDS))
                schedule = next(schedule for schedule, failure in runs if failure and len(schedule.turns) > 9)
                simple = simplest(world, schedule)
                assert len(simple.turns) < len(schedule.turns) / 2
                assert replay(world, simple) is not None

    def test_tells_a_schedule_step_by_step(self) -> None:
        world = World(SCENARIOS["record"](), 2)
        with in_place(world):
            told = story(world, parse("a 12=b 30!a"))
        lines = told.splitlines()
        assert re.fullmatch(r" +1 a  flock +True +lock\.py:\d+ _take_locked", lines[1])
        assert any(re.search(r"12 a  is stopped for b", line) for line in lines)
        assert any(re.search(r"30 b  is killed; a", line) for line in lines)
        assert any(
            re.search(r"write lease\.version := \d+ +versioned\.py:\d+ _write", line) for line in lines
        )

    def test_gives_the_same_schedule_for_the_same_seed_in_each_process(self) -> None:
        world = World(SCENARIOS["orders"](), 3)
        with in_place(world):
            schedule, _ = Chance(world).run(7)
            steps = world.steps
        code = (
            "from tests.interleaving.test_search import *\n"
            "world = World(SCENARIOS['orders'](), 3)\n"
            "with in_place(world): print(Chance(world).run(7)[0], '/', world.steps)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == f"{schedule} / {steps}"


class TestSchedules:
    def test_are_read_back_from_what_is_written(self) -> None:
        text = "b 3>a 17=c 20!b"
        assert str(parse(text)) == text
        assert parse("a") == Schedule(0)

    @pytest.mark.parametrize("text", ["", "d", "a 3>d", "a 3", "ab 3>a", "3>a", "a >b"])
    def test_that_are_none_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="not a schedule such as"):
            parse(text)


class TestTheCommand:
    @pytest.fixture
    def command(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[..., tuple[object, str]]:
        """Run it in this process; return its exit code and what it has printed."""

        def command(*arguments: str) -> tuple[object, str]:
            monkeypatch.setattr(sys, "argv", ["interleaving", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            return ended.value.code, "".join(capsys.readouterr())

        return command

    def test_counts_what_it_has_run(self, command: Callable[..., tuple[object, str]]) -> None:
        code, told = command("--only", "slots", "--seeds", "20")
        assert code == 0
        assert re.search(r"slots: ≤ 3 preemptions: \d+ schedules, \d+ of them joined others, ", told)
        assert re.search(r"slots: ≤ 1 preemptions, ≤ 1 of them a stop, ≤ 1 deaths: \d+ schedules", told)
        assert "slots: 3 processes, 20 seeds from 0: 20 schedules" in told
        assert re.search(r"\n\d+ schedules, 0 broken, \d+ s", told)

    def test_runs_one_seed_or_one_schedule_again(self, command: Callable[..., tuple[object, str]]) -> None:
        assert "1 seeds from 7: 1 schedules" in command("--only", "slots", "--seed", "7")[1]
        code, told = command("--only", "slots", "--schedule", "a 3>b")
        assert "3 a  yields to b" in told
        assert code == 0

    def test_shows_what_is_broken_with_the_command_that_shows_it_again(
        self, command: Callable[..., tuple[object, str]]
    ) -> None:
        defect = next(defect for defect in DEFECTS if defect.scenario == "slots")
        with defect.planted():
            code, told = command("--only", "slots", "--seeds", "5")
        assert code == 1
        assert "BROKEN: a slot is one living process's" in told
        assert "Again: python -m tests.interleaving --only slots --processes 2 --schedule 'a'" in told

    def test_searches_for_each_planted_defect(
        self, command: Callable[..., tuple[object, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = next(defect for defect in DEFECTS if defect.scenario == "slots")
        harmless = replace(found, name="harmless", wrong=found.right)
        monkeypatch.setattr("tests.interleaving.__main__.DEFECTS", [found, harmless])
        code, told = command("--defects")
        assert code == 1
        assert f"{found.name}: 1 schedules of slots: a: a slot is one living process's" in told
        assert re.search(r"harmless: \d+ schedules of slots: NOT FOUND", told)

    def test_knows_its_scenarios(self, command: Callable[..., tuple[object, str]]) -> None:
        code, told = command("--only", "nothing")
        assert code == 2
        assert "there is no nothing; there are record, " in told
