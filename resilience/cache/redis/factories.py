"""What makes the clients of a django-redis backend: of servers, of what sentinels name, of a cluster.

Pools are shared per address *and* options. django-redis' own factories have one pool per address, so the
second of two aliases would get the time-outs of the first.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from django.utils.module_loading import import_string
from redis.connection import to_bool
from redis.sentinel import Sentinel, SentinelConnectionPool

from resilience.cache.inner import time_out
from resilience.cache.redis import options as names
from resilience.cache.redis.clients import client_class, guarded
from resilience.cache.redis.cluster import GuardedCluster, cluster_class
from resilience.cache.redis.failures import CacheDeadlineError
from resilience.cache.redis.pools import bounded, connecting
from resilience.primitives import current_deadline

if TYPE_CHECKING:
    from resilience.cache.calls import Calls


class Connections:
    """Make the clients for one server: they try once."""

    pool_class: ClassVar[Any] = redis.ConnectionPool

    _lock = threading.Lock()
    _pools: ClassVar[dict[str, Any]] = {}  # Guarded by _lock.

    def __init__(self, options: dict[str, Any]) -> None:
        self._calls: Calls = options[names.CALLS]
        self._locations: list[str] = options[names.LOCATIONS]
        self._client = _loaded(options.get("REDIS_CLIENT_CLASS", redis.Redis))
        self._client_options = options.get("REDIS_CLIENT_KWARGS", {})
        self._pool_class = _loaded(options.get("CONNECTION_POOL_CLASS", self.pool_class))
        parser = options.get("PARSER_CLASS")
        self._options = {
            "socket_connect_timeout": options["SOCKET_CONNECT_TIMEOUT"],
            "socket_timeout": options["SOCKET_TIMEOUT"],
            "username": options.get("USERNAME"),
            "password": options.get("PASSWORD"),
            **({"parser_class": _loaded(parser)} if parser else {}),
            **options.get("CONNECTION_POOL_KWARGS", {}),
        }

    def connect(self, url: str) -> Any:
        """Return a client of the pool that belongs to `url` and these options."""
        with self._lock:
            pool = self._pools.get(self._key(url))
            if pool is None:
                with connecting():
                    pool = self._pool(url)
                pool.calls = self._calls
                self._pools[self._key(url)] = pool
        return client_class(self._client)(connection_pool=pool, **self._client_options)

    def disconnect(self, client: Any) -> None:
        """Close the connections of a client's pool."""
        client.connection_pool.disconnect()

    def _key(self, url: str) -> str:
        options = sorted(self._options.items(), key=lambda item: item[0])
        return f"{url} {self._calls.breaker} {self._pool_class} {options}"

    def _pool(self, url: str) -> Any:
        return bounded(self._pool_class).from_url(url, **self._options)


class SentinelConnections(Connections):
    """Make the clients for a server that sentinels name; an address has the service's name for a host."""

    pool_class = SentinelConnectionPool

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._sentinels: list[tuple[str, int]] = options["SENTINELS"]
        self._of_sentinels: dict[str, Any] | None = options.get("SENTINEL_KWARGS")

    def _key(self, url: str) -> str:
        return f"{super()._key(url)} {self._sentinels} {self._of_sentinels}"

    def _pool(self, url: str) -> Any:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        is_master = to_bool(query.pop("is_master", "1"))  # type: ignore[no-untyped-call]
        # Not `hostname`, which is in small letters.
        service = parts.netloc.rpartition("@")[2].partition(":")[0]
        return bounded(self._pool_class).from_url(
            urlunsplit(parts._replace(query=urlencode(query))),
            service_name=service,
            sentinel_manager=_BoundedSentinel(self._sentinels, self._of_sentinels, self._options),
            is_master=is_master is not False,
            **self._options,
        )


class _BoundedSentinel(Sentinel):
    """Ask sentinels over bounded connections: redis-py's own would try ten times, and wait in between."""

    def __init__(
        self,
        sentinels: list[tuple[str, int]],
        sentinel_options: dict[str, Any] | None,
        options: dict[str, Any],
    ) -> None:
        super().__init__([], sentinel_kwargs={}, **options)  # type: ignore[no-untyped-call]
        waits = {name: value for name, value in options.items() if name.startswith("socket_")}
        given = {**waits, **(sentinel_options or {})}
        pool_class = bounded(redis.ConnectionPool)
        self.sentinels = [
            redis.Redis(connection_pool=pool_class(host=host, port=int(port), **given))
            for host, port in sentinels
        ]


class ClusterConnections(Connections):
    """Make the client of a cluster, which all threads share; each address is that of one of its nodes."""

    _clusters: ClassVar[dict[str, GuardedCluster]] = {}  # Guarded by _making.
    _making = threading.Lock()

    def _key(self, url: str) -> str:
        # The client itself is shared, so its class and options are part of what it is known by.
        given = sorted(self._client_options.items(), key=lambda item: item[0])
        return f"{super()._key(url)} {self._client} {given}"

    def connect(self, url: str) -> Any:
        """Return the client; raises an error of redis-py if no node tells which nodes there are."""
        key = self._key(",".join(self._locations))
        if (made := self._clusters.get(key)) is not None:
            return made
        deadline = current_deadline()
        limit = self._options["socket_timeout"] or time_out()
        patience = limit if deadline is None else max(0.0, deadline.remaining())
        if not self._making.acquire(timeout=patience):
            raise CacheDeadlineError("another thread is still connecting to the cluster")
        try:
            if key not in self._clusters:
                self._clusters[key] = guarded(self._calls, self._cluster)
            return self._clusters[key]
        finally:
            self._making.release()

    def disconnect(self, client: GuardedCluster) -> None:
        """Close the connections to all nodes."""
        client.disconnect_connection_pools()  # type: ignore[no-untyped-call]

    def _cluster(self) -> GuardedCluster:
        with connecting():
            made: GuardedCluster = cluster_class(self._client).at(
                self._locations,
                calls=self._calls,
                pool_class=bounded(self._pool_class),
                **(self._options | self._client_options),
            )
            return made


def _loaded(given: Any) -> Any:
    return import_string(given) if isinstance(given, str) else given
