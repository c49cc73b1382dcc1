"""A cache that is set up wrongly is a cache that is away: misses, a breaker that opens, and no exception.

The kind: whatever a server, a proxy or the client library answers that is not the caller's own mistake. Tried
here on real servers: a database that is not there, a missing or wrong password, a user without permissions,
no memory left, a snapshot that cannot be written, a replica without its primary, a running script, a cluster
that is addressed as a single server, TLS on a plain port and plain on a TLS port, a server that is no Redis,
a socket's path and a name that do not exist, a scheme and options that redis-py does not know; and as inner
backends a folder that is a file, files that are not ours, and a table that is missing.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection

from resilience import registry
from resilience.cache import ResilientCache
from resilience.primitives import ManualClock, State
from resilience.testing import server_role
from tests.resilience.cache.making import on_redis
from tests.resilience.cache.test_outage import AWAY
from tests.resilience.wire import serving
from tests.servers import RedisServer
from tests.servers.process import free_port


@pytest.fixture(autouse=True)
def _server() -> Iterator[None]:
    with server_role(clock=ManualClock()):
        yield


def at(url: str, **options: Any) -> ResilientCache:
    return ResilientCache(url, {"OPTIONS": {"INNER": "django_redis.cache.RedisCache", **options}})


def is_away(cache: ResilientCache, methods: tuple[str, ...] = tuple(AWAY), *, breaker: str = "cache") -> None:
    """Assert that each method says what it says of a cache that is away, and that the breaker hears of it."""
    for method in methods:
        call, answer = AWAY[method]
        assert call(cache) == answer, method
    assert registry.breaker(breaker).shown() is State.OPEN


class TestServer:
    def test_without_the_database_that_is_asked_for(self) -> None:
        with RedisServer("--databases", "1") as server:
            is_away(at(server.url.removesuffix("/0") + "/1"))

    @pytest.mark.parametrize(
        "database", ["99999999999999999999", "?db=-1", "?db=99999999999999999999", "?client_name=two%20words"]
    )
    def test_that_takes_no_part_of_the_address(self, redis_server: RedisServer, database: str) -> None:
        """Of a number that is none it says what it says to whoever counts with text; here nobody does."""
        is_away(at(redis_server.url.removesuffix("0") + database))

    def test_that_wants_a_password(self) -> None:
        with RedisServer() as server:
            with redis.Redis.from_url(server.url) as admin:
                admin.config_set("requirepass", "secret")
            is_away(at(server.url))

    def test_that_has_another_password(self) -> None:
        with RedisServer() as server:
            with redis.Redis.from_url(server.url) as admin:
                admin.config_set("requirepass", "secret")
            is_away(at(server.url.replace("//", "//:wrong@")))

    def test_whose_user_may_do_nothing(self, redis_server: RedisServer) -> None:
        with redis.Redis.from_url(redis_server.url) as admin:
            admin.acl_setuser("nobody", enabled=True, passwords=["+p"], commands=["+hello", "+select"])

            is_away(at(redis_server.url.replace("//", "//nobody:p@")))

    def test_without_memory_for_what_is_written(self) -> None:
        with RedisServer("--maxmemory", "1", "--maxmemory-policy", "noeviction") as server:
            is_away(at(server.url), ("set", "add", "set_many", "set", "add"), breaker="cache:writes")

    def test_that_cannot_save_and_so_takes_no_write(self) -> None:
        with RedisServer() as server, redis.Redis.from_url(server.url) as admin:
            admin.config_set("save", "1 1")
            admin.config_set("stop-writes-on-bgsave-error", "yes")
            (server.directory / "dump.rdb").mkdir()  # root writes everywhere, but not over a folder
            admin.set("k", 1)
            admin.bgsave()
            _wait(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")

            methods = ("set", "add", "set_many", "delete", "touch")
            is_away(at(server.url), methods, breaker="cache:writes")
            admin.config_set("save", "")  # it would not end without saving

    def test_that_is_a_replica_and_has_no_primary(self) -> None:
        with RedisServer("--replica-serve-stale-data", "no") as server:
            with redis.Redis.from_url(server.url) as admin:
                admin.replicaof("127.0.0.1", "1")

            is_away(at(server.url))

    def test_that_runs_a_script_and_nothing_else(self) -> None:
        with RedisServer("--lua-time-limit", "1") as server:
            cache = at(server.url)
            with redis.Redis.from_url(server.url, socket_timeout=10) as admin:
                script = threading.Thread(target=_run_for_ever, args=(server.url,), daemon=True)
                script.start()
                _wait(lambda: cache.get("k") is None and _is_busy(server.url))
                is_away(cache)
                admin.script_kill()
                script.join(10)

    def test_of_a_cluster(self) -> None:
        # By default the nodes' own port is the clients' plus 10,000, which may be taken.
        bus = ("--cluster-port", str(free_port()))
        with RedisServer("--cluster-enabled", "yes", *bus) as server:
            is_away(at(server.url), ("set", "add", "get", "delete", "has_key", "touch"))

    def test_that_speaks_plainly_where_tls_is_expected(self, redis_server: RedisServer) -> None:
        is_away(at(redis_server.url.replace("redis:", "rediss:")))

    @pytest.mark.parametrize(
        "says",
        [
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46",  # what a TLS server tells who does not speak TLS
            b"$-5\r\n",
            b":12abc\r\n",
            b"*-1\r\n+\xff\xfe\r\n",
            b"-\xff\xfe not even text\r\n",
            b"",
        ],
    )
    def test_that_is_no_redis(self, says: bytes) -> None:
        def answer(connection: socket.socket, ended: threading.Event) -> None:
            connection.recv(1000)
            connection.sendall(says)

        with serving(answer) as port:
            cache = at(f"redis://127.0.0.1:{port}/0")
            for _ in range(5):
                assert cache.get("k", "default") == "default"
        assert registry.breaker("cache").shown() is State.OPEN


class TestAddress:
    @pytest.mark.parametrize(
        "url",
        [
            "unix:///nowhere/redis.sock",
            "redis://no-such-name.invalid/0",
            "redis://" + "x" * 300 + "/0",
            "http://127.0.0.1:6379",
            "rediss://127.0.0.1:1?ssl_cert_reqs=CERT_NONE",
            "redis://127.0.0.1:1?no_such_option=1",
            "redis://127.0.0.1:1?db=first",
            "redis://127.0.0.1:1?parser_class=none",
        ],
    )
    def test_that_cannot_be_used(self, url: str) -> None:
        is_away(at(url))

    def test_with_a_file_that_is_not_there(self, redis_server: RedisServer) -> None:
        is_away(at(redis_server.url.replace("redis:", "rediss:") + "?ssl_ca_certs=/nowhere.pem"))

    def test_with_options_beside_it_that_redis_does_not_know(self, redis_server: RedisServer) -> None:
        is_away(at(redis_server.url, CONNECTION_POOL_KWARGS={"no_such_option": 1}))


class TestOwnPool:
    def test_that_is_full_is_no_failure_of_the_server(self, redis_server: RedisServer) -> None:
        cache = at(redis_server.url, CONNECTION_POOL_KWARGS={"max_connections": 1})
        cache.set("k", 1)
        taken = cache.inner.client.get_client().connection_pool.get_connection()  # type: ignore[attr-defined]
        try:
            for _ in range(20):
                assert cache.get("k", "default") == "default"
        finally:
            taken.disconnect()

        assert registry.breaker("cache").shown() is State.CLOSED
        assert registry.store().counters.totals()["own_trouble", "cache", "connections"] == 20


class TestOtherBackends:
    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("a file")
        cache = in_files(tmp_path / "taken")

        is_away(cache, ("set", "add", "set_many", "set", "add"))

    def test_files_that_are_not_ours(self, tmp_path: Path) -> None:
        cache = in_files(tmp_path)
        cache.set("k", 1)
        for file in tmp_path.iterdir():
            file.write_bytes(b"x" * 100)

        is_away(cache, ("get", "get", "get", "get", "get"))

    @pytest.mark.django_db
    def test_a_table_that_is_missing(self) -> None:
        options = {"INNER": "django.core.cache.backends.db.DatabaseCache"}
        cache = ResilientCache("no_such_table", {"OPTIONS": options})

        for method in ("get", "set", "add", "get_many", "has_key"):
            call, answer = AWAY[method]
            if connection.vendor == "postgresql":
                pytest.skip("the error would end the test's own transaction")
            assert call(cache) == answer
        assert registry.breaker("cache").snapshot().failures > 0


class TestCaller:
    """What the caller did wrong is raised on a cache that is well, and counts for nothing."""

    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            (lambda cache: cache.incr("missing"), ValueError),
            (lambda cache: cache.incr("text"), TypeError),
            (lambda cache: cache.set("k", object()), TypeError),
            (lambda cache: cache.set("k", 1, timeout="soon"), TypeError),
            (lambda cache: cache.add("k", 1, timeout=float("nan")), TypeError),
            (lambda cache: cache.touch("n", timeout=float("inf")), TypeError),
            (lambda cache: cache.set_many({"k": 1}, timeout=[]), TypeError),
            (lambda cache: cache.incr("list"), redis.ResponseError),
        ],
    )
    def test_is_told(
        self, redis_server: RedisServer, wrong: Callable[[ResilientCache], Any], error: type[Exception]
    ) -> None:
        cache = on_redis(redis_server)
        cache.set("text", "x")
        cache.set("n", 1)
        with redis.Redis.from_url(redis_server.url) as admin:
            admin.delete(cache.make_key("list"))
            admin.lpush(cache.make_key("list"), 1)

        for _ in range(12):
            with pytest.raises(error):
                wrong(cache)
        assert registry.breaker("cache").shown() is State.CLOSED

    def test_is_not_told_what_another_program_has_done_to_a_key(self, redis_server: RedisServer) -> None:
        """Nobody reads a list by this cache, so nobody who reads it has made a mistake."""
        cache = on_redis(redis_server)
        with redis.Redis.from_url(redis_server.url) as other:
            other.delete(cache.make_key("taken"))
            other.lpush(cache.make_key("taken"), 1)

        for _ in range(12):
            assert cache.get("taken", "default") == "default"
        assert cache.get_or_set("taken", 5) == 5
        assert registry.breaker("cache").shown() is State.CLOSED
        assert registry.store().counters.totals()["calls", "cache", "decode", "failure"] >= 13


def in_files(folder: Path) -> ResilientCache:
    inner = "django.core.cache.backends.filebased.FileBasedCache"
    return ResilientCache(str(folder), {"OPTIONS": {"INNER": inner}})


def _wait(until: Callable[[], bool]) -> None:
    for _ in range(200):
        if until():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not come to it")


def _run_for_ever(url: str) -> None:
    with redis.Redis.from_url(url, socket_timeout=30) as client, pytest.raises(redis.RedisError):
        client.eval("while true do end", 0)


def _is_busy(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        try:
            client.get("k")
        except redis.ResponseError as error:
            return str(error).startswith("BUSY")
    return False
