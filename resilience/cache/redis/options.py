"""The options of Redis backends behind the cache's guard: each is used, or refused by its name.

Each connection gets our time-outs and tries once; nothing is pickled; errors reach the breaker.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import redis
from django.conf import settings
from django.core.cache.backends.base import BaseCache
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from redis.cluster import REDIS_ALLOWED_KEYS, RedisCluster

from resilience.cache.inner import Inner, ask, time_out
from resilience.cache.redis import pools
from resilience.cache.redis.late import lock_made
from resilience.cache.redis.serializer import Serializer

if TYPE_CHECKING:
    from resilience.cache.calls import Calls

_SERIALIZER = f"{Serializer.__module__}.{Serializer.__qualname__}"
_DRILLED = (redis.ConnectionError, redis.TimeoutError)

# What django-redis, its clients and Django's cache read. Others may be read by a client of the project's own.
_KNOWN = {
    "CLIENT_CLASS",
    "CLOSE_CONNECTION",
    "COMPRESSOR",
    "CONNECTION_FACTORY",
    "CONNECTION_POOL_CLASS",
    "CONNECTION_POOL_KWARGS",
    "CULL_FREQUENCY",
    "IGNORE_EXCEPTIONS",
    "MAX_ENTRIES",
    "PARSER_CLASS",
    "PASSWORD",
    "REDIS_CLIENT_CLASS",
    "REDIS_CLIENT_KWARGS",
    "REPLICA_READ_ONLY",
    "SENTINELS",
    "SENTINEL_KWARGS",
    "SERIALIZER",
    "SOCKET_CONNECT_TIMEOUT",
    "SOCKET_TIMEOUT",
    "USERNAME",
}
# django-redis' factories of connections, and ours in their places.
_FACTORIES = {
    "django_redis.pool.ConnectionFactory": "resilience.cache.redis.factories.Connections",
    "django_redis.pool.SentinelConnectionFactory": "resilience.cache.redis.factories.SentinelConnections",
}
_CLUSTER = "resilience.cache.redis.factories.ClusterConnections"
# What the client of a cluster does not use.
_NOT_OF_A_CLUSTER: tuple[str, ...] = ("CONNECTION_FACTORY", "PARSER_CLASS", "SENTINELS", "SENTINEL_KWARGS")
# What makes text of the bytes that the cache's values are.
_DECODING = ("decode_responses", "encoding", "encoding_errors")
# What redis-py's client still reads of its own options where it is given a pool, and we do not rule out.
_READ_BESIDE_A_POOL = frozenset({"event_dispatcher"})
# Our own names for what they are told. A project has no reason to use them.
CALLS, LOCATIONS = "RESILIENCE_CALLS", "RESILIENCE_LOCATIONS"

_WHY = {
    "SERIALIZER": 'values are encoded by ResilientCache; for what JSON cannot hold, set OPTIONS["VALUES"] to '
    '"signed"',
    "IGNORE_EXCEPTIONS": "errors must reach the breaker, and no caller sees them in any case",
    "PICKLE_VERSION": "nothing is pickled by django-redis here",
    "CLIENT_CLASS": "HerdClient stores pickles; name another client, and use get_or_set",
}


def for_django_redis(backend: type[BaseCache], options: dict[str, Any], location: Any) -> Inner:
    """Return django-redis' backend with options for it."""
    return Inner(
        backend,
        lambda calls: bounded_options(options, calls, location),
        codes=True,
        guards=True,
        lock=lock_made,
        ping=_ping_of_any_node if _is_of_cluster(options) else ask,
        drilled=_DRILLED,
    )


def for_djangos_own(backend: type[BaseCache], options: dict[str, Any], location: Any) -> Inner:
    """Return Django's own Redis backend with options for it. Its commands are guarded by the call alone."""
    if "serializer" in options:
        raise _refusal("serializer", _WHY["SERIALIZER"])
    _refuse_decoding(options)
    pool_class = _loaded("pool_class", options.get("pool_class", redis.ConnectionPool))
    _check_parser("parser_class", options.get("parser_class"))
    ours = {**options, "serializer": Serializer(), "pool_class": pools.bounded(pool_class)}
    return Inner(backend, lambda _: ours, codes=True, drilled=_DRILLED)


def bounded_options(options: dict[str, Any], calls: Calls, location: Any = "") -> dict[str, Any]:
    """Return the options of a django-redis backend with ours filled in.

    Raises ImproperlyConfigured for an option that contradicts one of ours.
    """
    _refuse(options)
    client = _client(options)
    if _is_of_cluster(options):
        factory = _cluster_factory(options)
    elif issubclass(client, redis.Redis):
        _refuse_unread(client, options)
        factory = _factory(options)
    else:
        raise _refusal("REDIS_CLIENT_CLASS", "it must derive from redis.Redis or redis.cluster.RedisCluster")
    limit = time_out()
    return {
        "SOCKET_CONNECT_TIMEOUT": limit,
        "SOCKET_TIMEOUT": limit,
        **options,
        "SERIALIZER": _SERIALIZER,
        "CONNECTION_FACTORY": factory,
        "IGNORE_EXCEPTIONS": False,
        CALLS: calls,
        LOCATIONS: location.split(",") if isinstance(location, str) else list(location),
    }


