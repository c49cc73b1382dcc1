"""Settings are read at call time, typed, and wrong ones are named."""

import os
import runpy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from resilience import conf
from resilience.conf import AlertConfig
from resilience.defaults import DEADLINES, SETTINGS
from resilience.primitives import BreakerConfig, BulkheadConfig

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def only_a_namespace(settings: Settings) -> None:
    settings.RESILIENCE = {"NAMESPACE": "shop"}


class TestDefaults:
    def test_a_project_says_only_what_it_wants_otherwise(self, settings: Settings) -> None:
        assert list(conf.breakers()) == ["database", "cache", "auth", "external_api"]
        assert list(conf.bulkheads()) == ["read", "write", "auth", "external", "other"]
        assert conf.faults_allowed() is False
        settings.RESILIENCE = {"NAMESPACE": "shop", "DRILLS": True}
        assert conf.faults_allowed() is True

    def test_there_is_no_key_but_those(self) -> None:
        with pytest.raises(KeyError):
            conf.get("BREAKER")

    def test_a_namespace_is_demanded(self, settings: Settings) -> None:
        settings.RESILIENCE = {}
        with pytest.raises(ImproperlyConfigured, match=r"NAMESPACE.* is missing"):
            conf.namespace()

    def test_a_project_without_any_settings_is_read_too(self, settings: Settings) -> None:
        del settings.RESILIENCE
        assert conf.unknown_keys() == []
        assert conf.deadline("read") == 2.0


class TestDirectory:
    def test_is_the_chosen_one(self, settings: Settings) -> None:
        settings.RESILIENCE = {"DIR": "/run/shop"}
        assert conf.directory() == Path("/run/shop")

    def test_else_lies_in_shared_memory_by_user_and_namespace(self) -> None:
        if Path("/dev/shm").is_dir():  # noqa: S108
            assert conf.directory() == Path("/dev/shm", f"resilience-{os.geteuid()}-shop")  # noqa: S108
        else:
            assert conf.directory().name == "resilience"

    def test_else_under_var(self, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        assert conf.directory() == Path(settings.BASE_DIR) / "var" / "resilience"

    def test_of_the_static_tier_lies_under_var_too(self, settings: Settings) -> None:
        assert conf.static_dir() == Path(settings.BASE_DIR) / "var" / "static-tier"
        settings.RESILIENCE = {"STATIC_DIR": "/srv/static"}
        assert conf.static_dir() == Path("/srv/static")


class TestGuards:
    def test_are_built_from_their_values(self, settings: Settings) -> None:
        settings.RESILIENCE = {
            "BREAKERS": {"partner": {"failure_threshold": 2, "endpoint": "https://partner.test/"}},
            "BULKHEADS": {"read": {"running": 5}},
            "DEADLINES": {"read": 1.8},
        }
        assert conf.breakers() == {"partner": BreakerConfig(failure_threshold=2)}
        assert conf.bulkheads() == {"read": BulkheadConfig(running=5)}
        assert conf.deadline("read") == 1.8
        assert conf.deadline("write") == 2.0
        with pytest.raises(KeyError):
            conf.deadline("reed")

    @pytest.mark.parametrize(
        ("section", "values", "says"),
        [
            ("BREAKERS", {"window": -1}, "window must be"),
            ("BREAKERS", {"windows": 1}, "windows"),
            ("BULKHEADS", {"running": 0}, "running must be"),
            ("BULKHEADS", {"running": 1, "endpoint": "x"}, "endpoint"),
        ],
    )
    def test_that_make_no_sense_are_named(
        self, settings: Settings, section: str, values: dict[str, Any], says: str
    ) -> None:
        settings.RESILIENCE = {section: {"a": values}}
        built: Any = conf.breakers if section == "BREAKERS" else conf.bulkheads
        with pytest.raises(ImproperlyConfigured, match=rf"RESILIENCE\['{section}'\]\['a'\].*{says}"):
            built()

    def test_misspelt_keys_are_found_wherever_they_are(self, settings: Settings) -> None:
        settings.RESILIENCE = {
            "NAMESPACES": "x",
            "BREAKERS": {"database": {"window": 1, "endpoint": "e", "windw": 2}},
            "BULKHEADS": {"read": {"running": 1, "endpoint": "e"}},
            "DEADLINES": {"reed": 1.0},
        }
        assert conf.unknown_keys() == [
            "NAMESPACES",
            "BREAKERS.database.windw",
            "BULKHEADS.read.endpoint",
            "DEADLINES.reed",
        ]


class TestTheProjectsOwnSettings:
    @pytest.fixture
    def said(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """What the module says by itself: the suite changes the dictionary that is in force."""
        monkeypatch.setenv("ALERT_WEBHOOK_URL", "https://chat.example/hook")
        found: dict[str, Any] = runpy.run_path(str(ROOT / "zenow" / "settings" / "resilience.py"))
        return found["RESILIENCE"]  # type: ignore[no-any-return]

    def test_have_no_misspelt_key(self, said: dict[str, Any]) -> None:
        assert [key for key in said if key not in SETTINGS] == []

    def test_repeat_no_default(self, said: dict[str, Any]) -> None:
        """An entry that a section has from the defaults is the very one; what equals it was written twice."""
        usual = {key: setting.default for key, setting in SETTINGS.items()} | {
            "DEADLINES": {name: each.default for name, each in DEADLINES.items()},
            "ALERTS": {each.name: each.default for each in fields(AlertConfig)},
        }
        repeated = [key for key, value in said.items() if value == usual[key]]
        for section in ("BREAKERS", "BULKHEADS", "CHORES", "DEADLINES", "ALERTS"):
            repeated += [
                f"{section}.{name}"
                for name, value in said.get(section, {}).items()
                if value == usual[section].get(name)
                and not (isinstance(value, dict) and value is usual[section][name])
            ]
        assert repeated == []


class TestEndpoint:
    def test_of_a_url_leaves_user_and_password_out(self, settings: Settings) -> None:
        settings.RESILIENCE = {
            "BREAKERS": {"partner": {"endpoint": "https://me:secret@partner.test:444/v1?key=1"}}
        }
        assert conf.endpoint("partner") == "partner.test:444/v1"

    def test_of_database_and_cache_is_known_to_django(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        primary = {"HOST": "db", "PORT": 5432, "NAME": "shop", "PASSWORD": "secret"}
        monkeypatch.setitem(settings.DATABASES, "default", primary)
        settings.CACHES = {"default": {"LOCATION": ["redis://:secret@one:6379/0", "redis://two:6379/0"]}}
        assert conf.endpoint("database") == conf.endpoint("auth") == "db:5432/shop"
        assert conf.endpoint("cache") == "one:6379/0,two:6379/0"
        settings.CACHES = {"default": {"LOCATION": "local"}}
        assert conf.endpoint("cache") == "local"

    def test_of_anything_else_is_not(self) -> None:
        assert conf.endpoint("partner") == ""
