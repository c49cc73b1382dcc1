"""What Prometheus reads: the names of the host's figures, whoever is scraped, and who may scrape."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from resilience import faults, registry
from resilience.observe import metrics
from resilience.primitives import BulkheadFullError, Outcome
from resilience.request import shed
from resilience.testing import full_pool, host_store, server_role

TOKEN = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.OPS_TOKEN = TOKEN
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    with server_role():
        yield


def sampled() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.exposition("text/plain")[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(name: str, **labels: str) -> float:
    return sampled()[f"resilience_{name}", tuple(sorted(labels.items()))]


class TestFigures:
    def test_of_calls_states_and_transitions(self) -> None:
        breaker = registry.breaker("database")
        breaker.settle(breaker.admit(), Outcome.SUCCESS, operation="commit")
        for _ in range(3):
            breaker.settle(breaker.admit(), Outcome.FAILURE, operation="query")
        assert breaker.refuses()
        assert value("calls_total", breaker="database", operation="commit", outcome="success") == 1
        assert value("calls_total", breaker="database", operation="query", outcome="failure") == 3
        assert value("transitions_total", breaker="database", **{"from": "CLOSED", "to": "OPEN"}) == 1
        assert value("breaker_state", breaker="database", state="OPEN") == 1
        assert value("breaker_state", breaker="database", state="CLOSED") == 0
        assert value("breaker_state", breaker="cache", state="CLOSED") == 1

    def test_of_an_order(self) -> None:
        registry.breaker("auth").isolate(who="ada", why="a drill")
        assert value("breaker_override", breaker="auth", kind="isolated") == 1
        assert value("breaker_override", breaker="auth", kind="disabled") == 0

    def test_of_a_drill(self, settings: Any) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}
        faults.start("cache", "freeze", lasts=60)
        assert [value("drill_active", breaker=name) for name in ("cache", "database")] == [1, 0]

    def test_of_pools(self) -> None:
        with registry.bulkhead("auth").enter():
            assert value("bulkhead_in_use", pool="auth") == 1
            assert value("bulkhead_limit", pool="auth") == 2
            assert value("bulkhead_rejected_total", pool="auth") == 0

    def test_of_requests_that_pools_have_shed(self) -> None:
        shed.note("read", BulkheadFullError("read", retry_after=1.0, reason="full"), read=True)
        assert value("shed_total", pool="read", reason="busy") == 1

    def test_of_answers(self) -> None:
        registry.store().counters.add("responses", "static", amount=4)
        assert value("responses_total", source="static") == 4

    def test_of_the_host_whichever_process_is_asked(self, tmp_path: Path) -> None:
        with host_store(tmp_path) as ours, host_store(tmp_path) as others:
            for store in (ours, others):
                with server_role(store):
                    store.counters.add("responses", "live", amount=2)
            for store in (ours, others):
                with server_role(store):
                    assert value("responses_total", source="live") == 4
                    assert value("store_shared") == 1


class TestScrape:
    def test_needs_the_token(self, client: Client) -> None:
        refused = client.get("/metrics")
        assert (refused.status_code, refused["WWW-Authenticate"][:6]) == (401, "Bearer")
        answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=")
        assert b"resilience_breaker_state" in answer.content

    def test_is_answered_by_the_host_s_own_address_and_in_plain_http(
        self, client: Client, settings: Any
    ) -> None:
        """Of the same kind: liveness and readiness; health and lists are asked by the site's own name."""
        settings.SECURE_SSL_REDIRECT = True
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        given = {"authorization": f"Bearer {TOKEN}"}
        for host in ("10.1.2.3:8080", "[fd00::7]:8080", "web1.internal", "", "a b"):
            assert client.get("/metrics", headers={"host": host, **given}).status_code == 200
            refused = client.get("/metrics", headers={"host": host})
            assert (refused.status_code, refused["Cache-Control"]) == (
                401,
                "max-age=0, no-cache, no-store, must-revalidate, private",
            )
            assert client.get("/api/health", headers={"host": host}).status_code in (301, 400)

    def test_is_where_the_setting_says(self, client: Client, settings: Any) -> None:
        settings.DEBUG = True
        settings.RESILIENCE = {**settings.RESILIENCE, "METRICS_PATH": "/internal/metrics"}
        assert client.get("/internal/metrics/").status_code == 200
        assert client.get("/metrics").status_code == 404

    def test_is_nowhere_without_the_setting(self, client: Client, settings: Any) -> None:
        """Another project may have a view of its own under any address."""
        settings.DEBUG = True
        settings.RESILIENCE = {
            name: value for name, value in settings.RESILIENCE.items() if name != "METRICS_PATH"
        }
        assert client.get("/metrics").status_code == 404
        assert client.get("/").status_code == 200

    def test_is_only_read(self, client: Client) -> None:
        assert client.post("/metrics").status_code == 405

    def test_compares_the_token_in_constant_time(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compare = Mock(return_value=False)
        monkeypatch.setattr("resilience.operate.permissions.constant_time_compare", compare)
        assert client.get("/metrics", headers={"authorization": "Bearer x"}).status_code == 401
        compare.assert_called_once_with("x", TOKEN)

    def test_is_closed_where_there_is_no_token(self, client: Client, settings: Any) -> None:
        settings.OPS_TOKEN = ""
        assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 401

    def test_is_open_under_debug(self, client: Client, settings: Any) -> None:
        settings.DEBUG = True
        assert client.get("/metrics").status_code == 200

    def test_takes_no_pool_and_asks_no_database(self, client: Client) -> None:
        """Without the mark `django_db` any query fails."""
        with full_pool("other"):
            answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
