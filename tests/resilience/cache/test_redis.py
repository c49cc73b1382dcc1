"""A Redis client that tries once, waits briefly, and shares a pool only with its like."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured

from resilience.cache.calls import Calls
from resilience.cache.redis.factories import Connections
from resilience.cache.redis.options import bounded_options
from tests.resilience.wire import deadline_kept, serving, taking_at_most
from tests.servers import RedisServer

CALLS = Calls("cache")


@pytest.fixture(autouse=True)
def _own_pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pools: dict[str, redis.ConnectionPool] = {}
    monkeypatch.setattr(Connections, "_pools", pools)
    yield
    for pool in pools.values():
        pool.disconnect()


def client(url: str, **options: Any) -> redis.Redis:
    made: redis.Redis = Connections(bounded_options(options, CALLS, url)).connect(url)
    return made


class TestClient:
    def test_stores_and_reads(self, redis_server: RedisServer) -> None:
        client(redis_server.url).set("k", b"\x80\xff")

        assert client(redis_server.url).get("k") == b"\x80\xff"

    def test_of_a_frozen_server_waits_for_one_reply_only(self) -> None:
        with RedisServer() as server:
            kept = client(server.url)
            kept.ping()
            server.freeze()

            with taking_at_most(0.4), pytest.raises(redis.TimeoutError):
                kept.get("k")
            with taking_at_most(0.4), pytest.raises(redis.TimeoutError):
                client(server.url, SOCKET_TIMEOUT=0.2).get("k")

            server.thaw()
            assert kept.get("k") is None

    def test_of_a_dripping_server_keeps_the_deadline(self) -> None:
        def drip_a_reply(connection: socket.socket, ended: threading.Event) -> None:
            connection.sendall(b"$1000\r\n")
            while not ended.wait(0.02):
                connection.sendall(b"x")

        with serving(drip_a_reply) as port, deadline_kept(0.5), pytest.raises(redis.TimeoutError):
            client(f"redis://127.0.0.1:{port}/0").get("k")

    def test_in_tls_keeps_the_deadline_too(self, certificate: tuple[Path, Path]) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)

        def drip_in_tls(connection: socket.socket, ended: threading.Event) -> None:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                while not ended.wait(0.02):
                    encrypted.sendall(b"+")

        with serving(drip_in_tls) as port, deadline_kept(0.4), pytest.raises(redis.TimeoutError):
            client(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate[0]}").get("k")

    def test_tries_once(self) -> None:
        tries = []

        def hang_up(connection: socket.socket, ended: threading.Event) -> None:
            tries.append(connection.recv(100))

        with serving(hang_up) as port, pytest.raises(redis.ConnectionError):
            client(f"redis://127.0.0.1:{port}/0").get("k")
        assert len(tries) == 1

    def test_takes_a_kept_connection_found_closed_for_no_failure(self) -> None:
        with RedisServer() as server:
            kept = client(server.url)
            kept.ping()
            server.restart()

            assert kept.get("k") is None


class TestPools:
    def test_are_shared_by_the_same_url_and_options(self, redis_server: RedisServer) -> None:
        first, second = client(redis_server.url), client(redis_server.url)

        assert first.connection_pool is second.connection_pool

    def test_are_not_shared_when_the_time_outs_differ(self, redis_server: RedisServer) -> None:
        first = client(redis_server.url)
        second = client(redis_server.url, SOCKET_TIMEOUT=0.1)

        assert first.connection_pool.connection_kwargs["socket_timeout"] == 0.25
        assert second.connection_pool.connection_kwargs["socket_timeout"] == 0.1


class TestOptions:
    def test_let_errors_through_whatever_the_settings_say(self, settings: Any) -> None:
        settings.DJANGO_REDIS_IGNORE_EXCEPTIONS = True

        assert bounded_options({}, CALLS)["IGNORE_EXCEPTIONS"] is False

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SERIALIZER", "django_redis.serializers.pickle.PickleSerializer"),
            ("IGNORE_EXCEPTIONS", True),
            ("CONNECTION_FACTORY", "builtins.dict"),
        ],
    )
    def test_that_would_bring_back_pickle_silence_or_long_waits_are_refused(
        self, name: str, value: Any
    ) -> None:
        with pytest.raises(ImproperlyConfigured, match=name):
            bounded_options({name: value}, CALLS)
