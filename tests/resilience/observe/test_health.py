"""What health says, to whom it matters: the names that others depend on, and when ready ends."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client

from resilience import conf, faults, registry
from resilience.primitives import BulkheadFullError, ManualClock, Mark, Outcome
from resilience.request import shed
from resilience.testing import full_pool, server_role
from resilience.tiers import stored

FULL = BulkheadFullError("read", retry_after=1.0, reason="full")
LIVE, READY, HEALTH = "/api/health/live", "/api/health/ready", "/api/health"


@pytest.fixture(autouse=True)
def _server(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.RESILIENCE = {
        **settings.RESILIENCE,
        "DIR": str(tmp_path / "store"),
        "STATIC_DIR": str(tmp_path / "static"),
    }
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    monkeypatch.setattr("resilience.tiers.static_copy.keeping.start.goes_on", lambda: False)
    stored.forget()
    with server_role():
        yield


@pytest.fixture
def static_file(db: None) -> Path:
    call_command("fallback", "build", verbosity=0)
    return conf.static_dir()


class TestReport:
    def test_has_the_names_that_others_depend_on(self, client: Client, static_file: Path) -> None:
        registry.breaker("database").reset()  # what building the file counted
        registry.breaker("database").call(lambda: None)
        found = client.get(HEALTH).json()
        assert found["status"] == "healthy"
        assert found["message"] == "All systems operational"
        assert list(found["services"]) == list(conf.breakers())
        assert found["services"].keys() >= {"database", "cache", "auth", "external_api"}
        assert (
            found["services"]["database"].items()
            >= {
                "status": "healthy",
                "state": "CLOSED",
                "failures": 0,
                "successes": 1,
                "failureRate": 0.0,
                "totalRequests": 1,
            }.items()
        )
        assert found["fallbackData"] == {"categories": True, "fields": True, "courses": True}
        time.strptime(found["timestamp"], "%Y-%m-%dT%H:%M:%SZ")

    def test_counts_failures_and_their_share_in_percent(self, client: Client) -> None:
        breaker = registry.breaker("database")
        for outcome in (Outcome.FAILURE, Outcome.SUCCESS, Outcome.SUCCESS):
            breaker.settle(breaker.admit(), outcome)
        found = client.get(HEALTH).json()["services"]["database"]
        assert (found["failures"], found["totalRequests"], found["failureRate"]) == (1, 3, 33.3)

    def test_is_200_and_degraded_while_a_breaker_is_open(self, client: Client) -> None:
        registry.breaker("cache").isolate(who="ada", why="secret reason")
        response = client.get(HEALTH)
        found = response.json()
        assert response.status_code == 200
        assert (found["status"], found["message"]) == ("degraded", "Some services are degraded")
        assert found["services"]["cache"].items() >= {"status": "degraded", "state": "OPEN"}.items()
        assert found["services"]["cache"]["isolated"]
        assert b"secret reason" not in response.content

    def test_has_no_fallback_data_where_no_file_opens(self, client: Client) -> None:
        found = client.get(HEALTH).json()
        assert found["fallbackData"] == {"categories": False, "fields": False, "courses": False}
        assert found["staticTier"] is None

    def test_has_none_in_a_file_that_does_not_open(self, client: Client, static_file: Path) -> None:
        (path,) = static_file.glob("*.sqlite3")
        path.write_bytes(path.read_bytes()[:5000])
        path.rename(path.with_name(path.name.replace("-1.", "-2.")))  # as a new file comes
        assert not any(client.get(HEALTH).json()["fallbackData"].values())

    def test_needs_no_database_takes_head_and_no_credentials(self, client: Client) -> None:
        """Without the mark `django_db` any query fails."""
        assert client.head(HEALTH).status_code == 200
        response = client.get(f"{HEALTH}/", headers={"authorization": "Bearer nonsense"})
        assert (response.status_code, response["Cache-Control"]) == (200, "no-store")

    def test_says_what_is_broken_on_purpose_but_not_by_whom(self, client: Client, settings: Any) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}
        assert client.get(HEALTH).json()["drills"] == {}
        faults.start("cache", "latency", lasts=60, share=0.5, who="grace")
        response = client.get(HEALTH)
        drill = response.json()["drills"]["cache"]
        assert 55 < drill.pop("secondsLeft") <= 60
        assert drill == {"fault": "latency", "share": 0.5}
        assert b"grace" not in response.content
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": False}  # then nothing is broken
        assert client.get(HEALTH).json()["drills"] == {}

    def test_answers_while_every_pool_is_full(self, client: Client) -> None:
        with full_pool("other"):
            assert client.get(HEALTH).json()["pools"]["other"]["inUse"] == 4


class TestBusy:
    """A read that a pool has shed makes health degraded for 10 s; no breaker, and no header, says so."""

    @pytest.fixture
    def clock(self) -> Iterator[ManualClock]:
        clock = ManualClock()
        with server_role(clock=clock):
            yield clock

    def test_is_said_for_ten_seconds_after_a_shed_read(self, client: Client, clock: ManualClock) -> None:
        shed.note("read", FULL, read=True)
        clock.advance(9.9)
        response = client.get(HEALTH)
        found = response.json()
        assert (found["status"], found["message"]) == (
            "degraded",
            "The site is busy; all services are healthy",
        )
        (notice,) = (line for line in found["notices"] if "busy" in line)
        assert "the pool read" in notice
        assert {one["status"] for one in found["services"].values()} == {"healthy"}
        assert response["X-System-Degraded"] == "false"
        clock.advance(0.2)
        assert client.get(HEALTH).json()["status"] == "healthy"

    def test_is_not_for_shed_writes(self, client: Client, clock: ManualClock) -> None:
        shed.note("write", FULL, read=False)
        assert client.get(HEALTH).json()["status"] == "healthy"

    def test_has_the_shed_requests_of_the_last_minute_by_pool(
        self, client: Client, clock: ManualClock
    ) -> None:
        with registry.bulkhead("read").enter():
            for _ in range(3):
                shed.note("read", FULL, read=True)
            clock.advance(59.0)
            assert client.get(HEALTH).json()["pools"]["read"]["shedLastMinute"] == 3
            clock.advance(2.0)
            assert client.get(HEALTH).json()["pools"]["read"]["shedLastMinute"] == 0


class TestReady:
    def test_while_the_database_answers(self, client: Client) -> None:
        response = client.get(READY)
        assert (response.status_code, response.json()["tiers"]) == (200, ["live"])

    def test_while_the_static_tier_can(self, client: Client, static_file: Path) -> None:
        registry.breaker("database").isolate(who="ada", why="a drill")
        response = client.get(READY)
        assert (response.status_code, response.json()["tiers"]) == (200, ["static"])

    def test_while_a_stored_answer_may_stand_in(self, client: Client) -> None:
        registry.breaker("database").isolate(who="ada", why="a drill")
        registry.store().marks.rise(version=7, removals=1)
        stored.keep("resilience:key", HttpResponse(b"{}"), Mark(7, 1))
        assert client.get(READY).json()["tiers"] == ["cached"]
        registry.store().marks.rise(version=8, removals=2)  # something was unpublished
        assert client.get(READY).status_code == 503

    def test_not_when_nothing_can_be_served(self, client: Client) -> None:
        registry.breaker("database").isolate(who="ada", why="a drill")
        assert client.get(READY).status_code == 503

    def test_not_while_the_static_file_is_still_being_made(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("resilience.tiers.static_copy.keeping.start.goes_on", lambda: True)
        response = client.get(READY)
        assert (response.status_code, response.json()) == (503, {"status": "starting"})

    def test_not_while_draining(self, client: Client, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        drain = tmp_path / "store" / "drain"
        drain.touch()
        assert client.get(READY).status_code == 503
        assert client.get(LIVE).status_code == 200
        drain.unlink()
        assert client.get(READY).status_code == 200

    @pytest.mark.parametrize("path", [LIVE, READY, f"{READY}/"])
    def test_answers_a_kubelet_by_address_and_in_plain_http(
        self, client: Client, settings: Any, path: str
    ) -> None:
        settings.SECURE_SSL_REDIRECT = True
        response = client.get(path, headers={"host": "10.1.2.3"})
        assert response.status_code == 200
        assert response["X-Circuit-Breaker-DB"] == "CLOSED"
