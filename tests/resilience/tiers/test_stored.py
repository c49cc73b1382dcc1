"""Stored answers in a cache that other programs write to as well."""

import pytest
import redis

from resilience.testing import server_role
from resilience.tiers import stored
from tests.resilience.cache.making import on_redis
from tests.servers import RedisServer


@pytest.mark.parametrize("kind", ["list", "hash", "text", "number", "empty"])
def test_a_key_that_another_program_has_taken_holds_no_answer(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    cache = on_redis(redis_server)
    monkeypatch.setattr(stored, "cache", cache)
    key = cache.make_key(f"taken-by-a-{kind}")
    with redis.Redis.from_url(redis_server.url) as other, server_role():
        other.delete(key)
        match kind:
            case "list":
                other.lpush(key, "x")
            case "hash":
                other.hset(key, "x", "y")
            case "text":
                other.set(key, b"\x80\x04x")
            case "number":
                other.set(key, "9" * 5_000)
            case "empty":
                other.set(key, "")
        assert stored.find(f"taken-by-a-{kind}") is None
