"""The static copy: which one counts, what damage does, what a build leaves behind."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from learn.models import Category, Course, Field
from resilience.conf.databases import STATIC_ALIAS
from resilience.primitives import TierUnavailableError
from resilience.tiers.static_copy import building, declared, files, opened, sources

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path / "tier")}
    return tmp_path / "tier"


def catalogue(title: str = "Optics") -> Any:
    category = Category.objects.create(title="Physics")
    field = Field.objects.create(title="Light", category=category)
    return Course.objects.create(title=title, field=field)


class TestOpened:
    def test_says_that_nothing_was_built(self) -> None:
        with pytest.raises(TierUnavailableError, match="no static copy has been built yet"), opened():
            pass

    def test_reads_the_file_and_not_the_primary(self) -> None:
        course = catalogue()
        building.from_live()
        Course.objects.filter(pk=course.pk).update(title="Changed since")
        with opened() as info:
            assert Course.objects.get(pk=course.pk).title == "Optics"
        assert (info.source, info.tier, info.rows["courses"]) == ("export", "static", 1)
        assert Course.objects.get(pk=course.pk).title == "Changed since"

    def test_notices_a_newer_file_at_the_next_entry(self) -> None:
        course = catalogue()
        building.from_live()
        with opened():
            assert Course.objects.get().title == "Optics"
        Course.objects.filter(pk=course.pk).update(title="Acoustics")
        building.from_live()
        with opened():
            assert Course.objects.get().title == "Acoustics"

    def test_leaves_the_alias_to_the_test_case_that_forbids_it(self) -> None:
        before = connections[STATIC_ALIAS]
        catalogue()
        building.from_live()
        with opened():
            assert Course.objects.count() == 1
            assert connections[STATIC_ALIAS] is not before
        assert connections[STATIC_ALIAS] is before

    def test_writes_nothing_to_the_file(self) -> None:
        catalogue()
        building.from_live()
        content = files.current().path.read_bytes()
        with opened():
            list(Course.objects.filter(search_text__has="optics"))
        assert files.current().path.read_bytes() == content


class TestSchema:
    def test_of_an_app_without_migrations_knows_none(self) -> None:
        """Nothing said so but a 500 at /api/health."""
        assert declared._migrations("staticfiles") == []


class TestEpoch:
    def test_lets_the_exporter_win_that_began_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        course = catalogue()
        stale = files.next_epoch()
        Course.objects.filter(pk=course.pk).update(title="Acoustics")
        building.from_live()
        Course.objects.filter(pk=course.pk).update(title="Optics")
        monkeypatch.setattr(files, "next_epoch", lambda **_: stale)
        building.from_live()
        with opened():
            assert Course.objects.get().title == "Acoustics"

    def test_of_a_rescue_is_lower_than_that_of_an_export_that_began_earlier(self) -> None:
        export = files.next_epoch()
        assert files.next_epoch(rescue=True) < export


class TestDamage:
    def test_cut_short_is_noticed_at_entry_and_the_older_file_answers(self) -> None:
        catalogue("Older")
        building.from_live()
        Course.objects.update(title="Newer")
        building.from_live()
        newest = files.current().path
        newest.write_bytes(newest.read_bytes()[:-4096])
        files._listings.clear()
        with opened():
            assert Course.objects.get().title == "Older"

    def test_within_the_block_sets_the_file_aside(self) -> None:
        catalogue()
        building.from_live()
        path = files.current().path
        content = path.read_bytes()
        path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
        with pytest.raises(TierUnavailableError, match="damaged"), opened():
            Course.objects.get()
        assert not path.exists()
        assert path.with_name(path.name + ".damaged").exists()

    def test_deep_inside_is_found_by_reading_it_all(self) -> None:
        building.from_fixtures()
        file = files.current()
        assert files.sound(file)
        content = bytearray(file.path.read_bytes())
        for page in range(8, len(content) // 4096 - 2, 3):
            content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
        file.path.write_bytes(content)
        assert not files.sound(file)


class TestBuild:
    def test_that_fails_leaves_the_old_file_and_nothing_of_its_own(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()
        building.from_live()
        before = sorted(folder.iterdir())

        def break_down(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(building, "_insert", break_down)
        with pytest.raises(OSError, match="No space"):
            building.from_live()
        assert sorted(folder.iterdir()) == before

    def test_is_refused_beside_another(self) -> None:
        with building.alone(), pytest.raises(building.BusyError), building.alone():
            pass

    def test_keeps_two_files(self, folder: Path) -> None:
        catalogue()
        for _ in range(4):
            building.from_live()
        assert len(list(folder.glob("*.sqlite3"))) == 2

    def test_without_fixtures_is_an_error_save_under_debug(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def missing(paths: object) -> Any:
            yield from [(tmp_path / "none").read_bytes()]

        monkeypatch.setattr(sources, "fixtures", missing)
        with pytest.raises(building.BuildError, match="FileNotFoundError"):
            building.from_fixtures()
        settings.DEBUG = True
        assert building.from_fixtures().tier == "mock"
        with opened() as info:
            assert Course.objects.public().count() == info.rows["courses"] == 60
