"""A copy finds a place although its own folder takes none, and is found there.

Of the kind: no such folder and none to be made, a file in its place, another user's, a link in the place of
what stands in, a disk that fills while a file is written, a file system without locks.
Read-only file systems are tried with a real server in tests/functional/test_folders.py.
"""

import errno
import fcntl
import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django import Settings

from learn.models import Category, Course, Field
from resilience import conf
from resilience.primitives import TierUnavailableError
from resilience.tiers.static_copy import building, files, folders, info, opened, removing

pytestmark = pytest.mark.django_db
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the settings: a file stands in its place."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    settings.RESILIENCE = {
        **settings.RESILIENCE,
        "STATIC_DIR": str(tmp_path / "tier"),
        "DIR": str(tmp_path / "store"),
    }
    (tmp_path / "tier").write_text("in the way")
    return tmp_path / "tier"


@pytest.fixture
def course() -> Course:
    field = Field.objects.create(title="Light", category=Category.objects.create(title="Physics"))
    made: Course = Course.objects.create(title="Optics", field=field)
    return made


def where() -> str:
    """Return in which folder the file lies that counts now."""
    return files.current().path.parent.name.rpartition("-")[0]


class TestStandIn:
    def test_is_among_the_temporary_files_where_there_is_no_store(self, course: Course) -> None:
        building.from_live()
        assert where() == f"resilience-{os.geteuid()}-static-tier"
        assert files.current().path.parent.stat().st_mode & 0o777 == 0o700
        with opened():
            assert list(Course.objects.values_list("title", flat=True)) == ["Optics"]

    def test_is_beside_the_store_where_there_is_one(self, course: Course) -> None:
        conf.directory().mkdir(mode=0o700)
        building.from_live()
        assert where() == "static-tier"

    def test_is_not_made_in_place_of_the_store(self, course: Course) -> None:
        building.from_live()
        assert not conf.directory().exists()

    def test_of_another_folder_is_another(self, course: Course, settings: Settings, tmp_path: Path) -> None:
        building.from_live()
        (tmp_path / "other").touch()
        settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path / "other")}
        with pytest.raises(TierUnavailableError):
            files.current()

    def test_gives_way_once_the_folder_can_be_written(self, course: Course, folder: Path) -> None:
        building.from_live()
        stood_in = files.current().path
        folder.unlink()
        building.from_live()
        assert files.current().path.parent == folder
        assert not stood_in.exists()

    def test_takes_what_is_newer_than_the_file_in_a_folder_that_was_filled_since(
        self, course: Course, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was removed goes out of the copy, also of one that cannot be written any more."""
        folder.unlink()
        building.from_live()
        full(folder, monkeypatch)
        Course.objects.filter(pk=course.pk).unpublish()
        assert removing.without_removed() is not None
        assert where() == f"resilience-{os.geteuid()}-static-tier"
        with opened():
            assert not Course.objects.exists()

    def test_holds_up_no_builder_without_locks(self, course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refused)
        with building.alone():
            building.from_live()
        assert files.current().info.source == "export"

    @pytest.mark.parametrize("how", ["link", "open to all", pytest.param("foreign", marks=only_root)])
    def test_is_not_used_where_another_user_could_have_made_it(
        self, course: Course, how: str, tmp_path: Path
    ) -> None:
        *_, stand_in = folders._stand_ins()
        target = tmp_path / "planted"
        target.mkdir()
        if how == "link":
            stand_in.symlink_to(target)
        else:
            stand_in.mkdir(mode=0o700)
        if how == "open to all":
            stand_in.chmod(0o777)
        if how == "foreign":
            os.chown(stand_in, 12345, 12345)
        assert folders.folders() == [folders.chosen()]
        if how != "open to all":  # That one is ours, and is shut.
            with pytest.raises(OSError, match="exists"):
                building.from_live()
            assert list(target.iterdir()) == []

    def test_is_told_of_with_the_reason(self, course: Course, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING, "resilience.static"):
            building.from_live()
        assert "takes no static copy: [Errno 17] File exists" in caplog.text

    def test_is_not_tried_for_what_is_no_fault_of_a_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Path] = []

        def lost(folder: Path) -> None:
            asked.append(folder)
            raise OperationalError("server closed the connection")

        with pytest.raises(OperationalError):
            folders.in_one_that_takes_it(lost)
        assert len(asked) == 1


def full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk of this folder be full from now on: as SQLite says it, in the middle of a file."""
    usual = info.write

    def write(connection: Any, made: info.StaticInfo) -> None:
        if str(folder) in str(connection.execute("PRAGMA database_list").fetchone()):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        usual(connection, made)

    monkeypatch.setattr(info, "write", write)
