"""From its wheel, in an environment that has nothing but Django and circuitbreaker, the app does its work."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.alone.environment import BASE, Environment, built

# By the name of their import.
STRANGERS = (
    *("rest_framework", "psycopg", "redis", "django_redis", "requests", "urllib3", "orjson"),
    *("prometheus_client", "drf_spectacular", "pythonjsonlogger", "tqdm", "jwt"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    return Environment(tmp_path_factory.mktemp("alone"), wheel)


@pytest.fixture(scope="module")
def met(alone: Environment) -> Mapping[str, Any]:
    return alone.tour()


class TestTheWheel:
    def test_holds_all_of_the_app_and_nothing_else(self, wheel: Path) -> None:
        names = ZipFile(wheel).namelist()
        assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"resilience"}
        for kept in (
            "py.typed",
            "static/resilience/board.js",
            "templates/resilience/503.html",
            "migrations/0001_history.py",
            "drills/templates",
            "management/commands/breakers.py",
        ):
            assert [name for name in names if name.startswith(f"resilience/{kept}")], kept

    def test_says_what_it_needs_and_brings(self, wheel: Path) -> None:
        with ZipFile(wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            said = archive.read(name).decode()
        needs = [
            line for line in said.splitlines() if line.startswith("Requires-Dist:") and "extra" not in line
        ]
        assert needs == ["Requires-Dist: circuitbreaker<3,>=2.1.3", "Requires-Dist: django<6.2,>=5.2"]
        extras = [line.split()[1] for line in said.splitlines() if line.startswith("Provides-Extra:")]
        assert sorted(extras) == ["copies", "drf", "http", "metrics", "postgres", "redis"]


class TestAlone:
    def test_check_is_silent(self, met: Mapping[str, Any]) -> None:
        assert met["check"] == "System check identified no issues (0 silenced).\n"

    @pytest.mark.parametrize("what", ["health", "live", "ready", "breakers", "board", "healthy", "back"])
    def test_each_door_is_open(self, met: Mapping[str, Any], what: str) -> None:
        assert met[what][0] == 200, met[what]

    def test_has_the_breaker_of_what_there_is(self, met: Mapping[str, Any]) -> None:
        assert list(json.loads(met["health"][2])["services"]) == ["database"]
        assert {name for name in met["health"][1] if name.startswith("X-Circuit-Breaker")} == {
            "X-Circuit-Breaker-DB"
        }

    def test_the_copy_is_made_and_the_breaker_ordered(self, met: Mapping[str, Any]) -> None:
        assert "OPEN" in met["isolated"]
        assert "CLOSED" in met["auto"]
        assert json.loads(met["isolated health"][2])["fallbackData"] == {"products": True}

    @pytest.mark.parametrize("what", ["health", "live", "ready", "board"])
    def test_its_doors_stay_open_in_an_outage(self, met: Mapping[str, Any], what: str) -> None:
        assert met[f"isolated {what}"][0] == 200

    def test_a_read_survives_it(self, met: Mapping[str, Any]) -> None:
        status, headers, body = met["stand-in"]
        assert (status, headers["X-Data-Source"], headers["X-Circuit-Breaker-DB"]) == (200, "static", "OPEN")
        assert json.loads(body)["products"] == ["Chair"]

    def test_a_view_without_stand_ins_says_when_to_come_back(self, met: Mapping[str, Any]) -> None:
        status, headers, _ = met["refused"]
        assert (status, headers["X-Circuit-Breaker-DB"]) == (503, "OPEN")
        assert headers["Retry-After"].isdecimal()

    def test_guards_a_cache_that_needs_no_client(self, alone: Environment) -> None:
        inner = {"INNER": "django.core.cache.backends.locmem.LocMemCache"}
        cache = {"BACKEND": "resilience.cache.ResilientCache", "OPTIONS": inner}
        code = (
            "import django, sys; django.setup(); from django.core.cache import cache;"
            "cache.set('k', {'a': 1.5}); print(cache.get('k'), {'redis', 'orjson'} & set(sys.modules))"
        )
        ran = alone.run("-c", code, CACHES={"default": cache})
        assert ran.stdout == "{'a': 1.5} set()\n", ran.stderr

    def test_loads_nothing_else(self, met: Mapping[str, Any]) -> None:
        assert set(met["loaded"]) <= {name.lower() for name in BASE}
        assert set(met["loaded"]).isdisjoint(STRANGERS)


class TestASettingThatNamesWhatIsAbsent:
    """One message with the extra's name, when Django starts."""

    @pytest.mark.parametrize(
        ("extra", "settings"),
        [
            ("postgres", {"DATABASES": {"default": {"ENGINE": "resilience.db.postgresql", "NAME": "shop"}}}),
            (
                "redis",
                {
                    "CACHES": {
                        "default": {
                            "BACKEND": "resilience.cache.ResilientCache",
                            "OPTIONS": {"INNER": "django_redis.cache.RedisCache"},
                        }
                    }
                },
            ),
            ("http", {"RESILIENCE": {"BREAKERS": {"stock": {"classify": "resilience.http.classify"}}}}),
            ("http", {"RESILIENCE": {"ALERTS": {"webhook_url": "https://hooks.example.org/1"}}}),
            ("metrics", {"RESILIENCE": {"METRICS_PATH": "/metrics"}}),
            ("copies", {"STORAGES": {"resilience": {"BACKEND": "storages.backends.s3.S3Storage"}}}),
        ],
    )
    def test_is_refused_by_the_name_of_the_extra(
        self, alone: Environment, extra: str, settings: dict[str, Any]
    ) -> None:
        ran = alone.run("-m", "django", "check", **settings)
        assert ran.returncode != 0
        last = ran.stderr.splitlines()[-1]
        assert last.startswith("django.core.exceptions.ImproperlyConfigured: ")
        assert f"needs the extra '{extra}'" in last
        assert last.endswith(f"pip install 'django-resilience[{extra}]'")
        assert "No module named" not in ran.stderr
