"""Fixtures of the whole suite.

The database of a test is SQLite in memory, by `django_db` as usual. Real servers are the suite's own children
(`tests/servers/`), started when a test first asks:

- `postgres`, `redis_server`: one of each per run, with `url`, `pid`, `stop`, `kill`, `freeze`, `thaw` and
  `restart`. A test that harms one makes its own: `with PostgresServer() as server:`.
- `postgresql`: a context manager in which the alias `default` is a migrated PostgreSQL, rolled back at its
  end, so that one test can ask both databases the same question:

      @pytest.mark.django_db
      def test_finds_the_same(postgresql, client):
          on_sqlite = client.get(url).json()
          with postgresql():
              on_postgresql = client.get(url).json()

- `on_both_databases`: parametrises a test, which then runs once on SQLite and once on PostgreSQL.
"""

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections, transaction
from django.db.utils import load_backend
from pytest_django.plugin import DjangoDbBlocker

from resilience import registry, steward
from resilience.registry import Registry
from tests.contract.plugin import ContractPlugin
from tests.servers import PostgresServer, RedisServer
from zenow.settings.base import database_settings
from zenow.settings.resilience import RESILIENCE

LONG = {"browser", "docs", "functional", "security", "soak"}
_FOLDER = pytest.StashKey[Path]()
Database = Callable[[], AbstractContextManager[None]]


def pytest_addoption(parser: pytest.Parser) -> None:
    counts = "list the answers that were held against the schema, by address and tier"
    parser.addoption("--contract-counts", action="store_true", help=counts)


def pytest_configure(config: pytest.Config) -> None:
    """End as after Ctrl-C when we are told to: fixtures are torn down, servers stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    # A shell's background job ignores Ctrl-C, and what it starts inherits that; the servers must not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(ContractPlugin(), "contract")
    if not hasattr(config, "workerinput"):  # of xdist, which inherits it
        _have_a_temporary_folder(config)


def _have_a_temporary_folder(config: pytest.Config) -> None:
    """Keep what this run makes in one folder, which goes with it: after Ctrl-C too."""
    folder = Path(tempfile.mkdtemp(prefix="zenow-tests-"))
    folder.chmod(0o711)  # Servers that run as another user have their own below it.
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    config.stash[_FOLDER] = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Fail the run where a test has left a folder: only pytest's own may be there now."""
    yield
    folder = session.config.stash.get(_FOLDER, None)
    if folder is None:
        return
    left = sorted(path.name for path in folder.iterdir() if not path.name.startswith("pytest-of-"))
    if left and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        print(f"\nTests have left behind: {', '.join(left)}")  # noqa: T201
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out longer proofs; begin with what takes longest, or one process is still at it at the end."""
    proofs = [
        item for item in items if any(not os.environ.get(mark.args[0]) for mark in item.iter_markers("proof"))
    ]
    if proofs:
        items[0].config.hook.pytest_deselected(items=proofs)
        items[:] = [item for item in items if item not in proofs]
    items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stay a command, which counts nothing: importing the WSGI entry makes a process a server."""
    os.environ.pop("RESILIENCE_ROLE", None)


@pytest.fixture(scope="session", autouse=True)
def _no_store_of_the_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Look for a host store where there is none: one of a server that runs here is not ours to read."""
    RESILIENCE["DIR"] = str(tmp_path_factory.mktemp("resilience") / "none")
    RESILIENCE["STATIC_DIR"] = str(tmp_path_factory.mktemp("static-tier"))


@pytest.fixture(scope="session")
def _journals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("journals")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_store(_journals: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test breakers, pools, limits and a journal that remember nothing of the others."""
    monkeypatch.setenv("RESILIENCE_EVENTS_DIR", str(next(_journals)))
    before = registry.use(Registry())
    yield
    steward.stop()  # that a request of this test has started
    registry.use(before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def _migrated(
    postgres: PostgresServer, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> dict[str, Any]:
    """The settings of a migrated test database on PostgreSQL."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE test")
    settings = database_settings(postgres.url.replace("/postgres", "/test"))
    with django_db_blocker.unblock(), _default_is(settings):
        call_command("migrate", verbosity=0, interactive=False)
    return settings


@pytest.fixture
def postgresql(_migrated: dict[str, Any], db: None) -> Database:
    @contextmanager
    def as_default() -> Iterator[None]:
        with _default_is(_migrated):
            atomic = transaction.atomic()
            # As in Django's TestCase: `durable=True` may lie inside.
            atomic._from_testcase = True  # type: ignore[attr-defined]
            with atomic:
                yield
                transaction.set_rollback(True)

    return as_default


@pytest.fixture(params=["sqlite", "postgresql"])
def on_both_databases(request: pytest.FixtureRequest, db: None) -> Iterator[str]:
    """Run the test on each database; its value is the name of the one in use."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            stack.enter_context(request.getfixturevalue("postgresql")())
        yield request.param


@contextmanager
def _default_is(settings: dict[str, Any]) -> Iterator[None]:
    """Make `default` another database, in this thread, for a while."""
    usual = connections["default"]
    wanted = connections.configure_settings({"default": settings})["default"]
    connections["default"] = load_backend(wanted["ENGINE"]).DatabaseWrapper(wanted, "default")
    ContentType.objects.clear_cache()  # Its rows have other ids there.
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = usual
        ContentType.objects.clear_cache()
