"""Where an answer came from, as it is counted."""

import pytest
from django.http import HttpResponse
from django.test import Client

from resilience.request import answer_counts
from resilience.testing import server_role


@pytest.mark.parametrize(
    ("status", "tier", "degraded", "source"),
    [
        (200, "live", False, "live"),
        (200, "live", True, "live"),
        (200, "cached", False, "fresh"),
        (200, "cached", True, "cached"),
        (200, "static", True, "static"),
        (200, "mock", True, "mock"),
        (200, None, False, "other"),
        (404, None, False, "other"),
        (200, "made up by a view", False, "other"),
        (503, "static", True, "refused"),
        (503, None, False, "refused"),
        (500, None, False, "failed"),
        (502, "live", False, "failed"),
    ],
)
def test_an_answer_has_one_source(status: int, tier: str | None, degraded: bool, source: str) -> None:
    response = HttpResponse(status=status, headers={"X-Data-Source": tier} if tier else {})
    assert answer_counts.source(response, degraded=degraded) == source


class TestMiddleware:
    def test_counts_each_answer_once(self, client: Client) -> None:
        with server_role() as registered:
            for _ in range(3):
                client.get("/nowhere")
            assert registered.store is not None
            totals = registered.store.counters.totals()
        assert {labels: n for labels, n in totals.items() if labels[0] == "responses"} == {
            ("responses", "other"): 3
        }

    def test_does_not_count_liveness(self, client: Client) -> None:
        with server_role() as registered:
            client.get("/api/health/live")
            assert registered.store is not None
            assert not [labels for labels in registered.store.counters.totals() if labels[0] == "responses"]
