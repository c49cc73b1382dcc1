"""A Redis (or Valkey) of the suite's own, in memory only; a sentinel that watches it; a cluster of them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.servers.binaries import redis_program
from tests.servers.process import ServerProcess, free_port


class RedisServer(ServerProcess):
    """Redis without files, started with `options` such as "--databases", "1". `url` is its first database."""

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.options = options

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str | Path]:
        return [
            redis_program(),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.directory),
            *("--save", "", "--appendonly", "no"),
            *self.options,
        ]

    def answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


class SentinelServer(RedisServer):
    """A sentinel that watches one primary under the name `NAME`, and fails over within a second or two."""

    NAME = "Primary"

    def __init__(self, primary: RedisServer) -> None:
        super().__init__()
        self._primary = primary

    def command(self) -> list[str | Path]:
        # A sentinel rewrites this file.
        watched = self.directory / "sentinel.conf"
        watched.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\n"
            f"sentinel monitor {self.NAME} 127.0.0.1 {self._primary.port} 1\n"
            f"sentinel down-after-milliseconds {self.NAME} 300\n"
            f"sentinel failover-timeout {self.NAME} 1000\n"
        )
        return [redis_program(), watched, "--sentinel"]


class ClusterNode(RedisServer):
    """A node of a cluster, which `assembled` makes of several."""

    def __init__(self) -> None:
        # By default the nodes' own port is the clients' plus 10,000, which may be taken.
        super().__init__(
            *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
            *("--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no"),
        )
        self.bus = int(self.options[3])


@contextmanager
def assembled(count: int = 3) -> Iterator[list[ClusterNode]]:
    """Run a cluster of primaries without replicas, which share all slots."""
    with ExitStack() as running:
        nodes = [running.enter_context(ClusterNode()) for _ in range(count)]
        clients: list[Any] = [redis.Redis.from_url(node.url, socket_timeout=5) for node in nodes]
        for client in clients:
            running.callback(client.close)
        for place, client in enumerate(clients):
            first, last = 16_384 * place // count, 16_384 * (place + 1) // count - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        for node in nodes[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        deadline = time.monotonic() + 30
        while not all(_knows(client, count) for client in clients):
            if time.monotonic() > deadline:
                raise RuntimeError("the nodes do not find one another")
            time.sleep(0.02)
        yield nodes


def _knows(client: Any, count: int) -> bool:
    """Tell whether the node of this client knows who has which slots."""
    healthy = b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")
    return healthy and len(client.execute_command("CLUSTER", "SLOTS")) == count
