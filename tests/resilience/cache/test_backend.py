"""A guarded cache is a cache: the same answers in memory and on Redis, and errors for wrong use only."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.core.cache.backends.base import CacheKeyWarning
from django.core.exceptions import ImproperlyConfigured

from resilience import registry
from resilience.cache import ResilientCache
from resilience.cache.codec import Stored
from resilience.testing import server_role
from tests.resilience.cache.making import in_memory, on_redis
from tests.servers import RedisServer


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest) -> Iterator[ResilientCache]:
    made = in_memory() if request.param == "memory" else on_redis(request.getfixturevalue("redis_server"))
    with server_role():
        made.clear()
        yield made
        made.clear()


class TestReading:
    @pytest.mark.parametrize("value", [0, "", None, [], {}, False, 0.0, b"", ()])
    def test_takes_no_value_for_a_miss(self, cache: ResilientCache, value: Any) -> None:
        cache.set("k", value)

        assert cache.get("k", "missing") == value
        assert type(cache.get("k", "missing")) is type(value)
        assert cache.get_many(["k", "other"]) == {"k": value}
        assert cache.has_key("k")
        assert cache.get_or_set("k", "new") == value

    def test_returns_what_went_in(self, cache: ResilientCache) -> None:
        value = {"rows": [(1, b"\x00"), {2: None}], "total": 10**30}
        cache.set("k", value)

        assert cache.get("k") == value

    def test_of_an_entry_that_is_not_ours_is_a_miss_and_counted(self, cache: ResilientCache) -> None:
        cache.inner.set("bad", Stored(b"\x80\x05not json"))
        cache.set("good", 1)
        before = decode_failures()

        assert cache.get("bad", "missing") == "missing"
        assert cache.get_many(["bad", "good"]) == {"good": 1}
        assert decode_failures() - before == 2

    def test_of_an_entry_that_is_not_ours_never_executes_it(self, redis_server: RedisServer) -> None:
        cache = on_redis(redis_server)
        pickled = b"cos\nabort\n(tR."
        redis.Redis.from_url(redis_server.url).set(cache.make_key("bad"), pickled)

        assert cache.get("bad", "alive") == "alive"


class TestWriting:
    def test_of_what_would_not_come_back_names_the_type_and_no_key(self, cache: ResilientCache) -> None:
        for write in (
            lambda: cache.set("course:1", object()),
            lambda: cache.add("course:1", object()),
            lambda: cache.set_many({"fine": 1, "course:1": object()}),
            lambda: cache.get_or_set("course:1", object),
        ):
            with pytest.raises(TypeError, match="object") as raised:
                write()
            assert "course:1" not in str(raised.value)
        assert cache.get_many(["fine", "course:1"]) == {}

    def test_of_a_new_version_that_fails_keeps_the_old_one(
        self, cache: ResilientCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache.set("k", "kept")

        def failing(*args: Any, **kwargs: Any) -> None:
            raise ConnectionError("gone")

        monkeypatch.setattr(cache.inner, "set", failing)
        cache.incr_version("k")
        assert cache.get("k") == "kept"

    def test_says_whether_it_did_anything(self, cache: ResilientCache) -> None:
        assert cache.add("k", 1) is True
        assert cache.add("k", 2) is False
        assert cache.touch("k", 10) is True
        assert cache.touch("other") is False
        assert cache.set_many({"a": 1, "b": 2}) == []
        assert cache.delete("k") is True
        assert cache.delete("k") is False

    def test_counts(self, cache: ResilientCache) -> None:
        cache.set("n", 41)

        assert cache.incr("n") == 42
        assert cache.decr("n", 2) == 40
        assert cache.get("n") == 40

    def test_moves_between_versions(self, cache: ResilientCache) -> None:
        cache.set("k", "v")

        assert cache.incr_version("k") == 2
        assert cache.get("k") is None
        assert cache.get("k", version=2) == "v"
        assert cache.decr_version("k", version=2) == 1
        assert cache.get("k") == "v"


class TestWrongUse:
    def test_of_counting_raises(self, cache: ResilientCache) -> None:
        cache.set("text", "x")

        with pytest.raises(ValueError, match="not found"):
            cache.incr("missing")
        with pytest.raises(ValueError, match="not found"):
            cache.incr_version("missing")
        with pytest.raises(TypeError):
            cache.incr("text")

    def test_of_keys_warns_as_djangos_own_backends_do(self, cache: ResilientCache) -> None:
        with pytest.warns(CacheKeyWarning):
            cache.get("with space")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({}, "INNER"),
            ({"INNER": "django.core.cache.backends.locmem.LocMemCache", "VALUES": "pickle"}, "VALUES"),
            ({"INNER": "django.core.cache.backends.redis.RedisCache", "serializer": dict}, "serializer"),
            ({"INNER": "django.core.cache.backends.memcached.PyLibMCCache"}, "pylibmc"),
            (
                {
                    "INNER": "django_redis.cache.RedisCache",
                    "SERIALIZER": "django_redis.serializers.pickle.PickleSerializer",
                },
                "SERIALIZER",
            ),
        ],
    )
    def test_of_settings_is_refused_when_the_cache_is_made(self, options: Any, said: str) -> None:
        with pytest.raises(ImproperlyConfigured, match=said):
            ResilientCache("redis://127.0.0.1:9/0", {"OPTIONS": options})


def decode_failures() -> int:
    return registry.store().counters.totals().get(("calls", "cache", "decode", "failure"), 0)
