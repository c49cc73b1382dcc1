"""Guards by name, in the store of the host."""

from pathlib import Path
from typing import Any

import pytest
from circuitbreaker import CircuitBreakerMonitor
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from resilience import registry
from resilience.observe import health
from resilience.operate.orders import Order, StoreBusyError, steer
from resilience.primitives import (
    BreakerOpenError,
    CircuitBreaker,
    HostStore,
    ManualClock,
    Retry,
    State,
    StoreUnavailableError,
)
from resilience.registry import Registry
from resilience.testing import SMALL, host_store, server_role

BREAKERS = {"database": {"failure_threshold": 2}, "cache": {"failure_threshold": 3}}


@pytest.fixture(autouse=True)
def declared(settings: Settings, tmp_path: Path) -> Any:
    settings.RESILIENCE = {
        "NAMESPACE": "shop",
        "DIR": str(tmp_path / "resilience"),
        "BREAKERS": BREAKERS,
        "BULKHEADS": {"read": {"running": 1}},
    }
    yield
    registry.forget()


def fail(name: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError):
            registry.breaker(name).call(_refused)


def _refused() -> None:
    raise ConnectionError


class TestRole:
    @pytest.mark.parametrize("chosen", ["server", "command"])
    def test_is_what_the_environment_says(self, monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
        monkeypatch.setenv("RESILIENCE_ROLE", chosen)
        assert registry.role() == chosen

    def test_is_a_command_unless_it_says(self) -> None:
        assert registry.role() == "command"

    def test_is_refused_when_it_is_neither(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RESILIENCE_ROLE", "worker")
        with pytest.raises(ImproperlyConfigured, match="must be server or command, not 'worker'"):
            registry.role()


class TestStore:
    def test_a_server_builds_it_and_a_command_finds_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("RESILIENCE_ROLE", "server")
        store = registry.store()
        assert isinstance(store, HostStore)
        assert store is registry.store()
        assert store.path.parent == tmp_path / "resilience"
        fail("database", 2)
        monkeypatch.setenv("RESILIENCE_ROLE", "command")
        registry.forget()
        assert registry.store().kind == "host"
        assert registry.store() is not store
        assert registry.breaker("database").shown() is State.OPEN

    def test_a_command_builds_none_and_says_where_to_run(self, tmp_path: Path) -> None:
        assert registry.store().kind == "local"
        assert not (tmp_path / "resilience").exists()
        with pytest.raises(StoreUnavailableError, match="no server has run here"):
            registry.host_store()

    def test_a_command_that_began_before_the_server_finds_its_store_later(self, tmp_path: Path) -> None:
        assert registry.store().kind == "local"
        HostStore(tmp_path / "resilience", "shop", role="server", create=True).close()
        assert registry.host_store().kind == "host"

    def test_a_server_without_a_store_of_the_host_has_its_own(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "resilience").write_text("in the way")
        monkeypatch.setenv("RESILIENCE_ROLE", "server")
        assert registry.host_store().kind == "local"
        fail("database", 2)
        assert registry.breaker("database").shown() is State.OPEN


class TestBreakers:
    def test_are_the_declared_ones_each_made_once(self) -> None:
        with server_role():
            assert list(registry.breakers()) == ["database", "cache"]
            assert registry.breaker("database") is registry.breakers()["database"]
            assert registry.breaker("database").config.failure_threshold == 2
            assert CircuitBreakerMonitor.get("database") is registry.breaker("database")

    def test_that_nobody_declared_live_in_the_process_as_in_the_library(self) -> None:
        with server_role() as own:
            other = registry.breaker("other")
            assert other is registry.breaker("other")
            assert other.config.failure_threshold == 5
            assert own.store is not None
            assert not any(name.startswith("other") for name in own.store.breaker_names.all())

    def test_of_another_endpoint_is_another_one(self, settings: Settings, tmp_path: Path) -> None:
        with host_store(tmp_path / "shared") as store:
            with server_role(store):
                fail("database", 2)
                assert registry.breaker("database").shown() is State.OPEN
            settings.RESILIENCE = {**settings.RESILIENCE, "BREAKERS": {"database": {"endpoint": "elsewhere"}}}
            with server_role(store):
                assert registry.breaker("database").shown() is State.CLOSED

    def test_follow_the_settings(self, settings: Settings) -> None:
        assert registry.breaker("database").config.failure_threshold == 2
        settings.RESILIENCE = {**settings.RESILIENCE, "BREAKERS": {"database": {"failure_threshold": 9}}}
        assert registry.breaker("database").config.failure_threshold == 9


class TestTestingRole:
    def test_a_test_is_a_command_that_counts_and_is_refused_nothing(self) -> None:
        fail("database", 5)
        assert registry.breaker("database").snapshot().calls == 0

    def test_votes_within_a_block_that_remembers_nothing(self) -> None:
        clock = ManualClock()
        with server_role(clock=clock):
            fail("database", 2)
            with pytest.raises(BreakerOpenError) as refusal:
                registry.breaker("database").call(_refused)
            assert refusal.value.retry_after == 30.0
            clock.advance(30)
            assert registry.breaker("database").shown() is State.HALF_OPEN
        with server_role():
            assert registry.breaker("database").shown() is State.CLOSED

    def test_gives_back_what_was(self) -> None:
        before = registry.breaker("database")
        with server_role() as own:
            assert registry.breaker("database") is not before
            assert registry.use(Registry()) is own
        assert registry.breaker("database") is before


class TestBulkheads:
    def test_show_how_full_they_are(self) -> None:
        with server_role():
            pool = registry.bulkhead("read")
            assert pool is registry.bulkhead("read")
            with pool.enter():
                gauge = registry.store().pools.totals()["read"]
                assert (gauge.in_use, gauge.limit, gauge.rejected) == (1, 1, 0)
            assert registry.store().pools.totals()["read"].in_use == 0

    def test_that_are_not_declared_are_none(self) -> None:
        with pytest.raises(LookupError, match="no bulkhead 'reed' in RESILIENCE: read"):
            registry.bulkhead("reed")


class TestGuard:
    def test_counts_each_call_in_the_breaker_and_takes_a_place_in_the_pool(self) -> None:
        with server_role():
            guard = registry.guard("cache", pool="read", limit=1.0)
            seen = guard.call(lambda: registry.bulkhead("read").in_use)
            assert seen == 1
            assert registry.bulkhead("read").in_use == 0
            assert registry.breaker("cache").snapshot().successes == 1

    def test_repeats_a_call_that_it_may_repeat(self) -> None:
        with server_role():
            calls = []

            def lost_once() -> str:
                calls.append(1)
                if len(calls) == 1:
                    raise ConnectionError("lost")
                return "live"

            retry = Retry(
                attempts=2, retry_on=lambda error: isinstance(error, ConnectionError), max_delay=0.0
            )
            assert registry.guard("cache", retry=retry).call(lost_once) == "live"
            found = registry.breaker("cache").snapshot()
            assert (found.failures, found.successes) == (1, 1)

    def test_refuses_once_the_breaker_is_open_and_uses_the_fallback(self) -> None:
        with server_role():
            registry.breaker("cache").isolate(who="test", why="test")
            guard = registry.guard("cache")
            with pytest.raises(BreakerOpenError):
                guard.call(lambda: "live")
            assert guard.call(lambda: "live", fallback=lambda: "kept") == "kept"


class TestShared:
    """That breakers are shared is said of each one's place, not of the file alone."""

    def at(self, address: str, settings: Settings) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"BREAKERS": {"database": {"endpoint": address}}}

    def test_with_forty_addresses_one_after_the_other(self, tmp_path: Path, settings: Settings) -> None:
        for number in range(40):
            self.at(f"10.0.0.{number}:5432/shop", settings)
            with host_store(tmp_path) as store, server_role(store):
                assert registry.shared(), number
                steer(Order("reset", ["database"]), who="ada")

    def test_is_denied_where_a_breaker_has_no_place(self, tmp_path: Path, settings: Settings) -> None:
        with host_store(tmp_path) as others, host_store(tmp_path) as store:
            for number in range(SMALL.breakers):
                CircuitBreaker(name=str(number), store=others).call(int)
            self.at("10.0.0.1:5432/shop", settings)
            with server_role(store):
                assert not registry.shared()
                assert health.report()["store"] == "local"
                with pytest.raises(StoreBusyError):
                    steer(Order("reset", ["database"]), who="ada")

    def test_is_denied_without_a_store(self) -> None:
        with server_role():
            assert not registry.shared()
