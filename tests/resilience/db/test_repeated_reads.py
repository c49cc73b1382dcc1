"""Reads whose answers are lost, repeated behind a pooler while other applications write through it.

A hundred of them in `make poolers`, twenty in `make test`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import psycopg
import pytest

from resilience.db.postgresql import limits
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker
from tests.faultproxy import FaultProxy
from tests.resilience.db.conftest import alias, query
from tests.resilience.db.poolers import left_behind, needs_pgbouncer
from tests.servers import PostgresServer
from tests.servers.pgbouncer import PgBouncerServer
from zenow.settings.base import database_settings

REPEATS = 100 if os.environ.get("POOLERS") else 20
OTHERS = 4


@pytest.fixture
def cut_wire(server: PostgresServer) -> Iterator[tuple[PgBouncerServer, FaultProxy]]:
    with PgBouncerServer(server, "transaction") as pooler, FaultProxy(pooler.port) as proxy:
        yield pooler, proxy


@needs_pgbouncer
def test_repeated_reads_leave_the_writes_of_others_alone(
    cut_wire: tuple[PgBouncerServer, FaultProxy], breaker: CircuitBreaker
) -> None:
    """Its session, left read-only, had the INSERTs of other applications fail."""
    limits.forget()
    pooler, proxy = cut_wire
    with psycopg.connect(pooler.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (id serial)")
    with (
        Writers(pooler.url) as writers,
        alias(
            "pooled", database_settings(pooler.url.replace(f":{pooler.port}", f":{proxy.port}"))
        ) as wrapper,
    ):
        for number in range(REPEATS):
            repeat(wrapper, proxy, number)
            breaker.reset()
    assert writers.failures == []
    assert writers.written > REPEATS
    assert left_behind(pooler) == {"settings": [], "others": []}


def repeat(wrapper: GuardedWrapper, proxy: FaultProxy, number: int) -> None:
    """Lose the answer to a read, and have it all the same."""
    assert query(wrapper, "SELECT 1") == [(1,)]
    before = proxy.connections
    proxy.set("cut", once=True)
    seen = query(wrapper, f"SELECT {number}, current_setting('transaction_read_only')")
    assert seen == [(number, "on")]
    assert proxy.connections > before


class Writers:
    """Other clients of the pooler, each a statement of its own after the other."""

    def __init__(self, url: str) -> None:
        self.failures: list[str] = []
        self.written = 0
        self._url = url
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(OTHERS)]

    def __enter__(self) -> Writers:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for each in self._threads:
            each.join()

    def _write(self) -> None:
        with psycopg.connect(self._url, autocommit=True, prepare_threshold=None) as connection:
            while not self._ended.wait(0.002):
                try:
                    connection.execute("INSERT INTO theirs DEFAULT VALUES")
                except psycopg.Error as error:
                    self.failures.append(str(error))
                else:
                    self.written += 1
