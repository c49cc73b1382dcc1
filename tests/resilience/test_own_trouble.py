"""Each guarded dependency, really called by a process that can open nothing: no breaker hears of it.

What each error looks like is in `tests/primitives/test_own.py`; a running site is in
`tests/functional/test_worker_in_trouble.py`.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import django.db
import pytest
import requests
from pytest_django import Settings

from resilience import auth, registry
from resilience.alerts.outbox import Outbox
from resilience.cache import ResilientCache
from resilience.http import GuardedSession
from resilience.journal.notes import recall, remember
from resilience.net import addresses, sockets
from resilience.observe import folders, health
from resilience.observe.logs import QueuedStream
from resilience.primitives import LocalStore, ManualClock, OwnTroubleError, State, TierUnavailableError, own
from resilience.testing import server_role
from resilience.tiers.static_copy import building, files, keeping
from tests.patience import ROOM
from tests.resilience.cache.making import on_redis
from tests.resilience.db.conftest import alias, query
from tests.servers import PostgresServer, RedisServer
from tests.servers.partner import Partner
from tests.starving import no_descriptors, no_threads
from zenow.settings.base import database_settings


@pytest.fixture(autouse=True)
def store() -> Iterator[LocalStore]:
    store = LocalStore()
    with server_role(store=store):
        yield store


def check(name: str, store: LocalStore, call: Callable[[], object], times: int = 10) -> None:
    """Call so often in need, and assert that the breaker `name` is closed, has no failure, and counted it."""
    with no_descriptors():
        for _ in range(times):
            call()
    found = registry.breaker(name).snapshot()
    assert (found.state, found.failures, found.slow) == (State.CLOSED, 0, 0)
    assert store.counters.totals()["own_trouble", name, "descriptors"] >= times
    assert any("lacks descriptors" in notice for notice in health.notices())


def failing(error: type[Exception], call: Callable[[], object]) -> Callable[[], None]:
    def fail() -> None:
        with pytest.raises(error):
            call()

    return fail


class TestDescriptors:
    @pytest.mark.django_db
    def test_of_postgresql(self, postgres: PostgresServer, store: LocalStore) -> None:
        with alias("guarded", database_settings(postgres.url)) as db:
            query(db, "SELECT 1")  # what must be loaded is, before nothing opens
            db.close()

            def connect() -> None:
                db.connection = None
                with pytest.raises(django.db.OperationalError):
                    query(db, "SELECT 1")

            check("database", store, connect)
            db.connection = None
            assert query(db, "SELECT 1") == [(1,)]

    @pytest.mark.django_db
    def test_of_sqlite(self, tmp_path: Path, store: LocalStore) -> None:
        with alias("guarded", database_settings(f"sqlite:///{tmp_path / 'some.sqlite3'}")) as db:
            check("database", store, failing(django.db.OperationalError, lambda: query(db, "SELECT 1")))
            assert query(db, "SELECT 1") == [(1,)]

    def test_of_redis(self, redis_server: RedisServer, store: LocalStore) -> None:
        on_redis(redis_server).get("k")
        cache = on_redis(redis_server, SOCKET_TIMEOUT=0.2)  # another pool, without a connection

        check("cache", store, lambda: cache.get("k"))

    def test_of_a_cache_in_files(self, tmp_path: Path, store: LocalStore) -> None:
        inner = "django.core.cache.backends.filebased.FileBasedCache"
        cache = ResilientCache(str(tmp_path), {"OPTIONS": {"INNER": inner}})
        cache.set("k", 1)

        check("cache", store, lambda: cache.get("k"))

    def test_of_a_partner(self, store: LocalStore) -> None:
        with Partner() as partner:
            api = GuardedSession("external_api")
            api.get(f"{partner.url}/algebra")
            check(
                "external_api",
                store,
                failing(requests.ConnectionError, lambda: api.get(f"{partner.url}/algebra")),
            )

    def test_of_sign_in(self, store: LocalStore) -> None:
        def ask() -> None:
            Path("/dev/null").read_bytes()

        check("auth", store, failing(OSError, lambda: auth.guarded_call(ask)))

    def test_of_a_dependency_of_a_project_s_own(self, store: LocalStore) -> None:
        guard = registry.guard("external_api")

        check("external_api", store, failing(OSError, lambda: guard.call(Path("/dev/null").read_bytes)))

    def test_of_a_look_up_of_names(self, store: LocalStore) -> None:
        addresses._known.clear()
        guard = registry.guard("external_api")

        check(
            "external_api",
            store,
            failing(OSError, lambda: guard.call(addresses.lookup, "starving.invalid", 5.0)),
        )

    def test_forgets_nothing_that_alerts_have_told(self, tmp_path: Path, settings: Settings) -> None:
        settings.RESILIENCE = {**settings.RESILIENCE, "EVENTS_DIR": str(tmp_path / "events")}
        remember("alerts", {"told": True})
        with no_descriptors(), pytest.raises(OSError, match="Too many open files"):
            recall("alerts")

        assert recall("alerts") == {"told": True}

    @pytest.mark.django_db
    def test_is_no_damage_of_the_static_file(self, tmp_path: Path, settings: Settings) -> None:
        settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path)}
        building.from_fixtures(rescue=True)
        found = files.current()
        with no_descriptors(), pytest.raises(OwnTroubleError, match="descriptors"):
            files.sound(found)

        assert files.sound(found)

        os.utime(tmp_path, (1.0, 1.0))  # at rest, so that a listing of it is trusted
        files._listings.clear()
        with no_descriptors(), pytest.raises(TierUnavailableError):
            files.current()
        assert files.current() == found  # what was wrong then is not remembered

    def test_is_no_fault_of_a_folder(self, tmp_path: Path) -> None:
        with no_descriptors(), pytest.raises(OSError, match="Too many open files"):
            folders.wrong_at_a_try(tmp_path)

        assert folders.wrong_at_a_try(tmp_path) == ""


class TestIsTold:
    """No breaker tells of it, so without a notice an operator would read that all is well."""

    @pytest.mark.parametrize("lacked", health.LACKING)
    def test_in_health_for_a_minute(self, lacked: str) -> None:
        clock, store = ManualClock(), LocalStore()
        with server_role(store, clock=clock):
            store.lacks.note(lacked, clock.monotonic())
            (notice,) = health.report()["notices"]
            assert notice.startswith(f"A process of this host lacks {lacked}: ")
            clock.advance(61.0)
            assert health.report()["notices"] == []

    def test_not_of_a_processor_which_a_crowd_takes_and_leaves(self, store: LocalStore) -> None:
        store.lacks.note(own.PROCESSOR, registry.clock().monotonic())
        assert health.notices() == []


class TestThreads:
    def test_that_cannot_look_a_name_up_let_nobody_wait_for_them(
        self, monkeypatch: pytest.MonkeyPatch, store: LocalStore
    ) -> None:
        guard = registry.guard("external_api")
        with no_threads(monkeypatch):
            for _ in range(10):
                with pytest.raises(OSError, match="can't start new thread"):
                    guard.call(addresses.lookup, "threadless.invalid", 60.0)

        assert registry.breaker("external_api").shown() is State.CLOSED
        assert store.counters.totals()["own_trouble", "external_api", "threads"] == 10
        assert "threadless.invalid" not in addresses._asking

    def test_leave_the_last_known_addresses_in_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        known = addresses._Entry(["192.0.2.1"], resolved=-1e9)
        monkeypatch.setattr(addresses, "_known", {"known.test": known})
        with no_threads(monkeypatch):
            assert addresses.lookup("known.test", 1.0) == ["192.0.2.1"]

    def test_let_what_is_to_be_sent_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sent: list[str] = []
        outbox = Outbox("hook", sent.append, room=9)
        with no_threads(monkeypatch):
            outbox.put("opened")
            outbox.start()
        outbox.start()
        outbox.join()

        assert sent == ["opened"]

    def test_let_the_lines_of_a_log_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reader, writer = os.pipe()
        stream = QueuedStream(writer)
        with no_threads(monkeypatch):
            stream.write("one ")
        stream.write("two")
        stream.drain(10.0 * ROOM)

        assert os.read(reader, 99) == b"one two"

    def test_keep_no_process_from_starting(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        start = keeping.Start()
        with no_threads(monkeypatch):
            assert not start.goes_on()

        assert "can't start new thread" in caplog.text


class TestPorts:
    def test_that_one_address_has_not_hide_no_refusal_of_another(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`localhost` where IPv6 is switched off: ::1 cannot be assigned, 127.0.0.1 refuses."""
        monkeypatch.setattr(addresses, "lookup", lambda host, limit: ["192.0.2.1%lo", "127.0.0.1"])
        errors = iter(
            [OSError(99, "Cannot assign requested address"), ConnectionRefusedError(111, "refused")]
        )

        def refuse(*_: object) -> None:
            raise next(errors)

        monkeypatch.setattr(sockets, "_connect", refuse)
        with pytest.raises(ConnectionRefusedError):
            sockets.connect("localhost", 1, 1.0)
