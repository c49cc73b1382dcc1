"""`manage.py health`: what it believes, what it asks itself, and how it ends."""

import json
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command

from resilience import conf, registry
from resilience.net import pings
from resilience.primitives import BulkheadFullError, HostStore
from resilience.registry import Registry
from resilience.request import shed
from resilience.testing import server_role
from tests.patience import ROOM

DOWN = "tests.resilience.observe.test_health_command.down"
SILENT = "tests.resilience.observe.test_health_command.silent"
UP = "tests.resilience.observe.test_health_command.up"
_end = threading.Event()


def up() -> None:
    """Answer."""


def down() -> None:
    raise ConnectionError("nobody listens\npassword=S3CRET")


def silent() -> None:
    _end.wait(30)


@pytest.fixture(autouse=True)
def directory(settings: Any, tmp_path: Path, db: None) -> Iterator[Path]:
    folder = tmp_path / "store"
    settings.RESILIENCE = {
        "NAMESPACE": "shop",
        "DIR": str(folder),
        "STATIC_DIR": str(tmp_path / "static"),
        "FALLBACK": "learn.fallback.EXPORT",
        "BREAKERS": {"database": {"ping": UP}, "cache": {"ping": UP}, "external_api": {}},
    }
    _end.clear()
    yield folder
    _end.set()
    registry.forget()


@pytest.fixture
def static_file() -> None:
    call_command("fallback", "build", verbosity=0)


@pytest.fixture
def server(directory: Path) -> Iterator[Registry]:
    """A server of this host that has answered a request."""
    store = HostStore(directory, "shop", role="server", create=True)
    with server_role(store) as served:
        registry.states()
    yield served
    store.close()


def asked(settings: Any, **ways: str) -> None:
    """Ask these breakers' dependencies otherwise."""
    for name, way in ways.items():
        settings.RESILIENCE["BREAKERS"][name]["ping"] = way


def look() -> dict[str, Any]:
    """Run the command; return what it printed, after holding its exit status to it."""
    output, status = StringIO(), 0
    try:
        call_command("health", "--json", stdout=output)
    except SystemExit as end:
        status = int(str(end.code))
    found: dict[str, Any] = json.loads(output.getvalue())
    assert found["exit"] == status
    return found


@pytest.mark.usefixtures("static_file")
class TestBesideAServer:
    def test_is_healthy_when_all_is_well(self, server: Registry) -> None:
        found = look()
        assert (found["exit"], found["status"], found["problems"], found["server"]) == (
            0,
            "healthy",
            [],
            True,
        )
        assert sorted(found["pings"]) == ["cache", "database"]

    def test_reports_what_the_server_has_seen(self, server: Registry) -> None:
        server.breakers["cache"].isolate(who="ada", why="a drill")
        found = look()
        assert (found["exit"], found["problems"]) == (1, ["cache is OPEN"])

    def test_reports_a_dependency_that_does_not_answer_now(self, server: Registry, settings: Any) -> None:
        asked(settings, cache=DOWN)
        found = look()
        assert (found["exit"], found["problems"]) == (
            1,
            ["cache was asked: builtins.ConnectionError: nobody listens password=hidden"],
        )

    def test_waits_a_second_for_all_of_them_together(self, server: Registry, settings: Any) -> None:
        asked(settings, cache=SILENT, database=SILENT)
        began = time.monotonic()
        found = look()
        assert time.monotonic() - began < 1.6 + ROOM
        assert found["exit"] == 1
        assert found["pings"]["cache"]["error"] == "no answer within 1 s"

    def test_is_not_green_with_settings_that_are_not_the_servers(
        self, server: Registry, settings: Any
    ) -> None:
        """This database has a breaker of its own, closed and empty: nobody counts for it."""
        settings.RESILIENCE["BREAKERS"]["database"]["endpoint"] = "elsewhere:5432/shop"
        registry.forget()
        found = look()
        assert found["exit"] == 1
        assert found["problems"] == [
            "no server guards the database of these settings: it runs with others than this command"
        ]
        assert "database" not in found["services"]

    def test_reports_what_no_breaker_tells(self, server: Registry) -> None:
        assert server.store is not None
        server.store.lacks.note("memory", time.monotonic())
        lack = "A process of this host lacks memory: its own calls fail, and count for nothing"
        found = look()
        assert (found["exit"], found["problems"], found["message"]) == (1, [lack], lack)

    def test_reports_that_a_pool_has_shed_reads(self, server: Registry) -> None:
        full = BulkheadFullError("read", retry_after=1.0, reason="full")
        with server_role(server.store), registry.bulkhead("read").enter():
            shed.note("read", full, read=True)
            output = StringIO()
            with pytest.raises(SystemExit, match="1"):
                call_command("health", stdout=output)
        first, *others = output.getvalue().splitlines()
        assert first.startswith("degraded: The site is busy: reads that find no place in the pool read get")
        running = registry.bulkhead("read").config.running
        assert f"pool read: 1 of {running} in use, 0 wait, 1 shed in the last minute" in others

    def test_draining_is_no_health(self, server: Registry, directory: Path) -> None:
        (directory / "drain").touch()
        assert look()["exit"] == 1

    def test_reads_as_a_table(self, server: Registry) -> None:
        output = StringIO()
        call_command("health", stdout=output)
        lines = output.getvalue().splitlines()
        assert lines[0] == "healthy: All systems operational"
        assert lines[1].split() == ["SERVICE", "STATE", "FAILURES", "CALLS", "PING"]
        assert lines[4].split() == ["external_api", "CLOSED", "0", "0", "not", "asked"]
        assert lines[5].startswith("static copy: fixtures of ")

    def test_watches_until_interrupted(self, server: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        looks: list[float] = []

        def interrupted(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 3:
                raise KeyboardInterrupt

        # The command's own name for it: this process has other threads that sleep.
        monkeypatch.setattr("resilience.management.commands.health.time", SimpleNamespace(sleep=interrupted))
        output = StringIO()
        call_command("health", "--watch", "--json", stdout=output)
        assert len(output.getvalue().splitlines()) == len(looks) == 3


class TestNothingToServe:
    def test_is_2_when_the_database_is_dead_and_there_is_no_copy(
        self, server: Registry, settings: Any
    ) -> None:
        asked(settings, database=DOWN)
        assert look()["exit"] == 2

    def test_is_1_with_a_copy(self, server: Registry, settings: Any, static_file: None) -> None:
        asked(settings, database=DOWN)
        assert look()["exit"] == 1

    def test_is_1_without_a_copy_while_the_database_answers(self, server: Registry) -> None:
        found = look()
        assert (found["exit"], found["problems"]) == (1, ["there is no static copy to answer from"])


@pytest.mark.usefixtures("static_file")
class TestWithoutServer:
    def test_pings_and_says_so_and_is_never_green(self, directory: Path) -> None:
        found = look()
        assert (found["exit"], found["server"]) == (1, False)
        assert "no server was seen" in found["message"]
        assert found["pings"]["database"]["ok"]
        assert not directory.exists()

    def test_is_not_green_with_the_store_of_one_that_ended(self, server: Registry) -> None:
        assert server.store is not None
        server.store.close()
        found = look()
        assert (found["exit"], found["server"]) == (1, False)


class TestPings:
    def test_are_those_that_the_settings_name(self, settings: Any) -> None:
        asked(settings, cache=DOWN)
        found = pings.ask_all(1.0)
        assert (found["database"].error, found["cache"].error) == (
            "",
            "builtins.ConnectionError: nobody listens password=hidden",
        )
        assert "external_api" not in found
        assert set(found) == set(conf.probes("ping")) & set(conf.declared_breakers())
