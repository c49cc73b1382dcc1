"""`manage.py breakers`, in a process that is no server."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from resilience import registry
from resilience.journal import flush
from resilience.journal.files import journal
from resilience.primitives import CircuitBreaker, HostStore, State
from resilience.primitives.store.layout import FORMAT
from resilience.testing import server_role

ROOT = Path(__file__).parents[3]


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


def copy_journal() -> None:
    """Do what the steward does: copy what the journal holds into the database."""
    with closing(flush.Copier()) as copier:
        copier.run(journal())


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
        with (directory / f"shop-v{FORMAT}.lock").open() as held:
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


class TestOrders:
    def test_isolate_holds_it_open_for_a_while(self, server: CircuitBreaker) -> None:
        server.reset()
        run("isolate", "database", "--reason", "moving the server", "--for", "1h30m")
        order = server.snapshot().override
        assert order is not None
        assert (order.kind, order.why) == ("isolated", "moving the server")
        assert order.until == pytest.approx(time.time() + 5_400, abs=5)

    def test_disable_and_auto(self, server: CircuitBreaker) -> None:
        assert "disabled by" in run("disable", "database", "--reason", "it is wrong")
        assert not server.refuses()
        run("auto", "database")
        assert server.snapshot().override is None

    @pytest.mark.parametrize("order", ["isolate", "disable"])
    def test_needs_a_reason_and_names(self, server: CircuitBreaker, order: str) -> None:
        for arguments, why in (([order, "database"], "needs a reason"), ([order], "needs the names")):
            with pytest.raises(CommandError, match=why) as refusal:
                run(*arguments)
            assert refusal.value.returncode == 2

    @pytest.mark.parametrize("text", ["10", "m", "-5m", "0s", "2y", "9999d", "1e3s", "٣m"])
    def test_no_other_durations(self, server: CircuitBreaker, text: str) -> None:
        with pytest.raises(CommandError, match=r"duration|between"):
            run("isolate", "database", "--reason", "x", f"--for={text}")

    def test_reset_has_no_end(self, server: CircuitBreaker) -> None:
        with pytest.raises(CommandError, match="reset has no end"):
            run("reset", "database", "--for", "10m")

    def test_say_when_no_server_counts_for_it(
        self, server: CircuitBreaker, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The server of this test was asked for its database alone."""
        run("reset")
        assert capsys.readouterr().err.splitlines() == [
            "No server counts for this cache now. If one runs, it has other settings."
        ]


@pytest.mark.django_db
class TestHistory:
    def test_tells_who_did_what(self, server: CircuitBreaker) -> None:
        run("reset", "database", "--reason", "it is back")
        copy_journal()
        told = run("history", "database", "--for", "1h")
        assert "availability" in told
        assert re.search(r"Z  reset  database  OPEN to CLOSED  \S+  it is back", told)

    def test_as_json_for_the_named_ones(self, server: CircuitBreaker) -> None:
        run("reset", "--reason", "it is back")
        copy_journal()
        found = json.loads(run("history", "cache", "--json"))
        assert {entry["breaker"] for entry in found["events"]} == {"cache"}
        assert found["availability"] is None
