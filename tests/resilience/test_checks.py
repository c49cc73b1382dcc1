"""Each way to configure it wrongly is said with its fix; what this project says is right."""

import copy
import platform
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.checks import CheckMessage, run_checks
from django.utils.log import AdminEmailHandler

from resilience import checks, conf
from resilience.conf import capacity
from resilience.db.postgresql import checks as database_checks
from resilience.tiers.static_copy import Export, Resource

UNDATED = Export(resources=[Resource(name="users", rows=User.objects.all)])


def found(settings: Any, **changed: Any) -> list[CheckMessage]:
    for name, value in changed.items():
        setattr(settings, name, value)
    return run_checks(tags=["resilience"])


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def _without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


@pytest.fixture
def resilience(settings: Any) -> Any:
    """A copy of what is in force in this project, which a test may change."""
    sections = {name: conf.get(name) for name in ("BREAKERS", "BULKHEADS", "CHORES", "ALERTS")}
    return copy.deepcopy(settings.RESILIENCE | sections | {"DEADLINES": conf.deadlines()})


class TestThisProject:
    def test_is_configured_rightly(self) -> None:
        assert run_checks(tags=["resilience"]) == []

    def test_describes_each_check(self) -> None:
        root = Path(__file__).resolve().parents[2]
        written = "".join(path.read_text() for path in (root / "resilience").rglob("checks.py"))
        raised = set(re.findall(r'"(resilience\.[EWI]\d{3})"', written))
        rows = re.findall(r"^\| `(resilience\.[EWI]\d{3})` \|", (root / "ARCHITECTURE.md").read_text(), re.M)
        assert rows == sorted(rows, key=lambda name: name[-3:])
        assert set(rows) == raised


