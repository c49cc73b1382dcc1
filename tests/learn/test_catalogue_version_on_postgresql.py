"""The rows of the catalogue version on PostgreSQL: writers, readers and hosts at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction
from django.db.models import F
from django.db.utils import load_backend

from learn.models import Category
from resilience import registry
from resilience.db import probe
from resilience.models import Generation
from resilience.primitives import Mark, Store, deadline_scope
from resilience.primitives.store import marks
from resilience.testing import host_store, server_role
from resilience.tiers import catalogue_version, stored
from tests.servers import PostgresServer

LONG = 60.0
# As if each row counted its writes.
COUNTERS = """
    INSERT INTO resilience_generation AS known (id, generation, removals)
    VALUES (pg_backend_pid() %% 32 + 1, 1, %s)
    ON CONFLICT (id) DO UPDATE SET generation = known.generation + 1, removals = known.removals + %s
    RETURNING id, generation, removals
"""

# What servers of 0.2 do: they know one row, and add 1 to it.
OLDER_RAISE = (
    "UPDATE resilience_generation SET generation = generation + 1, removals = removals + 0 WHERE id = 1"
)
OLDER_READ = "SELECT generation, removals FROM resilience_generation WHERE id = 1"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(postgres: PostgresServer, _migrated: dict[str, Any], db: None) -> Iterator[str]:
    """The default alias is a PostgreSQL in which all is stored, with no row of the version."""
    settings = connections.configure_settings({"default": _migrated})["default"]
    usual = connections["default"]
    connections["default"] = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, "default")
    url = postgres.url.replace("/postgres", "/test")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE resilience_generation")
        try:
            with server_role():
                yield url
        finally:
            connections["default"].close()
            connections["default"] = usual
            connection.execute("TRUNCATE resilience_generation, learn_category CASCADE")
            connection.execute("DROP TABLE IF EXISTS crowd")


def own_row() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() %% 32 + 1", [])
        row: int = cursor.fetchone()[0]
        return row


class TestRows:
    def test_are_made_and_raised_by_their_writers_as_the_servers_clock_goes(self, url: str) -> None:
        row = own_row()
        for number in range(2):
            before = catalogue_version.current()
            Category.objects.create(title=f"Arts {number}")
            (mark,) = Generation.objects.values_list("pk", "generation", "removals")
            assert mark == (row, *registry.store().marks.rows()[row])
            assert abs(mark[1] / 1e6 - time.time()) < LONG
            assert catalogue_version.current().version != before.version

    def test_rise_by_one_at_least_whatever_the_clock_says(self, url: str) -> None:
        ahead = 2**62
        Generation.objects.create(pk=own_row(), generation=ahead, removals=ahead)
        catalogue_version.raise_version(removal=True)
        assert Generation.objects.values_list("generation", "removals").get() == (ahead + 1, ahead + 1)

    def test_tell_of_removals_only_where_something_was_removed(self, url: str) -> None:
        catalogue_version.raise_version()
        assert catalogue_version.current().removals == 0
        catalogue_version.raise_version(removal=True)
        removed = catalogue_version.current().removals
        assert removed > 0
        catalogue_version.raise_version()
        assert catalogue_version.current().removals == removed

    def test_of_two_writers_do_not_wait_for_each_others_commit(self, url: str) -> None:
        """Another one has raised all rows but that of this session, and has not stored them yet."""
        with psycopg.connect(url) as other:
            other.execute(
                """
                INSERT INTO resilience_generation SELECT id, 1, 0 FROM generate_series(1, 32) AS id
                WHERE id <> %s
                """,
                [own_row()],
            )
            with transaction.atomic():
                Category.objects.create(title="Arts")
            other.rollback()
        assert Category.objects.count() == 1

    def test_are_added_up_in_one_statement(self, url: str) -> None:
        Generation.objects.bulk_create([Generation(pk=row, generation=10 * row) for row in (1, 7, 32)])
        found = list(Generation.objects.annotate(all=catalogue_version.as_column("default")).values("all"))
        assert found == [{"all": 400}] * 3


class TestOlderHosts:
    """Hosts of the release before know one row, and add 1 to it."""

    def test_are_heard_of_and_raise_what_is_there(self, url: str) -> None:
        Generation.objects.create(pk=1, generation=7, removals=2)
        probe.ping()
        before = catalogue_version.current()
        Generation.objects.filter(pk=1).update(generation=F("generation") + 1)
        probe.ping()
        assert catalogue_version.current().version != before.version
        assert catalogue_version.current().removals == before.removals

    def test_and_newer_ones_raise_the_first_row_for_each_other(self, url: str) -> None:
        newer = catalogue_version._RAISE.replace("pg_backend_pid() %% 32 + 1", "1")
        seen: list[Any] = []
        names: set[int] = set()
        with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as other:
            one.execute(newer, [0, 0])
            for raises in (partial(other.execute, OLDER_RAISE), partial(one.execute, newer, [0, 0])) * 2:
                raises()
                seen.append(other.execute(OLDER_READ).fetchone())
                probe.ping()
                names.add(catalogue_version.current().version)
        assert seen == sorted(set(seen))
        assert len(seen) == len(names) == 4

    def test_do_not_hear_of_the_other_rows_as_upgrading_says(self, url: str) -> None:
        """So their stored answers stay fresh beside the write of a newer host, for as long as that lasts."""
        Generation.objects.create(pk=1, generation=7, removals=2)
        newer = catalogue_version._RAISE.replace("pg_backend_pid() %% 32 + 1", "2")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(newer, [1, 1])
            assert connection.execute(OLDER_READ).fetchone() == (7, 2)
        said = " ".join((ROOT / "docs" / "upgrading.md").read_text().split())
        assert (
            "a server of 0.2 may serve stored answers of before a newer server's write for up to "
            f"{stored.FRESH_FOR:.0f} s"
        ) in said
        assert f"may show for {stored.KEPT_FOR / 60:.0f} min what a newer server has removed" in said


class TestPing:
    def test_tells_the_host_what_others_have_stored(self, url: str) -> None:
        Generation.objects.create(pk=5, generation=7_000, removals=12)
        probe.ping()
        assert registry.store().marks.rows() == {5: Mark(7_000, 12)}

    def test_tells_what_a_failover_has_lost(self, url: str) -> None:
        Category.objects.create(title="Arts")
        assert registry.store().marks.rows()
        Generation.objects.all().delete()
        probe.ping()
        assert registry.store().marks.read() == Mark()

    def test_is_answered_while_the_table_is_locked(
        self, url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(probe, "_unanswered", set())
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE resilience_generation")
            for _ in range(2):
                with deadline_scope(0.3):
                    probe.ping()
        assert registry.store().counters.totals()["questions_failed", "catalogue version"] == 2
        assert caplog.text.count("could not ask for the catalogue version") == 1

    def test_is_counted_as_missed_where_the_server_is_full(
        self, url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: object) -> None:
            raise psycopg.OperationalError("FATAL:  sorry, too many clients already")

        monkeypatch.setattr(probe, "_unanswered", set())
        monkeypatch.setattr(connections["default"], "get_new_connection", full)
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError):
                probe.ping()
        assert registry.store().counters.totals()["questions_failed", "catalogue version"] == 2
        assert caplog.text.count("could not ask for the catalogue version") == 1


class Crowd:
    """Writers and readers of two hosts, which share a cache, on one database."""

    WRITERS, READERS = 4, 2  # of each host

    def __init__(self, url: str, stores: list[Store], statement: str) -> None:
        self.url = url
        self.stores = stores
        self.statement = statement
        self.acknowledged: list[dict[int, int]] = [{} for _ in stores]
        self.cache: tuple[int, dict[int, int]] = (0, {})
        self.fresh = self.wrong = 0
        self.errors: list[BaseException] = []
        self._over = threading.Event()
        self._lock = threading.Lock()

    def run(self, *, until_wrong: bool, answers: int) -> None:
        """Let all work until there were that many fresh answers, or a wrong one."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS crowd")
            connection.execute("CREATE TABLE crowd (writer int PRIMARY KEY, value int NOT NULL)")
        works = [
            *[(self._write, host, number) for host in (0, 1) for number in range(self.WRITERS)],
            *[(self._read, host, number) for host in (0, 1) for number in range(self.READERS)],
            *[(self._ask, host, 0) for host in (0, 1)],
        ]
        threads = [threading.Thread(target=self._do, args=work) for work in works]
        for thread in threads:
            thread.start()
        end = time.monotonic() + LONG
        while time.monotonic() < end and self.fresh < answers and not (until_wrong and self.wrong):
            if self._over.wait(0.05):
                break
        self._over.set()
        for thread in threads:
            thread.join()
        assert self.errors == []

    def _do(self, work: Any, host: int, number: int) -> None:
        try:
            with psycopg.connect(self.url) as connection:
                while not self._over.is_set():
                    work(connection, host, number)
        except BaseException as error:
            self.errors.append(error)
            self._over.set()

    def _write(self, connection: psycopg.Connection[Any], host: int, number: int) -> None:
        writer = host * self.WRITERS + number
        value = self.acknowledged[host].get(writer, 0) + 1
        connection.execute(
            "INSERT INTO crowd VALUES (%s, %s) ON CONFLICT (writer) DO UPDATE SET value = excluded.value",
            [writer, value],
        )
        found = connection.execute(self.statement, [0, 0]).fetchone()
        assert found is not None
        self._over.wait(0.002)  # The COMMIT takes its time.
        connection.commit()
        row, version, _ = found
        while not self.stores[host].marks.rise(row, version=version):
            pass
        self.acknowledged[host] = {**self.acknowledged[host], writer: value}
        self._over.wait(0.01 + 0.002 * number)

    def _read(self, connection: psycopg.Connection[Any], host: int, number: int) -> None:
        expected = self.acknowledged[host]
        name = self.stores[host].marks.read().version
        kept, values = self.cache
        if name and kept == name:
            with self._lock:
                self.fresh += 1
                self.wrong += any(values.get(writer, 0) < value for writer, value in expected.items())
        else:
            found = connection.execute("SELECT writer, value FROM crowd").fetchall()
            connection.commit()
            self.cache = (name, dict(found))
        self._over.wait(0.0005)

    def _ask(self, connection: psycopg.Connection[Any], host: int, number: int) -> None:
        """As the steward does each second, only more often."""
        noted = self.stores[host].marks.rows()
        told = catalogue_version._rows(connection.cursor(), "postgresql")
        connection.commit()
        assert told is not None
        self.stores[host].marks.correct(noted, told)
        self._over.wait(0.01)


@pytest.mark.timeout(180)
class TestTwoHosts:
    """A fresh answer is one whose version is that which the host knows."""

    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[list[Store]]:
        with host_store(tmp_path / "one") as one, host_store(tmp_path / "two") as two:
            yield [one, two]

    def test_give_no_fresh_answer_without_an_acknowledged_write_of_their_own(
        self, url: str, stores: list[Store]
    ) -> None:
        crowd = Crowd(url, stores, catalogue_version._RAISE)
        crowd.run(until_wrong=False, answers=2_000)
        assert (crowd.fresh >= 2_000, crowd.wrong) == (True, 0)

    def test_would_give_some_if_rows_were_counted_and_added_up(
        self, url: str, stores: list[Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(marks, "_WEIGHTS", dict.fromkeys(marks._WEIGHTS, 1))
        crowd = Crowd(url, stores, COUNTERS)
        crowd.run(until_wrong=True, answers=100_000)
        assert crowd.wrong > 0, crowd.fresh
