"""What the steward does for the static copy: which child it starts when, and what it finds damaged."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import Settings

from learn.models import Category, Course, Field
from resilience import registry
from resilience.conf.databases import STATIC_ALIAS
from resilience.primitives import ManualClock, TierUnavailableError
from resilience.testing import server_role
from resilience.tiers.static_copy import Export, Resource, building, files, keeping, opened, removing
from resilience.tiers.static_copy.declared import schema
from resilience.tiers.static_copy.keeping import Keeper, Start

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path / "tier")}
    return tmp_path / "tier"


WITHOUT_FIXTURES = Export(resources=[Resource(name="fields", rows=Field.objects.public)])


def catalogue() -> None:
    category = Category.objects.create(title="Physics")
    field = Field.objects.create(title="Light", category=category)
    for title in ("Optics", "Lasers", "Lenses"):
        Course.objects.create(title=title, field=field)


class Children:
    """Stand in for the processes: note what is asked for, and answer as told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.busy: set[str] = set()
        self.failing: set[str] = set()

    def __call__(self, action: str, *_: str) -> bool:
        self.asked.append(action)
        if action in self.failing:
            raise RuntimeError(action)
        if action == "build":
            building.from_fixtures(rescue=True)
        return action not in self.busy

    def since(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Children:
    stand_in = Children()
    monkeypatch.setattr(keeping, "_child", stand_in)
    return stand_in


@pytest.fixture
def without_fixtures(settings: Settings) -> None:
    settings.RESILIENCE = {**settings.RESILIENCE, "FALLBACK": f"{__name__}.WITHOUT_FIXTURES"}


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    clock = ManualClock()
    with server_role(clock=clock):
        yield clock


class TestKeeper:
    def test_builds_what_is_missing(self, children: Children, clock: ManualClock) -> None:
        Keeper().run(1)
        assert children.since()[0] == "build"
        assert files.current().info.source == "fixtures"

    def test_of_a_new_steward_looks_at_everything_anew(self, children: Children, clock: ManualClock) -> None:
        building.from_fixtures()
        keeper = Keeper()
        keeper.run(1)
        assert children.since() == ["remove", "export"]
        keeper.run(1)
        assert children.since() == []
        keeper.run(2)
        assert children.since() == ["remove", "export"]

    def test_exports_a_change_at_most_every_ten_minutes(self, children: Children, clock: ManualClock) -> None:
        building.from_fixtures()
        keeper = Keeper()
        keeper.run(1)
        children.since()
        registry.store().marks.rise(version=7)
        clock.advance(keeping.EXPORT_EVERY - 1)
        keeper.run(1)
        assert children.since() == []
        clock.advance(1)
        keeper.run(1)
        assert children.since() == ["export"]

    def test_takes_out_what_was_removed_at_once(self, children: Children, clock: ManualClock) -> None:
        building.from_fixtures()
        keeper = Keeper()
        keeper.run(1)
        children.since()
        registry.store().marks.rise(version=7, removals=1)
        clock.advance(2)
        keeper.run(1)
        assert children.since() == ["remove"]

    @pytest.mark.parametrize("how", ["busy", "failing"])
    def test_tries_a_removal_again_that_did_not_come_about(
        self, children: Children, clock: ManualClock, how: str
    ) -> None:
        building.from_fixtures()
        keeper = Keeper()
        getattr(children, how).add("remove")
        if how == "failing":
            with pytest.raises(RuntimeError):
                keeper.run(1)
        else:
            keeper.run(1)
        getattr(children, how).clear()
        keeper.run(1)
        assert children.since() == ["remove"]  # not at once: a failing child every 2 s would be a load
        clock.advance(5)
        keeper.run(1)
        assert children.since() == ["remove", "export"]

    @pytest.mark.usefixtures("without_fixtures", "clock")
    def test_without_fixtures_makes_the_first_of_the_live_database(self, children: Children) -> None:
        children.busy.add("export")
        Keeper().run(1)
        assert children.since() == ["export"]
        registry.breaker("database").isolate(who="test", why="maintenance")
        Keeper().run(1)
        assert children.since() == []

    def test_without_a_declared_export_has_nothing_to_do(
        self, children: Children, settings: Settings
    ) -> None:
        settings.RESILIENCE = {**settings.RESILIENCE, "FALLBACK": None}
        Keeper().run(1)
        assert children.since() == []

    def test_asks_nothing_of_a_database_that_refuses(self, children: Children, clock: ManualClock) -> None:
        building.from_fixtures()
        registry.breaker("database").isolate(who="test", why="maintenance")
        Keeper().run(1)
        assert children.since() == []
        assert files.current().info.source == "fixtures"

    def test_finds_damage_before_a_request_does(self, children: Children, clock: ManualClock) -> None:
        building.from_fixtures()
        path = files.current().path
        content = bytearray(path.read_bytes())
        for page in range(8, len(content) // 4096 - 2, 3):
            content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
        path.write_bytes(content)
        Keeper().run(1)
        assert children.since()[0] == "build"
        assert path.with_name(path.name + ".damaged").exists()
        assert files.sound(files.current())


class TestMissing:
    def test_is_built_by_a_child_also_while_settings_are_overridden(self, settings: Settings) -> None:
        settings.DEBUG = False
        assert keeping.build_if_missing()
        assert files.current().info.source == "fixtures"

    def test_is_built_by_one_of_the_workers_that_start_together(self, children: Children) -> None:
        with files.locked("start") as first:
            assert first
            keeping.build_if_missing()
        assert children.since() == []
        keeping.build_if_missing()
        keeping.build_if_missing()
        assert children.since() == ["build"]


class TestRemoving:
    def test_deletes_what_is_no_longer_public_parents_too(self) -> None:
        catalogue()
        building.from_live()
        as_of = files.current().info.as_of
        Course.objects.filter(title="Optics").unpublish()
        made = removing.without_removed()
        assert made is not None
        assert (made.rows, made.as_of) == ({"categories": 1, "fields": 1, "courses": 2}, as_of)
        Category.objects.all().unpublish()
        removing.without_removed()
        with opened() as info:
            assert info.rows == {"categories": 0, "fields": 0, "courses": 0}
            assert not Course.objects.filter(search_text__has="lasers").exists()

    def test_does_not_bring_what_is_new(self) -> None:
        catalogue()
        building.from_live()
        Course.objects.filter(title="Optics").delete()
        Course.objects.create(title="Prisms", field=Field.objects.get())
        removing.without_removed()
        with opened():
            assert {course.title for course in Course.objects.all()} == {"Lasers", "Lenses"}
        assert building.changed()

    def test_leaves_the_file_alone_when_nothing_went(self) -> None:
        catalogue()
        building.from_live()
        before = files.current()
        assert removing.without_removed() is None
        assert files.current() == before

    def test_an_empty_database_does_not_replace_the_fixtures(self) -> None:
        building.from_fixtures()
        assert removing.without_removed() is None
        assert files.current().info.source == "fixtures"


class TestAttacked:
    def test_zero_bytes_and_the_name_of_another_schema_do_not_count(self, folder: Path) -> None:
        catalogue()
        building.from_live()
        good = files.current()
        (folder / f"catalogue-{schema()}-{files.next_epoch() + 9}.sqlite3").touch()
        shutil.copyfile(good.path, folder / f"catalogue-{'0' * 12}-{files.next_epoch() + 99}.sqlite3")
        assert files.current() == good

    def test_a_folder_that_cannot_be_one_is_an_outage_of_the_tier_alone(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.write_text("a file stands in its place")
        monkeypatch.setenv("TMPDIR", str(folder))
        with pytest.raises(TierUnavailableError, match="cannot be read"), opened():
            pass
        with pytest.raises(OSError, match="exists"), building.alone():
            pass

    def test_what_a_killed_builder_left_is_removed_by_the_next(self, folder: Path) -> None:
        building.from_fixtures()
        left = folder / f"catalogue-{schema()}-1.sqlite3.999.aside"
        left.write_bytes(b"half")
        with building.alone():
            assert not left.exists()

    def test_a_reader_keeps_its_file_while_another_takes_its_place(self) -> None:
        catalogue()
        building.from_live()
        with opened():
            rows = Course.objects.order_by("slug").iterator(chunk_size=1)
            first = next(rows)
            for _ in range(3):
                building.from_live()
            assert not Path(str(connections[STATIC_ALIAS].settings_dict["NAME"])[7:].split("?")[0]).exists()
            assert [first.title, *(course.title for course in rows)] == ["Lasers", "Lenses", "Optics"]

    def test_threads_read_whole_files_while_others_take_their_place(self) -> None:
        building.from_fixtures()
        ready = threading.Barrier(5)
        done = threading.Event()

        def read() -> int:
            ready.wait()
            entries = 0
            try:
                while not done.is_set() or entries == 0:
                    with opened() as info:
                        assert Course.objects.count() == info.rows["courses"]
                    entries += 1
            finally:
                connections[STATIC_ALIAS].close()
            return entries

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read) for _ in range(4)]
            ready.wait()
            try:
                for _ in range(3):
                    building.from_fixtures()
            finally:
                done.set()
        assert all(reader.result() > 0 for reader in readers)


class TestStart:
    """Of the kind: no file yet, one that is damaged, another process that builds, a build that fails, no
    `FALLBACK`, a command instead of a server.
    """

    def finished(self, start: Start) -> Start:
        start.wait()
        return start

    def test_goes_on_until_a_file_opens(self, children: Children, clock: ManualClock) -> None:
        start = Start()
        with files.locked("start"):  # as by another process
            assert start.goes_on()
            assert start.goes_on()
        assert not self.finished(start).goes_on()
        assert children.since() == ["build"]
        assert files.current().info.source == "fixtures"

    def test_is_over_at_once_with_a_file_that_is_well(self, children: Children, clock: ManualClock) -> None:
        building.from_fixtures()
        assert not self.finished(Start()).goes_on()
        assert children.since() == []

    def test_builds_another_in_place_of_a_damaged_one(self, children: Children, clock: ManualClock) -> None:
        building.from_fixtures()
        damaged = files.current()
        with damaged.path.open("r+b") as file:
            file.seek(damaged.size // 2)
            file.write(b"\xff" * 20_000)
        assert not self.finished(Start()).goes_on()
        assert files.current().path != damaged.path

    def test_is_over_after_five_seconds_whatever_happens(
        self, children: Children, clock: ManualClock
    ) -> None:
        children.failing = {"build"}
        start = Start()
        assert start.goes_on()
        clock.advance(4.9)
        assert start.goes_on()
        clock.advance(0.2)
        assert not start.goes_on()

    def test_is_none_without_anything_to_fall_back_to(self, settings: Settings, clock: ManualClock) -> None:
        settings.RESILIENCE = {**settings.RESILIENCE, "FALLBACK": None}
        assert not Start().goes_on()

    def test_is_none_for_a_command(self) -> None:
        assert not Start().goes_on()