class TestSettings:
    def test_a_key_that_nothing_reads_is_an_error(self, settings: Any, resilience: Any) -> None:
        resilience["BREAKERS"]["database"]["failure_treshold"] = 3
        messages = found(settings, RESILIENCE=resilience)
        assert "resilience.E001" in ids(messages)
        assert "BREAKERS.database.failure_treshold" in messages[0].msg

    def test_a_namespace_is_demanded(self, settings: Any, resilience: Any) -> None:
        del resilience["NAMESPACE"]
        assert ids(found(settings, RESILIENCE=resilience)) == ["resilience.E002"]

    @pytest.mark.parametrize(
        ("section", "name", "field", "value"),
        [("BREAKERS", "database", "recovery_timeout", -1), ("BULKHEADS", "read", "running", 0)],
    )
    def test_a_value_that_makes_no_sense_is_an_error_and_no_traceback(
        self, settings: Any, resilience: Any, section: str, name: str, field: str, value: int
    ) -> None:
        resilience[section][name][field] = value
        messages = found(settings, RESILIENCE=resilience)
        assert ids(messages) == ["resilience.E003"]
        assert field in messages[0].msg

    def test_a_usual_breaker_without_its_judge_is_a_warning(self, settings: Any, resilience: Any) -> None:
        resilience["BREAKERS"]["cache"] = {"failure_threshold": 4}
        (message,) = found(settings, RESILIENCE=resilience)
        assert message.id == "resilience.W005"
        assert "names no classify and no ping" in message.msg

    @pytest.mark.parametrize("name", ["database", "database:reports"])
    @pytest.mark.parametrize(
        ("ping", "said"),
        [
            ("tests.resilience.test_checks.found", "names tests.resilience.test_checks.found as"),
            (None, "no ping"),
        ],
    )
    def test_a_database_that_the_steward_asks_otherwise_is_a_warning(
        self, settings: Any, resilience: Any, name: str, ping: str | None, said: str
    ) -> None:
        """What other hosts wrote is asked for by our ping alone."""
        entry = resilience["BREAKERS"]["database"]
        entries = resilience["BREAKERS"] | {name: entry | {"ping": ping} if ping else _without(entry, "ping")}
        messages = found(settings, RESILIENCE=resilience | {"BREAKERS": entries})
        (message,) = (each for each in messages if each.id == "resilience.W015")
        assert said in message.msg
        assert "resilience.db.probe.ping" in str(message.hint)

    def test_a_project_that_names_none_of_it_is_right(self, settings: Any) -> None:
        assert found(settings, RESILIENCE={"NAMESPACE": "shop"}) == []

    def test_drills_without_their_app_are_an_error_that_names_the_line(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        allowed = {"NAMESPACE": "shop", "DRILLS": True}
        assert found(settings, RESILIENCE=allowed) == []
        monkeypatch.delitem(apps.app_configs, "resilience_drills")
        (message,) = found(settings, RESILIENCE=allowed)
        assert message.id == "resilience.E006"
        assert 'the line "resilience.drills", to INSTALLED_APPS' in str(message.hint)

    @pytest.mark.parametrize("key", ["classify", "ping", "probe"])
    def test_a_path_that_leads_nowhere_is_an_error(self, settings: Any, resilience: Any, key: str) -> None:
        resilience["BREAKERS"]["cache"][key] = "resilience.nowhere.at_all"
        messages = found(settings, RESILIENCE=resilience)
        assert ids(messages) == ["resilience.E004"]
        assert f"['cache']['{key}']" in messages[0].msg


class TestDatabases:
    @staticmethod
    def found(monkeypatch: pytest.MonkeyPatch, **databases: dict[str, Any]) -> list[str | None]:
        # Django warns of overriding DATABASES, and rightly: nothing here may connect to these.
        monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES=databases))
        return ids(list(checks.check_databases()))

    def test_an_engine_without_a_guard_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        databases = {"default": {"ENGINE": "django.db.backends.postgresql"}}
        assert self.found(monkeypatch, **databases) == ["resilience.E010"]

    def test_the_static_file_needs_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.found(monkeypatch, static={"ENGINE": "django.db.backends.sqlite3"}) == []

    def test_views_that_are_one_transaction_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        databases = {"default": {"ENGINE": "resilience.db.sqlite3", "ATOMIC_REQUESTS": True}}
        assert self.found(monkeypatch, **databases) == []

    @pytest.mark.parametrize(
        ("version", "refused"),
        [
            ("3.3.5", True),
            ("3.3.6", False),
            ("3.3.9", False),
            ("3.3.10", False),
            ("3.4", True),
            ("3.4.1", True),
        ],
    )
    def test_a_driver_that_cannot_be_bounded_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch, version: str, refused: bool
    ) -> None:
        monkeypatch.setattr(psycopg, "__version__", version)
        databases = {"default": {"ENGINE": "resilience.db.postgresql"}}
        assert self.found(monkeypatch, **databases) == ["resilience.E012"] * refused


