"""The driver's own words, whatever the driver, and none of the site's secrets in them.

Of the kind: refused, unknown name, wrong password, unknown database, a pooler's refusal, TLS, a Redis
database that is none, mail; passwords in addresses, in parameters, in a webhook's path, spelt in percents.
"""

import smtplib
import sqlite3
import ssl
from collections.abc import Callable

import django.db
import psycopg
import pytest
import redis
import requests
from pytest_django import Settings

from resilience import causes, registry
from resilience.http import GuardedSession
from resilience.journal.files import journal
from resilience.primitives import ManualClock, Outcome
from resilience.testing import server_role
from tests.servers import PostgresServer, RedisServer


def of(fail: Callable[[], object]) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each driver has its own
        fail()
    return causes.describe(caught.value)


def pooler() -> None:
    raise psycopg.OperationalError(
        'connection failed: connection to server at "127.0.0.1", port 6432 failed: '
        "FATAL:  unsupported startup parameter: options"
    )


class TestTheDriversWords:
    def test_of_a_port_that_refuses(self) -> None:
        said = of(lambda: psycopg.connect("postgresql://u:pw@127.0.0.1:1/x"))
        assert said == (
            "psycopg.OperationalError 111: "
            'connection to server at "127.0.0.1", port 1 failed: Connection refused'
        )

    def test_of_a_pooler(self) -> None:
        assert of(pooler).endswith("FATAL: unsupported startup parameter: options")

    def test_of_a_real_postgresql_that_knows_no_such_database(self, postgres: PostgresServer) -> None:
        said = of(lambda: psycopg.connect(postgres.url.replace("/postgres", "/nothere")))
        assert 'FATAL: database "nothere" does not exist' in said

    def test_of_an_answer_of_postgresql(self) -> None:
        said = causes.describe(psycopg.errors.AdminShutdown("terminating connection"))
        assert said == "psycopg.errors.AdminShutdown 57P01: terminating connection"

    def test_of_redis_without_the_arguments_that_it_repeats(self, redis_server: RedisServer) -> None:
        with redis.Redis.from_url(redis_server.url) as client:
            said = of(lambda: client.execute_command("NOSUCH", "session:abc", "a private value"))
        assert "unknown command 'NOSUCH'" in said
        assert "abc" not in said
        assert "private" not in said

    def test_of_redis(self, redis_server: RedisServer) -> None:
        assert of(lambda: redis.Redis(port=1).ping()) == (
            "redis.exceptions.ConnectionError 111: Error 111 connecting to localhost:1. Connection refused"
        )
        said = of(lambda: redis.Redis.from_url(f"{redis_server.url.rpartition('/')[0]}/9999").ping())
        assert "DB index is out of range" in said

    def test_of_a_partner_without_what_was_asked_for(self) -> None:
        said = of(lambda: requests.get("http://127.0.0.1:1/v1/x?key=S3CRET", timeout=1))
        assert said.startswith("requests.exceptions.ConnectionError 111: ")
        assert "Connection refused" in said
        assert "S3CRET" not in said

    def test_of_tls_of_mail_of_sqlite_and_of_the_system(self) -> None:
        broken = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
        assert causes.describe(broken).endswith("certificate verify failed: self-signed certificate")
        assert causes.describe(smtplib.SMTPServerDisconnected("Connection closed")).endswith("closed")
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorname = "SQLITE_FULL"
        assert causes.describe(full) == "sqlite3.OperationalError SQLITE_FULL: database or disk is full"
        assert causes.describe(BrokenPipeError(32, "Broken pipe")).startswith("builtins.BrokenPipeError 32: ")

    def test_are_not_those_of_the_projects_own_errors(self) -> None:
        assert causes.describe(ValueError("card 4111 1111")) == "builtins.ValueError"


class TestSecrets:
    @pytest.mark.parametrize(
        "text",
        [
            "invalid dsn: postgresql://me:S3CRET@db/x",
            "redis://:S3CRET@cache:6379/0 is none",
            "500 Server Error for url: https://api.example/v1/hooks/S3CRET?q=S3CRET",
            'missing "=" after "password=S3CRET"',
            "Authorization: Bearer S3CRET",
            "api_key = S3CRET",
            "HTTPConnectionPool(host='x', port=80): Max retries exceeded with url: /S3CRET",
        ],
    )
    def test_are_taken_out(self, text: str) -> None:
        said = causes.describe(OSError(text))
        assert "S3CRET" not in said
        assert "hidden" in said or "://" in said

    def test_of_the_settings_are_known_in_whatever_sentence(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(settings.DATABASES, "other", {"PASSWORD": "horse-battery"})
        settings.CACHES = {"default": {"LOCATION": "rediss://me:per%40cent@cache/0"}}
        settings.EMAIL_HOST_PASSWORD = "letters"
        settings.RESILIENCE = settings.RESILIENCE | {"ALERTS": {"webhook_url": "https://x.example/T0/B0/xyz"}}
        told = OSError("horse-battery, per@cent, per%40cent, letters, /T0/B0/xyz and a horse")
        assert causes.describe(told) == (
            "builtins.OSError: hidden, hidden, hidden, hidden, hidden and a horse"
        )

    def test_a_wrong_password_is_named_and_not_told(self) -> None:
        said = 'FATAL:  password authentication failed for user "zenow"'
        assert causes.describe(psycopg.OperationalError(said)).endswith(
            'FATAL: password authentication failed for user "zenow"'
        )


class TestSaid:
    """In the log once for a cause and outage; on the board; in the event of the transition."""

    def fail(self, error: Exception, times: int = 3) -> None:
        breaker = registry.breaker("database")
        for _ in range(times):
            breaker.settle(breaker.admit(), Outcome.FAILURE, error=error)

    def test_once_for_each_cause_and_outage(self, caplog: pytest.LogCaptureFixture) -> None:
        clock = ManualClock()
        refused = django.db.OperationalError("FATAL:  unsupported startup parameter: options")

        def lines() -> list[str]:
            return [record.message for record in caplog.records if " fails: " in record.message]

        with server_role(clock=clock):
            self.fail(refused)
            for _ in range(5):
                clock.advance(15)
                self.fail(refused, times=1)
            (line,) = lines()
            assert line == (
                "database fails: django.db.utils.OperationalError: "
                "FATAL: unsupported startup parameter: options"
            )
            clock.advance(15)
            self.fail(django.db.OperationalError("FATAL:  the second cause"), times=1)
            clock.advance(15)
            self.fail(refused, times=1)
            assert len(lines()) == 2
            clock.advance(15)
            breaker = registry.breaker("database")
            breaker.settle(breaker.admit(), Outcome.SUCCESS)
            clock.advance(15)
            self.fail(refused)
            assert len(lines()) == 3

    def test_in_the_event_and_the_snapshot(self) -> None:
        with server_role():
            self.fail(django.db.OperationalError("FATAL:  unsupported startup parameter: options"))
            (event,) = [one for one in journal().entries() if one["kind"] == "transition"]
            assert event["data"]["cause"].endswith("FATAL: unsupported startup parameter: options")
            assert registry.breaker("database").snapshot().last_error == event["data"]["cause"]

    def test_of_a_guarded_partner(self) -> None:
        with server_role():
            session = GuardedSession("external_api")
            with pytest.raises(requests.RequestException):
                session.get("http://127.0.0.1:1/ratings?key=S3CRET")
            told = registry.breaker("external_api").snapshot().last_error
        assert told is not None
        assert "refused" in told
        assert "S3CRET" not in told
