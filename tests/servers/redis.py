"""A Redis (or Valkey) of the suite's own, in memory only."""

from pathlib import Path

import redis

from tests.servers.binaries import redis_program
from tests.servers.process import ServerProcess


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
