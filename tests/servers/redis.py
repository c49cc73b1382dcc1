"""A Redis (or Valkey) of the suite's own, in memory only."""

import shutil
import tempfile
from pathlib import Path
from types import TracebackType

import redis

from tests.servers.binaries import redis_program
from tests.servers.process import ServerProcess


class RedisServer(ServerProcess):
    """Redis without files, started with `options` such as "--databases", "1". `url` is its first database."""

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.options = options
        self.directory = Path(tempfile.mkdtemp(prefix="zenow-redis-"))

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> Path:
        return self.directory / "log"

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.directory)
