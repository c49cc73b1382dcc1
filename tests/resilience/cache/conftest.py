"""Caches on django-redis: one that works, one whose server was killed, one whose server says nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from resilience.testing import server_role
from tests.resilience.cache.making import on_redis
from tests.servers import RedisServer


@pytest.fixture
def cache(redis_server: RedisServer) -> Iterator[Any]:
    made: Any = on_redis(redis_server)
    with server_role():
        made.clear()
        yield made
        made.clear()


@pytest.fixture(scope="module")
def dead() -> Iterator[Any]:
    with RedisServer() as server:
        made: Any = on_redis(server)
        made.set("k", 1)
        server.kill()
        yield made


@pytest.fixture(scope="module")
def frozen() -> Iterator[Any]:
    with RedisServer() as server:
        made: Any = on_redis(server)
        made.set("k", 1)
        server.freeze()
        yield made
        server.thaw()
