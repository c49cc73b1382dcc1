"""The breakers of a project that names none, and what stops one whose settings ask for an absent extra."""

from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from resilience import conf
from resilience.conf import extras

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def only_a_namespace(settings: Settings) -> None:
    settings.RESILIENCE = {"NAMESPACE": "shop"}


@pytest.fixture(autouse=True)
def looked_for_again() -> Iterator[None]:
    extras.is_absent.cache_clear()
    yield
    extras.is_absent.cache_clear()


def lacking(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let these extras be absent."""
    known = {name: ("no_such_package",) if name in names else () for name in extras.EXTRAS}
    monkeypatch.setattr(extras, "EXTRAS", known)


def guarded(inner: str) -> dict[str, Any]:
    return {"default": {"BACKEND": "resilience.cache.ResilientCache", "OPTIONS": {"INNER": inner}}}


class TestTheBreakers:
    def test_of_a_cache_are_for_one_that_is_guarded(self, settings: Settings) -> None:
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
        assert list(conf.breakers()) == ["database", "auth", "external_api"]
        assert list(conf.watched()) == ["database", "auth", "external_api"]

    def test_of_sign_in_are_for_a_backend_that_is_guarded(self, settings: Settings) -> None:
        settings.AUTHENTICATION_BACKENDS = [MODEL_BACKEND]
        assert "auth" not in conf.breakers()

    def test_of_sign_in_are_not_for_one_that_cannot_be_imported(self, settings: Settings) -> None:
        settings.AUTHENTICATION_BACKENDS = ["shop.no_such.Backend"]
        assert "auth" not in conf.breakers()

    def test_of_a_partner_are_for_who_can_ask_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lacking(monkeypatch, "http")
        assert "external_api" not in conf.breakers()

    def test_are_those_that_the_project_names_if_it_names_any(self, settings: Settings) -> None:
        settings.RESILIENCE = {"NAMESPACE": "shop", "BREAKERS": {"stock": {}}}
        assert list(conf.breakers()) == ["stock"]


class TestAbsentExtras:
    def test_are_all_named_in_one_message(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.RESILIENCE = {
            "NAMESPACE": "shop",
            "METRICS_PATH": "/metrics",
            "ALERTS": {"webhook_url": "https://hooks.example.org/secret"},
        }
        lacking(monkeypatch, "http", "metrics")
        with pytest.raises(ImproperlyConfigured, match=r"'django-resilience\[http,metrics\]'$") as refused:
            extras.refuse_settings_without_their_extra()
        assert "secret" not in str(refused.value)

    def test_that_no_setting_asks_for_stop_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lacking(monkeypatch, "postgres", "drf", "http", "metrics", "copies")
        extras.refuse_settings_without_their_extra()

    @pytest.mark.parametrize(
        ("inner", "absent", "refused"),
        [
            ("django_redis.cache.RedisCache", "django_redis", True),
            ("django_redis.cache.RedisCache", "redis", True),
            ("django.core.cache.backends.redis.RedisCache", "django_redis", False),
            ("django.core.cache.backends.redis.RedisCache", "redis", True),
        ],
    )
    def test_of_redis_are_those_that_the_backend_needs(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, inner: str, absent: str, refused: bool
    ) -> None:
        settings.CACHES = guarded(inner)
        monkeypatch.setattr(extras, "find_spec", lambda name: None if name == absent else find_spec(name))
        expected = (
            pytest.raises(ImproperlyConfigured, match=r"django-resilience\[redis\]")
            if refused
            else nullcontext()
        )
        with expected:
            extras.refuse_settings_without_their_extra()

    @pytest.mark.parametrize(
        "inner", ["django_redis.cache.RedisCache", "django.core.cache.backends.redis.RedisCache"]
    )
    def test_of_caches_and_of_partners_are_loaded_too(self, settings: Settings, inner: str) -> None:
        settings.CACHES = guarded(inner)
        settings.RESILIENCE = {
            "NAMESPACE": "shop",
            "BREAKERS": {"stock": {"classify": "resilience.http.classify"}},
        }
        found = extras.modules()
        assert found == [
            *("resilience.cache", "resilience.cache.redis.factories"),
            inner.rpartition(".")[0],
            "resilience.http",
        ]
        for module in found:
            import_module(module)

    def test_are_loaded_by_a_server_at_its_start_where_a_setting_asks(self, settings: Settings) -> None:
        settings.CACHES = {}
        assert extras.modules() == []
        settings.RESILIENCE = {"NAMESPACE": "shop", "METRICS_PATH": "/metrics"}
        assert extras.modules() == ["resilience.observe.metrics"]
