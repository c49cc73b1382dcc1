"""A cache of signed values holds what can be pickled, and unpickles only what was signed for this key."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.core.cache import caches
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import cache_page

from resilience import registry
from resilience.cache.codec import UndecodableError
from resilience.cache.values import MARK, VALUES
from resilience.testing import server_role
from tests.resilience.cache.making import in_memory, on_redis
from tests.servers import RedisServer

SIGNED = VALUES["signed"]


class Harmful:
    """What executes something when it is unpickled."""

    ran = False

    def __reduce__(self) -> Any:
        return setattr, (Harmful, "ran", True)


class Gone:
    """A class that the next version of a project no longer has."""


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        made: Any = in_memory(VALUES="signed")
    else:
        made = on_redis(request.getfixturevalue("redis_server"), VALUES="signed")
    with server_role():
        made.clear()
        yield made
        made.clear()


class TestSignedCache:
    def test_holds_models_responses_and_safe_strings(self, cache: Any) -> None:
        cache.set("user", User(username="ada"))
        cache.set_many({"answer": HttpResponse(b"body"), "safe": mark_safe("<b>"), "none": None})

        assert cache.get("user").username == "ada"
        assert cache.get("answer").content == b"body"
        assert type(cache.get("safe")) is SafeString
        assert cache.get("none", "missing") is None
        assert set(cache.get_many(["user", "answer", "other"])) == {"user", "answer"}

    def test_counts_and_changes_versions(self, cache: Any) -> None:
        cache.set("n", 41)
        cache.set("k", {"a": 1})

        assert cache.incr("n") == 42
        assert cache.incr_version("k") == 2
        assert cache.get("k", version=2) == {"a": 1}

    def test_names_what_cannot_be_pickled(self, cache: Any) -> None:
        with pytest.raises(TypeError, match=r"function.*pickled"):
            cache.set("k", lambda: None)

    def test_reads_what_was_signed_by_a_former_key(self, cache: Any, settings: Any) -> None:
        cache.set("k", [1])
        former, settings.SECRET_KEY = settings.SECRET_KEY, "another"

        assert cache.get("k") is None
        settings.SECRET_KEY_FALLBACKS = [former]
        assert cache.get("k") == [1]

    def test_keeps_a_cached_page(self, cache: Any, settings: Any) -> None:
        settings.CACHES = {"pages": _declared(cache)}
        calls = []

        @cache_page(60, cache="pages")
        def view(request: Any) -> HttpResponse:
            calls.append(request)
            return HttpResponse("page")

        bodies = [view(RequestFactory().get("/page")).content for _ in range(2)]
        caches["pages"].clear()
        assert bodies == [b"page", b"page"]
        assert len(calls) == 1


class TestForgery:
    @pytest.fixture
    def cache(self, redis_server: RedisServer) -> Iterator[Any]:
        made: Any = on_redis(redis_server, VALUES="signed")
        with server_role():
            yield made
            made.clear()

    @pytest.fixture
    def stored(self, redis_server: RedisServer) -> Iterator[redis.Redis]:
        """The server as anybody who can reach it sees it."""
        with redis.Redis.from_url(redis_server.url) as client:
            yield client

    def test_is_not_executed(self, cache: Any, stored: redis.Redis) -> None:
        import pickle

        harm = pickle.dumps(Harmful())
        cache.set("genuine", 1.5)
        genuine: Any = stored.get(cache.make_key("genuine"))
        signature = genuine[len(MARK) : len(MARK) + 32]
        for forged in (
            harm,
            MARK + harm,
            MARK + b"\x00" * 32 + harm,
            MARK + signature + harm,
            MARK,
            b"",
            b"1.5",
        ):
            stored.set(cache.make_key("k"), forged)
            assert cache.get("k", "missing") == "missing"
            assert cache.get_many(["k"]) == {}
        assert not Harmful.ran
        assert registry.store().counters.totals()["calls", "cache", "decode", "failure"] == 14

    def test_is_executed_once_it_is_signed_which_shows_that_this_test_can_fail(self, cache: Any) -> None:
        cache.set("k", Harmful())
        try:
            cache.get("k")
            assert Harmful.ran
        finally:
            Harmful.ran = False

    def test_by_moving_a_value_to_another_key_or_version_is_a_miss(
        self, cache: Any, stored: redis.Redis
    ) -> None:
        cache.set("mine", ["secret of one"])
        for key in (cache.make_key("other"), cache.make_key("mine", version=2), ":1:mine:1:"):
            stored.copy(cache.make_key("mine"), key, replace=True)

        assert cache.get("other", "missing") == "missing"
        assert cache.get("mine", "missing", version=2) == "missing"
        assert cache.get("mine") == ["secret of one"]

    @pytest.mark.parametrize("at", [0, 3, 4, 20, 35, 36, -1])
    def test_by_changing_one_byte_is_a_miss(self, at: int) -> None:
        sealed: Any = SIGNED.encode({"a": 1}, made=":1:k")
        changed = bytearray(sealed)
        changed[at] ^= 1

        assert SIGNED.decode(sealed, made=":1:k") == {"a": 1}
        with pytest.raises(UndecodableError):
            SIGNED.decode(bytes(changed), made=":1:k")

    def test_by_a_part_of_the_key_that_becomes_a_part_of_the_value_is_a_miss(self) -> None:
        sealed: Any = SIGNED.encode("x", made="ab")
        head, pickled = sealed[: len(MARK) + 32], sealed[len(MARK) + 32 :]

        with pytest.raises(UndecodableError):
            SIGNED.decode(head + b"b" + pickled, made="a")

    def test_is_found_before_anything_is_unpickled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sealed: Any = SIGNED.encode("x", made="k")

        def unpickled(_: bytes) -> None:
            raise AssertionError("unpickled")

        monkeypatch.setattr("resilience.cache.values.pickle.loads", unpickled)
        with pytest.raises(UndecodableError, match="signature"):
            SIGNED.decode(sealed, made="l")


class TestSignedValue:
    def test_of_a_class_that_is_gone_is_a_miss(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sealed = SIGNED.encode(Gone(), made="k")
        monkeypatch.delattr(f"{__name__}.Gone")

        with pytest.raises(UndecodableError, match="AttributeError"):
            SIGNED.decode(sealed, made="k")

    def test_is_none_of_a_cache_of_json(self, redis_server: RedisServer) -> None:
        on_redis(redis_server, VALUES="signed").set("k", [1])

        assert on_redis(redis_server).get("k", "missing") == "missing"


class TestMembers:
    def test_of_sets_are_json_in_a_signed_cache_too(self, redis_server: RedisServer) -> None:
        """The server compares them by their bytes, and moves them from key to key."""
        cache: Any = on_redis(redis_server, VALUES="signed")
        cache.sadd("s", ("a", 1))
        cache.sadd("t", ("a", 1))

        assert cache.sinter("s", "t") == {("a", 1)}
        with pytest.raises(TypeError, match="Harmful"):
            cache.sadd("s", Harmful())


def _declared(cache: Any) -> dict[str, Any]:
    inner = f"{type(cache.inner).__module__}.{type(cache.inner).__qualname__}"
    location = getattr(cache.inner, "_server", "pages")
    return {
        "BACKEND": "resilience.cache.ResilientCache",
        "LOCATION": location,
        "OPTIONS": {"INNER": inner, "VALUES": "signed"},
    }
