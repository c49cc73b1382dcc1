"""A folder that cannot be written is said: by `check`, in the log once, in health, as a metric.

Of the kind: another user's, without leave to write, a file in its place, full, missing. Real servers and
read-only file systems: tests/functional/test_folders.py.
"""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import Warning, run_checks
from django.test import Client
from pytest_django import Settings

from resilience import conf, registry
from resilience.observe import folders, metrics
from resilience.primitives import HostStore
from resilience.testing import server_role

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, settings: Settings) -> dict[str, Path]:
    """The folders of this project, none of which is there yet."""
    named = {name: tmp_path / name for name in ("store", "static", "events")}
    settings.RESILIENCE = {
        **settings.RESILIENCE,
        **{
            key: str(named[name])
            for key, name in (("DIR", "store"), ("STATIC_DIR", "static"), ("EVENTS_DIR", "events"))
        },
    }
    return named


@pytest.fixture
def server() -> Iterator[None]:
    with server_role():
        yield


def refuse(path: Path, how: str) -> None:
    """Make a folder useless."""
    if how == "a file":
        path.write_text("in the way")
    else:
        path.mkdir()
        os.chown(path, 12345, 12345)


KINDS = ["a file", pytest.param("foreign", marks=only_root)]


def warned(*, deploy: bool = False) -> list[tuple[str | None, str]]:
    found = run_checks(tags=["folders"], include_deployment_checks=deploy)
    assert all(isinstance(each, Warning) for each in found), "the server does without them"
    return [(each.id, each.msg) for each in found]