def _client(options: dict[str, Any]) -> Any:
    return _loaded("REDIS_CLIENT_CLASS", options.get("REDIS_CLIENT_CLASS", redis.Redis))


def _is_of_cluster(options: dict[str, Any]) -> bool:
    return issubclass(_client(options), RedisCluster)


def _ping_of_any_node(backend: Any) -> None:
    backend.client.get_client().ping_any()


def _refuse(options: dict[str, Any]) -> None:
    """Raise ImproperlyConfigured for an option that cannot be used, or that nothing would read."""
    if options.get("SERIALIZER", _SERIALIZER) != _SERIALIZER:
        raise _refusal("SERIALIZER", _WHY["SERIALIZER"])
    if options.get("IGNORE_EXCEPTIONS", False) is not False:
        raise _refusal("IGNORE_EXCEPTIONS", _WHY["IGNORE_EXCEPTIONS"])
    if "PICKLE_VERSION" in options:
        raise _refusal("PICKLE_VERSION", _WHY["PICKLE_VERSION"])
    clients = [_loaded(name, options[name]) for name in ("CLIENT_CLASS", "COMPRESSOR") if options.get(name)]
    if any(kind.__qualname__ == "HerdClient" for one in clients for kind in one.__mro__):
        raise _refusal("CLIENT_CLASS", _WHY["CLIENT_CLASS"])
    _check_parser("PARSER_CLASS", options.get("PARSER_CLASS"))
    pool = _loaded("CONNECTION_POOL_CLASS", options.get("CONNECTION_POOL_CLASS", redis.ConnectionPool))
    if not issubclass(pool, redis.ConnectionPool):
        raise _refusal("CONNECTION_POOL_CLASS", "it must derive from redis.ConnectionPool")
    for name in (
        "connection_class",
        "parser_class",
        "protocol",
        "retry",
        "retry_on_error",
        "retry_on_timeout",
    ):
        if name in options.get("CONNECTION_POOL_KWARGS", {}):
            raise _refusal(f"CONNECTION_POOL_KWARGS[{name!r}]", "connections are bounded, and try once")
    for section in ("CONNECTION_POOL_KWARGS", "REDIS_CLIENT_KWARGS"):
        _refuse_decoding(options.get(section, {}), section)
    own = all(one.__module__.startswith("django_redis.") for one in clients)
    if own and (unknown := sorted(set(options) - _KNOWN)):
        raise _refusal(unknown[0], "django-redis does not know it")


def _refuse_decoding(given: dict[str, Any], section: str = "") -> None:
    for name in _DECODING:
        if name in given:
            shown = f"{section}[{name!r}]" if section else name
            raise _refusal(shown, "values are bytes, which the cache decodes itself")


def _refuse_unread(client: Any, options: dict[str, Any]) -> None:
    """Refuse what a client of one server does not read, since it is given a pool.

    A project's own client may read options of its own.
    """
    its = set(signature(redis.Redis).parameters) - _READ_BESIDE_A_POOL
    for name in options.get("REDIS_CLIENT_KWARGS", {}):
        if name in its or (client is redis.Redis and name not in _READ_BESIDE_A_POOL):
            raise _refusal(
                f"REDIS_CLIENT_KWARGS[{name!r}]",
                "the client does not read it, as it has a pool; see CONNECTION_POOL_KWARGS",
            )


def _factory(options: dict[str, Any]) -> str:
    """Return our factory for the one that the project names, by option or setting."""
    usual = "django_redis.pool.ConnectionFactory"
    named = options.get("CONNECTION_FACTORY") or getattr(settings, "DJANGO_REDIS_CONNECTION_FACTORY", usual)
    if named not in _FACTORIES:
        raise _refusal("CONNECTION_FACTORY", f"it is none of {', '.join(_FACTORIES)}")
    sentinel = named.endswith("SentinelConnectionFactory")
    if sentinel != bool(options.get("SENTINELS")):
        raise _refusal(
            "CONNECTION_FACTORY" if sentinel else "SENTINELS",
            "SENTINELS and django_redis.pool.SentinelConnectionFactory need one another",
        )
    return _FACTORIES[named]


def _cluster_factory(options: dict[str, Any]) -> str:
    read = {*REDIS_ALLOWED_KEYS, *signature(RedisCluster).parameters} - {
        "url",
        "host",
        "port",
        "startup_nodes",
    }
    unread = [name for name in _NOT_OF_A_CLUSTER if name in options]
    for section in ("CONNECTION_POOL_KWARGS", "REDIS_CLIENT_KWARGS"):
        unread += [f"{section}[{name!r}]" for name in options.get(section, {}) if name not in read]
    if unread:
        raise _refusal(unread[0], "the client of a cluster does not use it")
    return _CLUSTER


def _check_parser(name: str, given: Any) -> None:
    parser = _loaded(name, given) if given else None
    if parser is not None and "RESP3" in parser.__name__:
        raise _refusal(name, "over RESP3 a server can make the client wait")


def _loaded(name: str, given: Any) -> Any:
    """Return the class that an option names. Raises ImproperlyConfigured, with the option's name."""
    if not isinstance(given, str):
        return given
    try:
        return import_string(given)
    except ImportError as error:
        raise ImproperlyConfigured(f"CACHES: the option {name} cannot be used: {error}") from error


def _refusal(name: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"CACHES: the option {name} must be left out inside ResilientCache: {why}")
