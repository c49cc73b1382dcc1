"""`manage.py breakers`, in a process that is no server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from resilience import registry
from resilience.primitives import CircuitBreaker, HostStore, State
from resilience.testing import server_role

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def directory(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "resilience"
    settings.RESILIENCE = {
        "NAMESPACE": "shop",
        "DIR": str(folder),
        "BREAKERS": {"database": {"failure_threshold": 2}, "cache": {"failure_threshold": 2}},
    }
    yield folder
    registry.forget()


@pytest.fixture
def server(directory: Path) -> Iterator[CircuitBreaker]:
    """The breaker of a server on this host, which has opened."""
    store = HostStore(directory, "shop", role="server", create=True)
    with server_role(store):
        breaker = registry.breaker("database")
        for _ in range(2):
            with pytest.raises(ConnectionError):
                breaker.call(_refused)
    yield breaker
    store.close()


def _refused() -> None:
    raise ConnectionError


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("breakers", *arguments, stdout=output)
    return output.getvalue()


class TestList:
    def test_shows_what_the_server_sees(self, server: CircuitBreaker) -> None:
        lines = run().splitlines()
        assert lines[0].split()[:3] == ["BREAKER", "STATE", "FAILURES"]
        assert lines[1].split()[:3] == ["database", "OPEN", "2"]
        assert "builtins.ConnectionError" in lines[1]
        assert lines[2].split()[:3] == ["cache", "CLOSED", "0"]

    def test_shows_the_named_ones_as_json(self, server: CircuitBreaker) -> None:
        (found,) = json.loads(run("list", "database", "--json"))
        assert (found["name"], found["state"], found["failures"]) == ("database", "OPEN", 2)
        assert 29 < found["retry_after"] <= 30

    def test_shows_who_ordered_what(self, server: CircuitBreaker) -> None:
        server.isolate(who="anna", why="moving the server")
        assert "isolated by anna: moving the server" in run("list", "database")


class TestReset:
    def test_closes_the_servers_own_breaker(self, server: CircuitBreaker) -> None:
        assert server.shown() is State.OPEN
        run("reset", "database", "--reason", "it is back")
        assert server.shown() is State.CLOSED
        assert server.snapshot().calls == 0

    def test_without_names_resets_all(self, server: CircuitBreaker) -> None:
        assert run("reset").count("CLOSED") == 2

    def test_knows_the_breakers_there_are(self, server: CircuitBreaker) -> None:
        with pytest.raises(CommandError, match="no breaker databse; there are database, cache") as refusal:
            run("reset", "databse")
        assert refusal.value.returncode == 2
        assert server.shown() is State.OPEN

    def test_outlasts_a_stopped_holder_of_the_lock(self, server: CircuitBreaker, directory: Path) -> None:
        with (directory / "shop-v1.lock").open() as held:
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX)
            run("reset", "database")
        assert server.shown() is State.CLOSED


class TestUserWithoutName:
    """A container may run as any number."""

    def test_resets_all_the_same(self, server: CircuitBreaker, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(os, "getuid", lambda: 987_654_321)
        run("reset", "database")
        assert server.shown() is State.CLOSED


class TestWithoutStore:
    def test_says_where_to_run_and_builds_none(self, directory: Path) -> None:
        with pytest.raises(CommandError, match="no server has run here") as refusal:
            run()
        assert refusal.value.returncode == 3
        assert not directory.exists()

    def test_exits_3_from_the_shell(self, tmp_path: Path) -> None:
        found = subprocess.run(
            [sys.executable, "manage.py", "breakers"],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "zenow.settings.base", "DEBUG": "1"}
            | {"RESILIENCE_DIR": str(tmp_path / "none"), "RESILIENCE_ROLE": "command"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (found.returncode, found.stdout) == (3, "")
        assert "Run this on the host, in the container and as the user of the server" in found.stderr
