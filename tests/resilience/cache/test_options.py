"""Each option of django-redis is used, or refused by its name when the cache is made: none is ignored."""

import threading
import zlib
from typing import Any

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from django_redis.client import DefaultClient
from django_redis.compressors.base import BaseCompressor

from resilience import registry
from resilience.cache import ResilientCache
from resilience.cache.redis.pools import PoolFullError
from resilience.testing import server_role
from tests.resilience.cache.making import on_redis
from tests.resilience.wire import taking_at_most
from tests.servers import RedisServer

# A replica need not wait for others.
SYNC = ("--repl-diskless-sync-delay", "0")


class CountingClient(redis.Redis):
    """A project's own client."""

    sent = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        type(self).sent += 1
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


class OwnPool(redis.ConnectionPool):
    """A project's own pool."""


class OwnParser(redis.connection.DefaultParser):  # type: ignore[misc, valid-type]
    """A project's own parser."""


class OwnCompressor(BaseCompressor):  # type: ignore[misc]  # the stubs are missing
    def compress(self, value: bytes) -> bytes:
        return b"z" + zlib.compress(value)

    def decompress(self, value: bytes) -> bytes:
        return zlib.decompress(value[1:])


class TestUsed:
    def test_are_the_classes_of_client_pool_parser_and_compressor(self, redis_server: RedisServer) -> None:
        here = f"{__name__}."
        cache: Any = on_redis(
            redis_server,
            REDIS_CLIENT_CLASS=f"{here}CountingClient",
            CONNECTION_POOL_CLASS=f"{here}OwnPool",
            PARSER_CLASS=f"{here}OwnParser",
            COMPRESSOR=f"{here}OwnCompressor",
            CLIENT_CLASS="django_redis.client.DefaultClient",
        )
        cache.set("k", ["x"] * 100)
        client = cache.client.get_client()

        assert cache.get("k") == ["x"] * 100
        assert client.get(cache.make_key("k")).startswith(b"z")
        assert isinstance(client, CountingClient)
        assert type(client).sent == 3
        assert isinstance(client.connection_pool, OwnPool)
        assert isinstance(client.connection_pool.get_connection()._parser, OwnParser)
        cache.clear()

    @pytest.mark.parametrize("name", ["gzip.GzipCompressor", "lzma.LzmaCompressor", "zlib.ZlibCompressor"])
    @pytest.mark.parametrize("values", ["json", "signed"])
    def test_is_each_compressor_with_either_kind_of_values(
        self, redis_server: RedisServer, name: str, values: str
    ) -> None:
        cache: Any = on_redis(redis_server, COMPRESSOR=f"django_redis.compressors.{name}", VALUES=values)
        cache.set_many({"long": "x" * 1000, "short": "x", "n": 7})
        cache.zadd("z", {5: 1.0, "m": 2.0})

        assert cache.get_many(["long", "short", "n"]) == {"long": "x" * 1000, "short": "x", "n": 7}
        assert cache.incr("n") == 8
        assert cache.zrange("z", 0, -1) == [5, "m"]
        assert cache.client.get_client().strlen(cache.make_key("long")) < 500
        cache.clear()

    def test_are_replicas_which_are_read(self) -> None:
        with (
            RedisServer(*SYNC) as primary,
            RedisServer("--replicaof", "127.0.0.1", str(primary.port)) as replica,
        ):
            location = [primary.url, replica.url]
            cache: Any = ResilientCache(location, {"OPTIONS": {"INNER": "django_redis.cache.RedisCache"}})
            cache.set("k", "written")
            with redis.Redis.from_url(primary.url, socket_timeout=5) as admin:
                assert admin.wait(1, 5000) == 1
            primary.kill()

            assert cache.get("k") == "written"
            assert cache.set("k", 2, nx=True) is False

    @pytest.mark.filterwarnings("ignore:.* on sharded client")  # django-redis warns of its own calls
    def test_are_shards_each_of_which_is_guarded(self) -> None:
        with RedisServer() as first, RedisServer() as second, server_role():
            cache: Any = ResilientCache(
                [first.url, second.url],
                {
                    "OPTIONS": {
                        "INNER": "django_redis.cache.RedisCache",
                        "CLIENT_CLASS": "django_redis.client.ShardClient",
                    }
                },
            )
            keys = [f"k{n}" for n in range(40)]
            cache.set_many(dict.fromkeys(keys, "v"))
            assert len(cache.get_many(keys)) == 40
            second.kill()

            left = [key for key in keys if cache.get(key)]
            assert 0 < len(left) < 40

    def test_is_a_pool_that_waits_and_no_longer_than_the_cache_may(self, redis_server: RedisServer) -> None:
        cache: Any = on_redis(
            redis_server,
            CONNECTION_POOL_CLASS="redis.BlockingConnectionPool",
            CONNECTION_POOL_KWARGS={"max_connections": 1, "timeout": 20},
        )
        with server_role():
            cache.set("k", 1)
            pool = cache.client.get_client().connection_pool
            taken = pool.get_connection()
            with taking_at_most(0.8):
                assert cache.get("k", "default") == "default"
            assert registry.breaker("cache").snapshot().failures == 0
            assert registry.store().counters.totals()["own_trouble", "cache", "connections"] == 1

            threading.Timer(0.1, pool.release, [taken]).start()
            assert cache.get("k", "default") == 1
        with pytest.raises(PoolFullError):
            raise PoolFullError("is what the client sees")

    def test_are_a_users_name_and_password(self) -> None:
        with RedisServer() as server, redis.Redis.from_url(server.url) as admin:
            admin.acl_setuser("ada", enabled=True, passwords=["+p"], commands=["+@all"], keys=["*"])
            cache = on_redis(server, USERNAME="ada", PASSWORD="p")
            cache.set("k", 1)

            assert cache.get("k") == 1


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"CLIENT_CLASS": "django_redis.client.HerdClient"}, "CLIENT_CLASS"),
            ({"SERIALIZER": "django_redis.serializers.json.JSONSerializer"}, "SERIALIZER"),
            ({"SERIALIZER": "django_redis.serializers.pickle.PickleSerializer"}, "VALUES"),
            ({"PICKLE_VERSION": -1}, "PICKLE_VERSION"),
            ({"IGNORE_EXCEPTIONS": True}, "IGNORE_EXCEPTIONS"),
            ({"CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory"}, "CONNECTION_FACTORY"),
            ({"SENTINELS": [("127.0.0.1", 1)]}, "SENTINELS"),
            ({"CONNECTION_POOL_CLASS": "builtins.dict"}, "CONNECTION_POOL_CLASS"),
            ({"CONNECTION_POOL_CLASS": "no.such.Pool"}, "CONNECTION_POOL_CLASS"),
            ({"CONNECTION_POOL_KWARGS": {"retry_on_timeout": True}}, "retry_on_timeout"),
            ({"CONNECTION_POOL_KWARGS": {"protocol": 3}}, "protocol"),
            ({"CONNECTION_POOL_KWARGS": {"decode_responses": True}}, "decode_responses"),
            ({"CONNECTION_POOL_KWARGS": {"encoding": "latin-1"}}, "encoding"),
            *(
                ({"REDIS_CLIENT_KWARGS": {name: 1}}, name)
                for name in ("socket_timeout", "ssl", "db", "single_connection_client", "no_such")
            ),
            (
                {
                    "REDIS_CLIENT_CLASS": "redis.cluster.RedisCluster",
                    "REDIS_CLIENT_KWARGS": {"decode_responses": True},
                },
                "decode_responses",
            ),
            ({"PARSER_CLASS": "redis._parsers._RESP3Parser"}, "PARSER_CLASS"),
            ({"REDIS_CLIENT_CLASS": "builtins.dict"}, "REDIS_CLIENT_CLASS"),
            ({"COMPRESSOR": "no.such.Compressor"}, "COMPRESSOR"),
            ({"COMPRESSSOR": "django_redis.compressors.zlib.ZlibCompressor"}, "COMPRESSSOR"),
            (
                {
                    "REDIS_CLIENT_CLASS": "redis.cluster.RedisCluster",
                    "PARSER_CLASS": "redis._parsers._RESP2Parser",
                },
                "PARSER_CLASS",
            ),
            (
                {
                    "REDIS_CLIENT_CLASS": "redis.cluster.RedisCluster",
                    "CONNECTION_POOL_KWARGS": {"health_check_interval": 1},
                },
                "health_check_interval",
            ),
        ],
    )
    def test_is_what_could_not_be_guarded_or_would_not_be_read(
        self, options: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(ImproperlyConfigured, match=named):
            ResilientCache(
                "redis://127.0.0.1:9/0", {"OPTIONS": {"INNER": "django_redis.cache.RedisCache", **options}}
            )

    def test_is_a_factory_that_the_settings_name(self, settings: Any) -> None:
        settings.DJANGO_REDIS_CONNECTION_FACTORY = "builtins.dict"

        with pytest.raises(ImproperlyConfigured, match="CONNECTION_FACTORY"):
            ResilientCache("redis://127.0.0.1:9/0", {"OPTIONS": {"INNER": "django_redis.cache.RedisCache"}})

    def test_is_no_option_of_a_projects_own_client(self) -> None:
        options = {
            "INNER": "django_redis.cache.RedisCache",
            "CLIENT_CLASS": f"{__name__}.OwnClient",
            "ITS": 1,
        }

        assert ResilientCache("redis://127.0.0.1:9/0", {"OPTIONS": options}).get("k") is None


class OwnClient(DefaultClient):  # type: ignore[misc]  # the stubs are missing
    """A client that may read options of its own."""
