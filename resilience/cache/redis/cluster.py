"""The guarded client of a cluster: a node that is away is an outage for the keys that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self

from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

from resilience.cache.redis.clients import guarded, locks_of

if TYPE_CHECKING:
    from resilience.cache.calls import Calls


class GuardedCluster(RedisCluster):
    """Guard each command: it tries once, after which the client knows the nodes as they are by then."""

    calls: Calls

    @classmethod
    def at(cls, locations: Sequence[str], *, calls: Calls, pool_class: Any, **options: Any) -> Self:
        """Connect to the cluster of these nodes. Raises an error of redis-py if none of them answers."""
        first, *others = (location.strip() for location in locations)
        made = cls.__new__(cls)
        made.calls = calls
        RedisCluster.__init__(
            made,
            # With an address, and only then, redis-py uses the class of the pool.
            url=first,
            startup_nodes=[_node(other) for other in others],
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            connection_pool_class=pool_class,
            # Without it, the slots that somebody covers stay usable.
            **{"require_full_coverage": False} | options,
        )
        return made

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return guarded(self.calls, partial(super().execute_command, *args, **options))

    def ping_any(self) -> None:
        """Find out whether any node works: the breaker stands for all. Raises the error of the last one."""
        failed: Exception | None = None
        for node in self.get_primaries():  # type: ignore[no-untyped-call]
            try:
                self.ping(target_nodes=node)
            except (RedisError, RedisClusterException) as error:
                failed = error
            else:
                return
        raise failed or RedisConnectionError("the cluster has no node")

    def mget(self, keys: Any, *args: Any) -> Any:
        """Read keys of any slots: one command for each slot."""
        return self.mget_nonatomic(keys, *args)

    def keys(self, pattern: Any = "*", **options: Any) -> Any:
        """List the keys of all nodes; redis-py would ask any one of them."""
        return super().keys(pattern, **{"target_nodes": RedisCluster.PRIMARIES, **options})

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Any:
        made = super().pipeline(transaction, shard_hint)  # type: ignore[no-untyped-call]
        made.__class__ = GuardedClusterPipeline
        made.calls = self.calls
        return made

    def lock(self, *args: Any, lock_class: Any = None, **kwargs: Any) -> Any:
        make: Any = super().lock
        return make(*args, lock_class=lock_class or locks_of(self.calls), **kwargs)


class GuardedClusterPipeline(ClusterPipeline):
    """Guard all commands of a pipeline together."""

    calls: Calls

    def watch(self, *names: Any) -> None:
        guarded(self.calls, partial(super().watch, *names))

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        return guarded(self.calls, partial(super().execute, raise_on_error))


@cache
def cluster_class(given: type[RedisCluster]) -> Any:
    """Return a subclass of redis-py's client of a cluster, or of a project's own, that is guarded."""
    return GuardedCluster if given is RedisCluster else type("GuardedCluster", (GuardedCluster, given), {})


def _node(location: str) -> ClusterNode:
    parsed: dict[str, Any] = parse_url(location)  # type: ignore[no-untyped-call]
    return ClusterNode(parsed.get("host", "localhost"), parsed.get("port", 6379))  # type: ignore[no-untyped-call]
