"""Where alerts go, and that a channel which fails costs nobody anything."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core import mail
from pytest_django import Settings

from resilience import registry, signals
from resilience.alerts import channels, webhook
from resilience.alerts.channels import Alert
from resilience.testing import server_role
from tests.patience import ROOM

ALERT = Alert(kind="opened", breaker="database", text="opened; <b> & more", at=1.0, host="web1")


@pytest.fixture(autouse=True)
def _own_outboxes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(channels, "_outboxes", {})
    with server_role():
        yield


class Hook(BaseHTTPRequestHandler):
    """Slack, as far as we know it."""

    posted: list[tuple[str, dict[str, str]]]
    answers: list[tuple[int, dict[str, str]]]
    """What it answers at first: a status, 0 for a cut connection, and headers; then `status`."""
    status = 200

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.posted.append((self.path, body))
        status, headers = self.answers.pop(0) if self.answers else (self.status, {})
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[type[Hook]]:
    kind = type("Hook", (Hook,), {"posted": [], "answers": []})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        kind.url = f"http://127.0.0.1:{server.server_port}/services/S3CRET"  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kind
        server.shutdown()


def use(settings: Settings, **alerts: object) -> None:
    settings.RESILIENCE = settings.RESILIENCE | {"ALERTS": alerts}


def counted() -> dict[tuple[str, ...], int]:
    totals = registry.store().counters.totals()
    return {labels[1:]: n for labels, n in totals.items() if labels[0] == "alerts"}


class TestWebhook:
    def test_is_posted_as_slack_reads_it(self, settings: Settings, hook: type[Hook]) -> None:
        use(settings, webhook_url=hook.url)  # type: ignore[attr-defined]
        with server_role():
            channels.send(ALERT)
            channels.flush()
            assert counted() == {("webhook", "success"): 1}
        ((path, body),) = hook.posted
        assert path == "/services/S3CRET"
        assert body == {"text": "[zenow on web1] database: opened; &lt;b&gt; &amp; more"}

    def test_that_answers_429_is_asked_again_after_the_pause_that_it_wants(
        self, settings: Settings, hook: type[Hook]
    ) -> None:
        hook.answers = [(429, {"Retry-After": "1"})]
        use(settings, webhook_url=hook.url)  # type: ignore[attr-defined]
        with server_role():
            began = time.monotonic()
            channels.send(ALERT)
            channels.flush()
            assert time.monotonic() - began >= 1.0
            assert counted() == {("webhook", "retry"): 1, ("webhook", "success"): 1}
        assert len(hook.posted) == 2

    def test_that_cuts_the_connection_once_is_asked_again(self, settings: Settings, hook: type[Hook]) -> None:
        hook.answers = [(0, {})]
        use(settings, webhook_url=hook.url)  # type: ignore[attr-defined]
        with server_role():
            channels.send(ALERT)
            channels.flush()
            assert counted() == {("webhook", "retry"): 1, ("webhook", "success"): 1}

    @pytest.mark.parametrize("status", [302, 400, 404, 410])
    def test_that_will_not_take_it_is_not_asked_again(
        self, settings: Settings, hook: type[Hook], status: int
    ) -> None:
        hook.status = status
        use(settings, webhook_url=hook.url)  # type: ignore[attr-defined]
        with server_role():
            channels.send(ALERT)
            channels.flush()
            assert counted() == {("webhook", "failure"): 1}
        assert len(hook.posted) == 1

    @pytest.mark.parametrize("failure", ["refused", "status", "redirect"])
    def test_that_fails_is_counted_and_said_once_without_its_address(
        self, settings: Settings, hook: type[Hook], failure: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        hook.status = {"status": 500, "redirect": 302}.get(failure, 200)
        url = "http://127.0.0.1:1/services/S3CRET" if failure == "refused" else hook.url  # type: ignore[attr-defined]
        use(settings, webhook_url=url, retry_for=0)
        with server_role(), caplog.at_level(logging.DEBUG):
            for _ in range(3):
                channels.send(ALERT)
            channels.flush()
            assert counted() == {("webhook", "failure"): 3}
        said = [record for record in caplog.records if "given up" in record.message]
        assert len(said) == 1
        assert "S3CRET" not in "".join(
            record.getMessage() for record in caplog.records if record.name.startswith("resilience")
        )

    def test_that_is_silent_is_given_up(
        self, settings: Settings, silent_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhook, "_TOTAL", 0.2)
        monkeypatch.setattr(webhook, "_CONNECT", 0.2)
        use(settings, webhook_url=f"http://127.0.0.1:{silent_port}/", retry_for=0)
        with server_role():
            began = time.monotonic()
            channels.send(ALERT)
            assert time.monotonic() - began < 0.1 + ROOM
            channels.flush()
            assert counted() == {("webhook", "failure"): 1}


class TestPause:
    """`Retry-After` in both forms; what is neither asks for nothing."""

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "17"}, 17.0),
            ({"Retry-After": "0"}, 0.0),
            (
                {
                    "Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT",
                    "Date": "Wed, 21 Oct 2015 07:27:30 GMT",
                },
                30.0,
            ),
            ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": "-5"}, None),
            ({"Retry-After": "²"}, None),
            ({}, None),
        ],
    )
    def test_is_what_was_asked_for(self, headers: dict[str, str], seconds: float | None) -> None:
        assert webhook.asked_pause(headers) == seconds


class TestTakeOver:
    def test_the_next_steward_sends_what_the_last_one_could_not(
        self, settings: Settings, hook: type[Hook], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(settings, webhook_url=hook.url)  # type: ignore[attr-defined]
        hook.answers = [(429, {"Retry-After": "120"})]
        with server_role():
            channels.send(ALERT)
            deadline = time.monotonic() + 10
            while not hook.posted:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            monkeypatch.setattr(channels, "_outboxes", {})  # as another process has it
            channels.take_over()
            channels.flush()
            assert counted() == {("webhook", "retry"): 1, ("webhook", "success"): 1}
            channels.take_over()
            channels.flush()
        assert len(hook.posted) == 2


class TestMail:
    def test_goes_to_the_admins(self, settings: Settings) -> None:
        settings.ADMINS = [("", "ada@example.org")]
        channels.send(ALERT)
        channels.flush()
        (message,) = mail.outbox
        assert message.to == ["ada@example.org"]
        assert "opened: database: opened" in message.subject
        assert "host: web1" in message.body

    def test_goes_nowhere_without_admins(self) -> None:
        channels.send(ALERT)
        channels.flush()
        assert mail.outbox == []

    def test_that_fails_keeps_no_other_channel(self, settings: Settings, hook: type[Hook]) -> None:
        settings.ADMINS = [("", "ada@example.org")]
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        use(settings, webhook_url=hook.url, retry_for=0)  # type: ignore[attr-defined]
        with server_role():
            channels.send(ALERT)
            channels.flush()
            assert counted() == {("mail", "failure"): 1, ("webhook", "success"): 1}


class TestSignal:
    def test_is_sent(self) -> None:
        heard: list[Alert] = []

        def listen(alert: Alert, **_: object) -> None:
            heard.append(alert)

        signals.alert.connect(listen)
        try:
            channels.send(ALERT)
            channels.flush()
        finally:
            signals.alert.disconnect(listen)
        assert heard == [ALERT]

    def test_whose_receiver_fails_is_counted(self) -> None:
        def fail(**_: object) -> None:
            raise RuntimeError("a bug of the project")

        signals.alert.connect(fail)
        try:
            channels.send(ALERT)
            channels.flush()
        finally:
            signals.alert.disconnect(fail)
        assert counted() == {("signal", "failure"): 1}


class TestLog:
    def test_has_one_line_for_an_alert(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "resilience.alerts"):
            channels.send(ALERT)
        (record,) = caplog.records
        assert (record.levelname, record.getMessage()) == (
            "WARNING",
            "database: opened; <b> & more (opened)",
        )
