"""A second database has a breaker of its own, so neither database's death refuses calls of the other.

Of this kind are also: aliases that name one server (one breaker, or its failures would be counted apart), an
alias of another database on the same server, the ping that recovers the second one, a drill that breaks only
what it names, and an alias on an engine that is not guarded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core import checks
from django.db import OperationalError

from resilience import conf, faults, registry
from resilience.checks import check_databases
from resilience.conf import databases
from resilience.db.failures import DatabaseRefusedError
from resilience.db.wrapper import GuardedWrapper
from resilience.observe import health
from resilience.primitives import CircuitBreaker, ManualClock, State
from resilience.steward import watches
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import alias, query
from tests.servers import PostgresServer
from zenow.settings.base import database_settings


@pytest.fixture
def reports(
    server: PostgresServer, proxy: FaultProxy, breaker: CircuitBreaker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GuardedWrapper]:
    """The alias `reports` on PostgreSQL through `proxy`; `default` is a database of its own."""
    found = database_settings(server.url.replace(f":{server.port}", f":{proxy.port}"))
    monkeypatch.setitem(settings.DATABASES, "reports", found)
    with alias("reports", found) as wrapper:
        yield wrapper


@pytest.fixture
def default(breaker: CircuitBreaker, tmp_path: Path) -> Iterator[GuardedWrapper]:
    with alias("default", database_settings(f"sqlite:///{tmp_path / 'default.sqlite3'}")) as wrapper:
        yield wrapper


def fail(wrapper: GuardedWrapper, times: int = 3) -> None:
    for _ in range(times):
        with pytest.raises(OperationalError):
            query(wrapper, "SELECT 1")


class TestSecondDatabase:
    def test_that_dies_leaves_the_default_alone(
        self, reports: GuardedWrapper, default: GuardedWrapper, proxy: FaultProxy, breaker: CircuitBreaker
    ) -> None:
        proxy.set("refuse")
        fail(reports)
        with pytest.raises(DatabaseRefusedError) as refusal:
            query(reports, "SELECT 1")
        assert refusal.value.name == "database:reports"
        assert breaker.shown() is State.CLOSED
        assert query(default, "SELECT 1") == [(1,)]

    def test_lives_on_when_the_default_is_refused(
        self, reports: GuardedWrapper, default: GuardedWrapper, breaker: CircuitBreaker
    ) -> None:
        breaker.isolate(who="test", why="test")
        with pytest.raises(DatabaseRefusedError):
            query(default, "SELECT 1")
        assert query(reports, "SELECT 1") == [(1,)]

    def test_is_pinged_by_the_steward_and_recovers(
        self, reports: GuardedWrapper, proxy: FaultProxy, clock: ManualClock
    ) -> None:
        proxy.set("refuse")
        fail(reports)
        second = registry.breaker("database:reports")
        watch = next(each for each in watches() if each.name == "watch-database:reports")
        clock.advance(15.0)
        watch.step()
        assert second.shown() is State.OPEN  # It was asked, and is still away.
        proxy.set("pass")
        for _ in range(second.config.success_threshold):
            clock.advance(15.0)
            watch.step()
        assert second.shown() is State.CLOSED
        assert query(reports, "SELECT 1") == [(1,)]

    def test_is_seen_in_health(self, reports: GuardedWrapper, proxy: FaultProxy) -> None:
        assert health.report()["services"]["database:reports"]["status"] == "healthy"
        proxy.set("refuse")
        fail(reports)
        assert health.report()["status"] == "degraded"
        assert registry.states()["database"] == "CLOSED"
        assert registry.states()["database:reports"] == "OPEN"

    def test_is_not_broken_by_a_drill_of_the_default(
        self, reports: GuardedWrapper, default: GuardedWrapper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(settings.RESILIENCE, "DRILLS", True)
        faults.start("database", "error", lasts=5.0)
        with pytest.raises(OperationalError, match="a drill lets database refuse"):
            query(default, "SELECT 1")
        assert query(reports, "SELECT 1") == [(1,)]
        faults.stop()
        faults.start("database:reports", "error", lasts=5.0)
        with pytest.raises(OperationalError, match="a drill lets database:reports refuse"):
            query(reports, "SELECT 1")
        assert query(default, "SELECT 1") == [(1,)]


class TestBreakers:
    def test_are_one_for_each_server_and_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one = {"ENGINE": "resilience.db.postgresql", "HOST": "one", "PORT": "5432", "NAME": "shop"}
        monkeypatch.setitem(settings.DATABASES, "reports", one)
        monkeypatch.setitem(settings.DATABASES, "again", dict(one))
        monkeypatch.setitem(settings.DATABASES, "archive", one | {"NAME": "archive"})
        monkeypatch.setitem(settings.DATABASES, "legacy", one | {"ENGINE": "django.db.backends.mysql"})
        assert list(databases.breakers()) == ["database", "database:reports", "database:archive"]
        assert [databases.breaker_of(each) for each in ("default", "again", "archive", "static")] == [
            "database",
            "database:reports",
            "database:archive",
            "database",
        ]

    def test_of_an_alias_of_the_default_server_is_the_default_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(settings.DATABASES, "same", dict(settings.DATABASES["default"]))
        assert list(conf.declared_breakers()) == list(conf.get("BREAKERS"))
        assert databases.breaker_of("same") == "database"

    def test_have_the_entry_of_the_default_unless_they_have_their_own(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("reports", "archive"):
            monkeypatch.setitem(
                settings.DATABASES, name, {"ENGINE": "resilience.db.postgresql", "HOST": name, "NAME": "x"}
            )
        entries = {"database": {"failure_threshold": 7, "endpoint": "elsewhere"}, "database:archive": {}}
        monkeypatch.setitem(settings.RESILIENCE, "BREAKERS", entries)
        found = conf.breakers()
        assert found["database:reports"].failure_threshold == 7
        assert found["database:archive"].failure_threshold != 7
        assert conf.endpoint("database:reports") == "reports:/x"
        assert conf.endpoint("database") == "elsewhere"

    def test_of_an_engine_that_is_not_guarded_is_a_warning_beside_the_default(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(settings.DATABASES, "legacy", {"ENGINE": "django.db.backends.mysql"})
        found = list(check_databases())
        assert [(each.id, each.level) for each in found] == [("resilience.W013", checks.WARNING)]