class TestCache:
    def test_a_backend_without_a_guard_is_an_error(self, settings: Any) -> None:
        caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1/0"}}
        assert ids(found(settings, CACHES=caches)) == ["resilience.E020"]

    @pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache"])
    def test_one_in_the_process_itself_needs_no_guard(self, settings: Any, backend: str) -> None:
        caches = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
        assert found(settings, CACHES=caches) == []

    def test_failures_that_are_hidden_from_the_breaker_are_an_error(self, settings: Any) -> None:
        assert ids(found(settings, DJANGO_REDIS_IGNORE_EXCEPTIONS=True)) == ["resilience.E021"]

    @pytest.mark.parametrize(
        ("location", "options", "named"),
        [
            ("redis://:hunter2@cache/0?no_such_option=hunter2", {}, "'no_such_option'"),
            ("rediss://cache/0?ssl_cert_reqs=CERT_NONE", {}, "ssl_cert_reqs"),
            ("rediss://cache/0?ssl_ca_certs=/hunter2.pem", {}, "ssl_ca_certs"),
            ("rediss://cache/0?ssl_ciphers=hunter2", {}, "ssl_ciphers"),
            ("rediss://cache/0?ssl_min_version=1", {}, "ssl_min_version"),
            ("redis://cache/0?ssl_cert_reqs=none", {}, "ssl_cert_reqs"),
            ("redis://cache/0?protocol=3", {}, "protocol"),
            ("redis://cache/0?decode_responses=true", {}, "decode_responses"),
            ("redis://cache/0?db=hunter2", {}, "db"),
            ("redis://cache/0?socket_timeout=hunter2", {}, "socket_timeout"),
            ("redis://cache/0?socket_timeout=0", {}, "socket_timeout"),
            ("redis://cache/0?socket_connect_timeout=nan", {}, "socket_connect_timeout"),
            ("redis://cache/0?client_name=two%20words", {}, "client_name"),
            ("redis://cache/0?db=-1", {}, "db"),
            (f"rediss://cache/0?ssl_ca_certs={__file__}", {}, "ssl_ca_certs"),  # holds no certificate
            ("redis://cache/99999999999999999999", {}, "not the number of a database"),
            ("redis://cache/hunter2", {}, "not the number of a database"),
            ("redis://:hunter2@cache:port/0", {}, "no address of a Redis server"),
            ("http://hunter2@cache/0", {}, "no address of a Redis server"),
            ("redis://cache/0,redis://cache/first", {}, "not the number of a database"),
            (["redis://cache/0", "redis://cache/0?x=1"], {}, "'x'"),
            ("redis://cache/0", {"CONNECTION_POOL_KWARGS": {"no_such": "hunter2"}}, "no_such"),
            ("redis://cache/0", {"SERIALIZER": "django_redis.serializers.pickle.P"}, "SERIALIZER"),
            ("redis://cache/0", {"INNER": "no_such.Backend"}, "no_such"),
        ],
    )
    def test_one_that_could_never_work_is_an_error_that_holds_no_secret(
        self, settings: Any, location: Any, options: dict[str, Any], named: str
    ) -> None:
        cache = {
            "BACKEND": "resilience.cache.ResilientCache",
            "LOCATION": location,
            "OPTIONS": {"INNER": "django_redis.cache.RedisCache", **options},
        }
        (error,) = found(settings, CACHES={"default": cache})

        assert error.id == "resilience.E022"
        assert named in error.msg
        assert "hunter2" not in f"{error.msg} {error.hint}"

    @pytest.mark.parametrize(
        "location",
        [
            "redis://user:p%2Fw@cache:6379/3",
            "redis://cache?db=2&max_connections=10&client_name=web&health_check_interval=30",
            "rediss://cache/0?ssl_cert_reqs=none",
            "unix:///run/redis.sock?db=1",
        ],
    )
    def test_a_usual_address_is_taken(self, settings: Any, location: str) -> None:
        cache = {
            "BACKEND": "resilience.cache.ResilientCache",
            "LOCATION": location,
            "OPTIONS": {"INNER": "django_redis.cache.RedisCache"},
        }
        assert found(settings, CACHES={"default": cache}) == []


class TestMiddleware:
    def test_that_is_missing_is_an_error(self, settings: Any) -> None:
        assert ids(found(settings, MIDDLEWARE=settings.MIDDLEWARE[1:])) == ["resilience.E030"]

    def test_that_is_not_first_is_an_error(self, settings: Any) -> None:
        turned = [settings.MIDDLEWARE[1], settings.MIDDLEWARE[0], *settings.MIDDLEWARE[2:]]
        assert ids(found(settings, MIDDLEWARE=turned)) == ["resilience.E030"]


class TestLogHandlers:
    @pytest.mark.parametrize(
        ("path", "warned"),
        [
            ("logging.handlers.SMTPHandler", True),
            ("logging.handlers.HTTPHandler", True),
            ("logging.handlers.DatagramHandler", True),
            ("logging.handlers.SysLogHandler", True),
            ("tests.resilience.test_checks.OwnMail", True),
            ("django.utils.log.AdminEmailHandler", False),
            ("resilience.alerts.reports.AdminEmailHandler", False),
            ("logging.StreamHandler", False),
            ("logging.handlers.QueueHandler", False),
            ("nowhere.Handler", False),
        ],
    )
    def test_that_send_while_a_request_waits_are_warned_of(
        self, settings: Any, path: str, warned: bool
    ) -> None:
        messages = found(settings, LOGGING={"handlers": {"ours": {"class": path}}})
        assert ids(messages) == (["resilience.W031"] if warned else [])


