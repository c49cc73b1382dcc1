"""Real servers, started by the suite as its own children on free loopback ports."""

from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

__all__ = ["PostgresServer", "RedisServer"]
