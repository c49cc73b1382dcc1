"""A 503 of an outage is no error report, and a report of a bug waits for no mail server.

Of the kind: an outage of a view, an async view, another middleware, the page for errors; a full pool;
readiness; a mail server that hangs or refuses; a handler of the project's own.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.utils.log import AdminEmailHandler as DjangosHandler
from psycopg.errors import AdminShutdown

from resilience import registry
from resilience.alerts import mails, reports
from resilience.alerts.outbox import Outbox
from resilience.observe import health
from resilience.testing import full_pool, server_role


class HangingBackend(BaseEmailBackend):
    """A mail server that accepts, and says nothing until `answers` is set."""

    answers = threading.Event()

    def send_messages(self, email_messages: Any) -> int:
        self.answers.wait(30)
        mail.outbox.extend(email_messages)
        return len(email_messages)


class BrokenMiddleware:
    """Stand for the sessions' middleware, whose queries fail."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise OperationalError from AdminShutdown()


class BuggyMiddleware(BrokenMiddleware):
    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError


@pytest.fixture
def reporting(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Report errors to `ADMINS` as Django does unless told otherwise, and as a server then does."""
    settings.ROOT_URLCONF = "tests.resilience.outage_urls"
    settings.ADMINS = [("", "ada@example.org")]
    monkeypatch.setattr("resilience.steward.start", lambda: None)
    logger, handler = logging.getLogger("django"), DjangosHandler()
    handler.setLevel(logging.ERROR)
    before = list(logger.handlers)
    logger.addHandler(handler)
    with server_role():
        reports.install()
        yield
        HangingBackend.answers.set()
        reports.flush()
    logger.handlers[:] = before
    HangingBackend.answers.clear()


@pytest.fixture
def browser(reporting: None) -> Client:
    return Client(raise_request_exception=False)


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [
        one for one in caplog.records if one.levelno >= logging.WARNING and one.name != "resilience.breaker"
    ]


class TestOutage:
    @pytest.mark.parametrize("path", ["/api/lost", "/lost", "/api/deadlock"])
    def test_of_a_view_is_one_line_and_no_mail(
        self, browser: Client, path: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert browser.get(path).status_code == 503
        self.is_one_line(caplog, path)

    def test_of_an_async_view(
        self, reporting: None, async_client: AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert async_to_sync(async_client.get)("/api/lost-async").status_code == 503
        self.is_one_line(caplog, "/api/lost-async")

    def test_of_another_middleware(
        self, browser: Client, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.BrokenMiddleware"]
        assert browser.get("/api/left").status_code == 503
        self.is_one_line(caplog, "/api/left")

    def test_of_another_middleware_and_of_the_page_that_says_500(
        self, browser: Client, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.BrokenMiddleware"]
        settings.ROOT_URLCONF = "tests.resilience.outage_urls_with_pages"
        assert browser.get("/api/left").status_code == 503
        self.is_one_line(caplog, "/api/left")

    def test_a_full_pool(self, browser: Client, caplog: pytest.LogCaptureFixture) -> None:
        with full_pool("other"):
            assert browser.get("/api/left").status_code == 503
        self.is_one_line(caplog, "/api/left")

    def test_readiness(
        self, browser: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(health, "able", list)
        assert browser.get("/api/health/ready").status_code == 503
        self.is_one_line(caplog, "/api/health/ready")

    def is_one_line(self, caplog: pytest.LogCaptureFixture, path: str) -> None:
        reports.flush()
        assert mail.outbox == []
        (line,) = lines(caplog)
        assert (line.levelname, line.exc_info) == ("WARNING", None)
        assert path in line.getMessage()
        assert "503" in line.getMessage()


class TestBug:
    def test_is_mailed(self, browser: Client) -> None:
        assert browser.get("/api/bug").status_code == 500
        reports.flush()
        (message,) = mail.outbox
        assert "/api/bug" in message.subject
        assert "ProgrammingError" in str(message.body)

    def test_in_another_middleware_is_mailed(self, browser: Client, settings: Any) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.BuggyMiddleware"]
        assert browser.get("/api/left").status_code == 500
        reports.flush()
        assert len(mail.outbox) == 1

    def test_waits_for_no_mail_server(self, browser: Client, settings: Any) -> None:
        settings.EMAIL_BACKEND = f"{__name__}.HangingBackend"
        began = time.monotonic()
        for _ in range(20):
            assert browser.get("/api/bug").status_code == 500
        assert time.monotonic() - began < 20  # each would have waited 30 s
        assert mail.outbox == []
        HangingBackend.answers.set()
        reports.flush()
        assert len(mail.outbox) == 20

    def test_that_cannot_be_mailed_is_counted(
        self, browser: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def send(report: dict[str, Any]) -> None:
            mails.send_to_admins(**report)

        outbox = Outbox("error_mail", send, room=2, lasts=0.0)
        monkeypatch.setattr(reports, "_outbox", outbox)
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        assert browser.get("/api/bug").status_code == 500
        reports.flush()
        assert registry.store().counters.totals()["alerts", "error_mail", "failure"] == 1

    def test_of_a_handler_of_the_projects_own_is_left_to_it(self, reporting: None) -> None:
        class Own(DjangosHandler):
            pass

        logger, own = logging.getLogger("django"), Own()
        logger.addHandler(own)
        reports.install()
        assert own in logger.handlers
        assert type(logger.handlers[-2]) is reports.AdminEmailHandler