class OwnMail(AdminEmailHandler):
    """A project's own."""


class TestDeadlines:
    @pytest.mark.parametrize(("inner", "outer"), checks.ORDER)
    def test_a_time_out_that_outlasts_the_one_around_it_is_an_error(
        self, settings: Any, resilience: Any, inner: str, outer: str
    ) -> None:
        resilience["DEADLINES"][inner] = resilience["DEADLINES"][outer]
        messages = found(settings, RESILIENCE=resilience)
        assert set(ids(messages)) == {"resilience.E040"}
        assert any(f"{inner} (" in message.msg and f"{outer} (" in message.msg for message in messages)


class TestPools:
    def test_that_leave_no_thread_free_are_a_warning_with_numbers_that_fit(self, settings: Any) -> None:
        needed = capacity.threads(conf.bulkheads())
        assert found(settings, WEB_THREADS=needed) == []
        (message,) = found(settings, WEB_THREADS=needed - 1)
        assert message.id == "resilience.W050"
        assert f"need {needed} threads" in message.msg
        assert f"beyond {needed - 2} are turned away" in message.msg
        assert message.hint is not None
        assert message.hint.startswith(f"Raise WEB_THREADS to {needed}, or lower BULKHEADS")
        assert "to read " in message.hint

    def test_of_which_none_would_fit_say_how_many_threads_they_need(self, settings: Any) -> None:
        (message,) = found(settings, WEB_THREADS=5)
        assert message.hint == f"Raise WEB_THREADS to {capacity.threads(conf.bulkheads())}."

    def test_are_not_compared_with_threads_that_nobody_named(self, settings: Any) -> None:
        assert found(settings, WEB_THREADS=None) == []


class TestPoolOptions:
    @pytest.mark.parametrize(
        ("pool", "named"),
        [
            (True, None),
            ({"max_size": 4}, None),
            ({"max_size": 4, "timeout": 5, "min_size": 2}, "min_size, timeout"),
        ],
    )
    def test_that_nothing_reads_are_named(
        self, monkeypatch: pytest.MonkeyPatch, pool: object, named: str | None
    ) -> None:
        database = {"ENGINE": "resilience.db.postgresql", "OPTIONS": {"pool": pool}}
        monkeypatch.setattr(database_checks, "settings", SimpleNamespace(DATABASES={"default": database}))
        told = list(database_checks.check_pool_options())
        assert [each.id for each in told] == ["resilience.W014"] * (named is not None)
        assert named is None or f"nothing reads {named}." in told[0].msg


def test_a_system_without_a_host_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert [message.id for message in checks.check_system()] == ["resilience.I060"]


class TestStaticTier:
    def test_an_export_that_cannot_be_imported_is_an_error(self, settings: Any, resilience: Any) -> None:
        resilience["FALLBACK"] = "learn.fallback.EXPRT"
        assert ids(found(settings, RESILIENCE=resilience)) == ["resilience.E070"]

    def test_a_resource_without_the_time_of_its_change_is_an_error(
        self, settings: Any, resilience: Any
    ) -> None:
        resilience["FALLBACK"] = f"{__name__}.UNDATED"
        (message,) = found(settings, RESILIENCE=resilience)
        assert message.id == "resilience.E072"
        assert "users have no column 'updated'" in message.msg

    def test_its_alias_is_demanded(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        others = {name: value for name, value in settings.DATABASES.items() if name != "static"}
        monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES=others))
        assert ids(list(checks.check_static_tier())) == ["resilience.E071"]

    def test_a_project_without_one_needs_none(
        self, settings: Any, resilience: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.RESILIENCE = {**resilience, "FALLBACK": None}
        monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES={}))
        assert list(checks.check_static_tier()) == []
