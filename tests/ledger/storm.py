"""The faults: PostgreSQL killed, frozen and not heard while writers write; then the ledger is compared."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import psycopg

from tests.faultproxy import FaultProxy
from tests.functional.outages import Site
from tests.ledger.writers import Ledger, Writer
from tests.servers import PostgresServer

CLIENTS = 4
# COMMIT takes its time, so that faults meet it in the middle.
SLOW_COMMIT = """
    CREATE FUNCTION take_your_time() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON learn_category
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION take_your_time()
"""
# Longer than any client waits, so that what was under way is decided by the thaw.
FROZEN_FOR = 3.5
# Longer than a write with its COMMIT is waited for: it is carried out, and its answer never arrives.
MUTE_FOR = 2.5


def run(
    *, kills: int, freezes: int, mutes: int, seed: int, tell: Callable[[str], None]
) -> tuple[Ledger, list[str]]:
    """Return the ledger and what in the database contradicts it."""
    chance = random.Random(seed)  # noqa: S311 - a storm, no secret
    faults = ["kill"] * kills + ["freeze"] * freezes + ["mute"] * mutes
    chance.shuffle(faults)
    ledger, lock = Ledger(), threading.Lock()
    with PostgresServer() as server, FaultProxy(server.port) as proxy:
        site = Site(server, proxy)
        ran = site.manage("migrate", "--verbosity=0")
        if ran.returncode:
            raise RuntimeError(ran.stderr)
        site.sign_in()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(SLOW_COMMIT)
        with site:
            writers = [Writer(site, ledger, lock) for _ in range(CLIENTS)]
            for writer in writers:
                writer.start()
            for number, fault in enumerate(faults, 1):
                _until_stored(ledger, more=4)
                time.sleep(chance.uniform(0.0, 0.3))
                tell(f"{number}/{len(faults)} {fault}: {len(ledger.stored)} stored so far")
                if fault == "kill":
                    server.kill()
                    time.sleep(chance.uniform(0.2, 1.0))
                    server.start()
                elif fault == "mute":
                    proxy.set("mute")
                    time.sleep(MUTE_FOR)
                    proxy.set("pass")
                else:
                    server.freeze()
                    time.sleep(FROZEN_FOR)
                    server.thaw()
            _until_stored(ledger, more=8)
            for writer in writers:
                writer.stopping.set()
            for writer in writers:
                writer.join()
            time.sleep(1.0)
            broken = [f"a connection broke: {len(ledger.broken)}"] * bool(ledger.broken)
            return ledger, broken + contradictions(ledger, server)


def _until_stored(ledger: Ledger, *, more: int) -> None:
    wanted, limit = len(ledger.stored) + more, time.monotonic() + 60
    while len(ledger.stored) < wanted:
        if time.monotonic() > limit:
            raise RuntimeError(f"nothing is stored any more: {ledger.answers}")
        time.sleep(0.02)


def contradictions(ledger: Ledger, server: PostgresServer) -> list[str]:
    """Return what in the database is not as it was said to be; call it when all writers have ended."""
    with psycopg.connect(server.url) as connection:
        found = Counter(title for (title,) in connection.execute("SELECT title FROM learn_category"))
    return [
        *(f"acknowledged and lost: {title}" for title in ledger.stored if not found[title]),
        *(f"stored {count} times: {title}" for title, count in found.items() if count > 1),
        *(f"said not to be stored, and is: {title}" for title in ledger.not_stored if found[title]),
        *(f"never settled: {title}" for title in ledger.unsettled),
        *(f"answered strangely: {said}" for said in ledger.strange),
        *(
            f"nobody was told of: {title}"
            for title in found
            if title.startswith("Ledger ")
            and title not in ledger.stored | ledger.not_stored | ledger.unsettled
        ),
    ]
