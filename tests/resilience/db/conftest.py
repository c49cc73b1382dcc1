"""Guarded aliases on servers that a test may harm, in a server process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from django.db.utils import load_backend
from pytest_django.plugin import DjangoDbBlocker

from resilience import conf, registry
from resilience.db import idle
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import CircuitBreaker, LocalStore, ManualClock, Outcome
from resilience.testing import server_role
from tests.faultproxy import FaultProxy
from tests.patience import ROOM
from tests.servers import PostgresServer
from zenow.settings.base import database_settings
from zenow.settings.resilience import RESILIENCE

Calls = list[tuple[str, Outcome]]
Beside = psycopg.Connection[Any]


@pytest.fixture(scope="package")
def server() -> Iterator[PostgresServer]:
    """A server that a test may freeze, and must leave running."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock, django_db_blocker: DjangoDbBlocker) -> Iterator[CircuitBreaker]:
    """The breaker of the database, closed and fresh, in a server process."""
    with server_role(clock=clock), django_db_blocker.unblock():
        yield registry.breaker("database")


@pytest.fixture
def calls(breaker: CircuitBreaker, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the breaker was told, in order."""
    told: Calls = []
    settle = breaker.settle

    def record(admission: Any, outcome: Outcome, **rest: Any) -> None:
        slow = outcome is Outcome.SUCCESS and rest.get("took", 0.0) > 1.0
        told.append((rest.get("operation", "call"), Outcome.SLOW if slow else outcome))
        settle(admission, outcome, **rest)

    monkeypatch.setattr(breaker, "settle", record)
    return told


def counted(calls: Calls) -> Calls:
    """Return what moves a breaker."""
    return [each for each in calls if each[1] is not Outcome.IGNORED]


@pytest.fixture
def as_command(breaker: CircuitBreaker) -> Iterator[None]:
    """A command, after all."""
    with server_role(LocalStore(role="command")):
        yield


@pytest.fixture
def half_open(breaker: CircuitBreaker, clock: ManualClock) -> CircuitBreaker:
    """The same breaker when its open time is over."""
    for _ in range(3):
        breaker.settle(breaker.admit(), Outcome.FAILURE)
    clock.advance(15.0)
    return breaker


@pytest.fixture
def deadlines() -> Iterator[dict[str, float]]:
    """The deadlines in force, to be changed by the test."""
    in_force = RESILIENCE["DEADLINES"] = conf.deadlines()
    yield in_force
    del RESILIENCE["DEADLINES"]


@contextmanager
def alias(name: str, settings: dict[str, Any]) -> Iterator[GuardedWrapper]:
    """Make an alias for a while, in this thread."""
    usual = connections[name] if name in connections else None  # noqa: SIM401  # no mapping
    wanted = connections.configure_settings({"default": {}, name: settings})[name]
    wrapper = connections[name] = load_backend(wanted["ENGINE"]).DatabaseWrapper(wanted, name)
    try:
        yield wrapper
    finally:
        wrapper.close()
        idle.forget(name)
        if usual is None:
            del connections[name]
        else:
            connections[name] = usual


@pytest.fixture
def guarded(server: PostgresServer, proxy: FaultProxy, breaker: CircuitBreaker) -> Iterator[GuardedWrapper]:
    """The alias `guarded` on PostgreSQL, through `proxy`."""
    settings = database_settings(server.url.replace(f":{server.port}", f":{proxy.port}"))
    with alias("guarded", settings) as wrapper:
        yield wrapper


@pytest.fixture
def sqlite_alias(tmp_path: Path, breaker: CircuitBreaker) -> Iterator[GuardedWrapper]:
    """The alias `guarded` on a SQLite file."""
    settings = database_settings(f"sqlite:///{tmp_path / 'guarded.sqlite3'}")
    with alias("guarded", settings) as wrapper:
        yield wrapper


@contextmanager
def frozen(server: PostgresServer, *, from_start: bool = True) -> Iterator[None]:
    """Freeze the server, or let the block do it; thaw it in any case."""
    if from_start:
        server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def takes(at_least: float, at_most: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert at_least <= time.monotonic() - started <= at_most + ROOM


def query(wrapper: GuardedWrapper, sql: str, params: Any = None) -> Any:
    """Run one statement on a cursor of its own and return its rows, if it has any."""
    with wrapper.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else None


@pytest.fixture
def table(guarded: GuardedWrapper, server: PostgresServer) -> Iterator[str]:
    """An empty table `kept`, made beside the guarded alias."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept (id int PRIMARY KEY)")
        yield "kept"
        connection.execute("DROP TABLE kept")


def rows(server: PostgresServer) -> list[int]:
    """Return what is stored, as another client sees it."""
    with psycopg.connect(server.url) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM kept ORDER BY id")]


def as_in_a_new_request(wrapper: GuardedWrapper) -> None:
    """Do what Django does between two requests."""
    wrapper.close_if_unusable_or_obsolete()


def idle_for(wrapper: GuardedWrapper, seconds: float) -> None:
    """End the request, and let its connection lie for so long."""
    connection = wrapper.connection
    as_in_a_new_request(wrapper)
    connection.answered_at -= seconds


def pid(wrapper: GuardedWrapper) -> int:
    """Return the number of the server's process that serves this alias."""
    ((number,),) = query(wrapper, "SELECT pg_backend_pid()")
    return int(number)


# --- Transactions ---


def insert(wrapper: GuardedWrapper, number: int) -> None:
    query(wrapper, "INSERT INTO kept VALUES (%s)", [number])


@contextmanager
def saving() -> Iterator[None]:
    """What `Model.save()` does around its statement."""
    with transaction.mark_for_rollback_on_error("guarded"):
        yield


@pytest.fixture(params=["server", "command"])
def role(request: pytest.FixtureRequest, breaker: CircuitBreaker) -> Iterator[str]:
    """The role of the process: what is promised of a transaction holds in each."""
    with ExitStack() as stack:
        if request.param == "command":
            stack.enter_context(server_role(LocalStore(role="command")))
        yield request.param


@pytest.fixture
def beside(server: PostgresServer) -> Iterator[Beside]:
    """Another client of the server."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def tables(beside: Beside) -> Iterator[None]:
    """Empty tables `kept` and `other`."""
    beside.execute("CREATE TABLE kept (id int PRIMARY KEY)")
    beside.execute("CREATE TABLE other (id int)")
    yield
    beside.execute("DROP TABLE kept, other")


@pytest.fixture
def postgresql_kept(server: PostgresServer, tables: None, role: str) -> Iterator[GuardedWrapper]:
    """The alias `guarded` on PostgreSQL, without a proxy."""
    with alias("guarded", database_settings(server.url)) as wrapper:
        yield wrapper


@pytest.fixture
def sqlite_kept(tmp_path: Path, role: str) -> Iterator[GuardedWrapper]:
    """The alias `guarded` on a SQLite file."""
    with alias("guarded", database_settings(f"sqlite:///{tmp_path / 'guarded.sqlite3'}")) as wrapper:
        query(wrapper, "CREATE TABLE kept (id integer PRIMARY KEY)")
        query(wrapper, "CREATE TABLE big (text text)")
        query(wrapper, "CREATE TABLE refusing (id integer)")
        query(
            wrapper,
            "CREATE TRIGGER refuses BEFORE INSERT ON refusing BEGIN SELECT RAISE(ROLLBACK, 'refused'); END",
        )
        yield wrapper
