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
from resilience.observe import channels
from resilience.observe.channels import Alert, Outbox
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
    status = 200

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.posted.append((self.path, body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[type[Hook]]:
    kind = type("Hook", (Hook,), {"posted": []})
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

    @pytest.mark.parametrize("failure", ["refused", "status", "redirect"])
    def test_that_fails_is_counted_and_said_once_without_its_address(
        self, settings: Settings, hook: type[Hook], failure: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        hook.status = {"status": 500, "redirect": 302}.get(failure, 200)
        url = "http://127.0.0.1:1/services/S3CRET" if failure == "refused" else hook.url  # type: ignore[attr-defined]
        use(settings, webhook_url=url)
        with server_role(), caplog.at_level(logging.DEBUG):
            for _ in range(3):
                channels.send(ALERT)
            channels.flush()
            assert counted() == {("webhook", "failure"): 3}
        said = [record for record in caplog.records if "gets out by webhook" in record.message]
        assert len(said) == 1
        assert "S3CRET" not in "".join(
            record.getMessage() for record in caplog.records if record.name.startswith("resilience")
        )

    def test_that_is_silent_is_given_up(
        self, settings: Settings, silent_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(channels, "_TOTAL", 0.2)
        monkeypatch.setattr(channels, "_CONNECT", 0.2)
        use(settings, webhook_url=f"http://127.0.0.1:{silent_port}/")
        with server_role():
            began = time.monotonic()
            channels.send(ALERT)
            assert time.monotonic() - began < 0.1 + ROOM
            channels.flush()
            assert counted() == {("webhook", "failure"): 1}


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
        use(settings, webhook_url=hook.url)  # type: ignore[attr-defined]
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


class TestOutbox:
    def test_drops_and_counts_what_finds_no_room(self, caplog: pytest.LogCaptureFixture) -> None:
        gate, entered = threading.Event(), threading.Event()
        delivered: list[Alert] = []

        def slow(alert: Alert) -> None:
            entered.set()
            gate.wait()
            delivered.append(alert)

        outbox = Outbox("slow", slow, room=2)
        outbox.put(ALERT)
        entered.wait()
        with caplog.at_level(logging.WARNING, "resilience.alerts"):
            for _ in range(5):
                outbox.put(ALERT)
        gate.set()
        outbox.join()
        assert len(delivered) == 3
        assert counted() == {("slow", "success"): 3, ("slow", "dropped"): 3}
        assert len(caplog.records) == 1