class TestChecks:
    def test_are_content_with_folders_that_can_be_made_and_make_none(self, places: dict[str, Path]) -> None:
        assert warned(deploy=True) == []
        assert not any(path.exists() for path in places.values())

    @pytest.mark.parametrize("how", KINDS)
    @pytest.mark.parametrize("name", ["store", "static", "events"])
    def test_name_each_that_cannot_be_used(self, places: dict[str, Path], name: str, how: str) -> None:
        refuse(places[name], how)
        (look,) = warned()
        assert look[0] == "resilience.W080"
        assert str(places[name]) in look[1]
        assert ("is a file" if how == "a file" else "belongs to user 12345") in look[1]
        assert "resilience.W081" in [each for each, _ in warned(deploy=True)]

    def test_write_a_file_and_remove_it_only_where_deployment_is_checked(
        self, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[str] = []
        usual = os.open

        def noted(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            if flags & os.O_CREAT:
                written.append(Path(path).parent.name)
            return usual(path, flags, *arguments, **named)

        for path in places.values():
            path.mkdir(mode=0o700)
        monkeypatch.setattr(os, "open", noted)
        assert warned() == []
        assert written == []
        assert warned(deploy=True) == []
        assert sorted(written) == ["events", "static", "store"]
        assert [list(path.iterdir()) for path in places.values()] == [[], [], []]

    def test_find_a_full_disk(self, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        places["events"].mkdir()
        monkeypatch.setattr(os, "write", lambda *_: 100)
        assert [each for each, _ in warned(deploy=True)] == ["resilience.W081"] * 3
        monkeypatch.undo()
        assert list(places["events"].iterdir()) == []

    @only_root
    def test_say_when_the_server_is_another_user(self, places: dict[str, Path]) -> None:
        HostStore(places["store"], conf.namespace(), role="server", create=True).close()
        assert warned(deploy=True) == []
        os.chown(places["store"], 12345, 12345)
        found = dict(warned(deploy=True))
        assert "is of user 12345, and this is root (0)" in found["resilience.W082"]

    @only_root
    def test_find_the_other_users_store_inside_a_volume_for_everybody(
        self, places: dict[str, Path], settings: Settings
    ) -> None:
        places["store"].mkdir()
        places["store"].chmod(0o777)
        theirs = places["store"] / "resilience-12345"
        HostStore(theirs, conf.namespace(), role="server", create=True).close()
        os.chown(theirs, 12345, 12345)
        assert [each for each, _ in warned(deploy=True)] == ["resilience.W082"]

    def test_say_nothing_of_a_copy_that_there_is_none_of(
        self, places: dict[str, Path], settings: Settings
    ) -> None:
        refuse(places["static"], "a file")
        settings.RESILIENCE = {**settings.RESILIENCE, "FALLBACK": None}
        assert warned(deploy=True) == []

    def test_look_at_the_folder_of_an_sqlite_database(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(tmp_path / "file" / "db.sqlite3"))
        assert "the SQLite database" in warned()[0][1]

    def test_need_no_namespace(self, settings: Settings) -> None:
        settings.RESILIENCE = {**settings.RESILIENCE, "NAMESPACE": None}
        assert warned(deploy=True) == []

    def test_of_a_folder_that_cannot_even_be_looked_at(
        self, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(path: Path, **_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(folders, "_there", gone)
        assert "cannot be looked at: Input/output error" in folders.wrong_at_a_look(places["store"])

    def test_of_a_folder_without_leave_to_write(
        self, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places["events"].mkdir(mode=0o700)
        monkeypatch.setattr(os, "access", lambda path, *_, **__: path != places["events"])
        (found,) = warned()
        assert found[1].endswith(f"{places['events']} cannot be written.")


@pytest.mark.usefixtures("server")
class TestTrying:
    def usable(self) -> dict[str, float]:
        (family,) = [
            each for each in metrics.HostCollector().collect() if each.name == "resilience_folder_usable"
        ]
        return {sample.labels["folder"]: sample.value for sample in family.samples}

    def health(self) -> Any:
        return json.loads(Client().get("/api/health").content)

    def test_says_nothing_of_what_was_not_tried(self) -> None:
        assert self.usable() == {}
        assert self.health()["folders"] == {}

    def test_says_once_in_the_log_and_then_in_health_and_metric_what_is_done_without(
        self, places: dict[str, Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        refuse(places["static"], "a file")
        refuse(places["events"], "a file")
        for _ in range(3):
            folders.run(1)
        for setting, without in (
            ("STATIC_DIR", "no copy can be written where it belongs"),
            ("RESILIENCE_EVENTS_DIR", "events are not kept"),
        ):
            assert caplog.text.count(f"so {without}. Set {setting}") == 1
        assert self.usable() == {"store": 1, "static": 0, "events": 0}
        found = self.health()
        assert found["folders"]["events"] == "events are not kept"
        assert "Events are not kept: the folder of RESILIENCE_EVENTS_DIR cannot be used." in found["notices"]
        assert found["message"] == "All services are healthy; see the notices"
        assert str(places["events"]) not in json.dumps(found), "everybody may read health"

    def test_says_when_it_is_well_again(
        self, places: dict[str, Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        refuse(places["events"], "a file")
        folders.run(1)
        places["events"].unlink()
        folders.run(1)
        folders.run(1)
        assert caplog.text.count(f"{places['events']} can be written again") == 1
        assert self.usable()["events"] == 1
        assert list(places["events"].glob(".try-*")) == []

    def test_writes_down_what_changed(self, places: dict[str, Path]) -> None:
        refuse(places["static"], "a file")
        folders.run(1)
        places["static"].unlink()
        folders.run(1)
        written = [
            json.loads(line) for line in (places["events"] / "events.jsonl").read_text().split("\n") if line
        ]
        wrong, well = [each for each in written if each["kind"] == "folder"]
        assert wrong["data"]["folder"] == well["data"]["folder"] == "static"
        assert str(places["static"]) in wrong["why"]
        assert well["why"] == f"{places['static']} can be written again"

    def test_is_well_with_a_store_that_is_shared(self, places: dict[str, Path]) -> None:
        store = HostStore(places["store"], "test", role="server", create=True)
        try:
            with server_role(store):
                folders.run(1)
                assert self.usable() == {"store": 1, "static": 1, "events": 1}
                assert self.health()["notices"] == []
        finally:
            store.close()

    def test_says_why_there_is_no_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry.store(), "why", "the disk is full")
        assert self.usable() == {"store": 0}
        folders.run(1)
        assert registry.store().folders.read()["store"] == "the disk is full"
        assert self.health()["folders"]["store"] == "each process counts alone"
