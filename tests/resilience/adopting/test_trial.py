"""`manage.py resilience try` shows an outage, ends it in each way, and begins none where there is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.urls import path
from pytest_django import Settings

from resilience import registry
from resilience.adopting.trial import Answer, TrialError, over_http, trial
from resilience.models import Generation
from resilience.operate import orders
from resilience.primitives import BreakerSnapshot, Outcome
from resilience.testing import server_role


def accounts(request: HttpRequest) -> HttpResponse:
    breaker = registry.breaker("database")
    breaker.settle(breaker.admit(), Outcome.SUCCESS)  # as a query does outside a test's transaction
    return HttpResponse("12 accounts")


urlpatterns = [path("accounts", accounts)]


def well() -> Answer:
    state = registry.breaker("database").shown().value
    return Answer(status=200, headers={"X-Circuit-Breaker-DB": state}, seconds=0.01)


@pytest.fixture
def server() -> Iterator[None]:
    with server_role():
        yield


def order() -> BreakerSnapshot:
    return registry.breaker("database").snapshot()


class TestInThisProcess:
    def tried(self, *arguments: str) -> list[str]:
        out = StringIO()
        call_command("resilience", "try", *arguments, "--seconds", "1.9", stdout=out)
        return out.getvalue().splitlines()

    @pytest.mark.django_db
    def test_a_read_with_stand_ins_is_answered_throughout(self) -> None:
        Generation.objects.update_or_create(pk=1, defaults={"generation": 1})  # what is stored has a version
        before, during, after, summary = self.tried("/api/categories")
        assert before.split()[:2] == ["before", "200"]
        assert "X-Data-Source: live" in before
        assert during.split()[:2] == ["during", "200"]
        assert "X-Data-Source: cached" in during
        assert after.split()[:2] == ["after", "200"]
        assert summary == "All 1 requests of the isolation were answered."

    @pytest.mark.django_db
    def test_what_has_none_is_told_to_come_back(self, settings: Settings) -> None:
        settings.ROOT_URLCONF = __name__
        _, during, _, summary = self.tried("/accounts")
        assert during.split()[:2] == ["during", "503"]
        assert summary.startswith(
            "Of 1 requests of the isolation 0 were answered, and 1 told to come back (503)."
        )

    @pytest.mark.django_db
    def test_leaves_the_process_as_it_was(self) -> None:
        self.tried("/api/categories")
        assert not registry.is_server()


class TestTheIsolation:
    def test_has_an_end_of_its_own(self, server: None) -> None:
        """So that it ends even if the command is killed."""
        answers = trial(well, seconds=5.0, who="ann")
        assert [next(answers).when, next(answers).when] == ["before", "during"]
        found = order()
        assert found.isolated
        assert found.override is not None
        assert found.override.until is not None
        assert found.override.until - found.override.since <= 5.0
        answers.close()

    def test_ends_with_the_command(self, server: None) -> None:
        answers = trial(well, seconds=5.0, who="ann")
        next(answers)
        next(answers)
        answers.close()  # as Ctrl-C does
        assert order().override is None

    def test_ends_with_an_error(self, server: None) -> None:
        asked: list[int] = []

        def fails() -> Answer:
            asked.append(1)
            if len(asked) > 1:
                raise TrialError("it does not answer")
            return well()

        answers = trial(fails, seconds=5.0, who="ann")
        next(answers)
        with pytest.raises(TrialError):
            next(answers)
        assert order().override is None

    def test_is_over_when_the_last_answer_comes(self, server: None) -> None:
        answers = list(trial(well, seconds=0.1, who="ann"))
        assert [(one.when, one.saw_the_order) for one in answers] == [
            ("before", False),
            ("during", True),
            ("after", False),
        ]

    def test_stops_at_the_first_answer_that_does_not_see_it(self, server: None) -> None:
        """Such as that of another host behind a balancer."""
        elsewhere = Answer(status=200, headers={"X-Circuit-Breaker-DB": "CLOSED"}, seconds=0.01)
        answers = trial(lambda: elsewhere, seconds=5.0, who="ann")
        assert [next(answers).when, next(answers).when] == ["before", "during"]
        with pytest.raises(TrialError, match="did not see the isolation"):
            next(answers)
        assert order().override is None

    @pytest.mark.parametrize("who", ["bob", "ann"])
    def test_leaves_an_order_that_came_meanwhile(self, server: None, who: str) -> None:
        answers = trial(well, seconds=5.0, who="ann")
        next(answers)
        next(answers)
        orders.steer(orders.Order("isolate", ["database"], "a real outage"), who=who)
        answers.close()
        found = order().override
        assert found is not None
        assert (found.who, found.why, found.until) == (who, "a real outage", None)

    def test_lasts_as_long_where_the_clock_of_the_host_is_set(
        self, server: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = trial(well, seconds=0.1, who="ann")
        next(answers)
        next(answers)
        back = time.time() - 3600.0
        monkeypatch.setattr("resilience.adopting.trial.time.time", lambda: back)
        assert [one.when for one in answers] == ["after"]


class TestWhatIsRefused:
    @pytest.mark.parametrize("action", ["isolate", "disable"])
    @pytest.mark.parametrize("name", ["database", "cache"])
    def test_a_site_that_somebody_steers(self, server: None, action: str, name: str) -> None:
        orders.steer(orders.Order(action, [name], "a move"), who="bob")
        with pytest.raises(TrialError, match=name):
            next(trial(well, seconds=1.0, who="ann"))
        found = registry.breaker(name).snapshot().override
        assert found is not None
        assert (found.who, found.why) == ("bob", "a move")

    @pytest.mark.parametrize("status", [302, 401, 404, 500])
    def test_an_address_that_does_not_answer_with_what_was_asked(self, server: None, status: int) -> None:
        answers = trial(lambda: Answer(status=status, headers={}, seconds=0.01), seconds=1.0, who="ann")
        next(answers)
        with pytest.raises(TrialError, match=f"even before .{status}"):
            next(answers)
        assert order().override is None

    def test_a_site_in_an_outage(self, server: None) -> None:
        breaker = registry.breaker("cache")
        for _ in range(5):
            breaker.settle(breaker.admit(), Outcome.FAILURE)
        with pytest.raises(TrialError, match="cache is OPEN"):
            next(trial(well, seconds=1.0, who="ann"))
        assert order().override is None

    def test_an_address_that_is_not_answered_well_before(self, server: None) -> None:
        def degraded() -> Answer:
            return Answer(status=200, headers={"X-System-Degraded": "true"}, seconds=0.01)

        answers = trial(degraded, seconds=1.0, who="ann")
        next(answers)
        with pytest.raises(TrialError, match="even before"):
            next(answers)
        assert order().override is None

    def test_a_live_site_that_nobody_confirms(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.DEBUG = False
        monkeypatch.setattr("sys.stdin", StringIO())
        with pytest.raises(CommandError, match="--yes"):
            call_command("resilience", "try", "http://localhost/")

    def test_a_host_without_a_server(self) -> None:
        with pytest.raises(CommandError, match="no server has run here"):
            call_command("resilience", "try", "http://localhost/", "--yes")

    @pytest.mark.parametrize("address", ["products", "ftp://ann:secret@localhost/"])
    def test_an_address_that_is_none(self, address: str) -> None:
        with pytest.raises(CommandError, match="neither a path nor") as refused:
            call_command("resilience", "try", address, "--yes")
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize("address", ["http://localhost:many/", "http://[::1/"])
    def test_an_address_that_cannot_be_read(self, address: str) -> None:
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("resilience", "try", address, "--yes")


class TestOverHTTP:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        class Says(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(503 if self.path == "/?busy=1" else 200)
                self.send_header("retry-after", "7")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with HTTPServer(("127.0.0.1", 0), Says) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()
            thread.join()

    def test_tells_what_came_back(self, url: str) -> None:
        answer = over_http(f"{url}?busy=1")()
        assert (answer.status, answer.headers, answer.healthy) == (503, {"Retry-After": "7"}, False)

    def test_says_that_nobody_answers(self) -> None:
        with pytest.raises(TrialError, match=r"http://127\.0\.0\.1:9/read does not answer") as told:
            over_http("http://ann:secret@127.0.0.1:9/read?token=hidden")()
        assert "secret" not in str(told.value)
        assert "hidden" not in str(told.value)
