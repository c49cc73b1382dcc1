"""The story on PostgreSQL: the optional query is killed, cut by the budget, or ended by the server."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.kept.project import KeptShop
from tests.kept.story import Verdict, tell
from tests.servers import PostgresServer

_KILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE state = 'active' AND query LIKE '%/* optional */' AND pid <> pg_backend_pid()"
)


@contextmanager
def killer(url: str) -> Iterator[None]:
    """Kill each connection that runs an optional query."""
    over = threading.Event()

    def kill() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not over.is_set():
                connection.execute(_KILL)
                time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def run(directory: Path, faults: list[str], times: int) -> Verdict:
    """Tell the story in a project in `directory`, on a server of its own."""
    with PostgresServer() as server:
        place = urlsplit(server.url)
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": place.path.strip("/"),
            "USER": place.username,
            "PASSWORD": place.password,
            "HOST": place.hostname,
            "PORT": place.port,
        }

        def look(title: str) -> list[str]:
            with psycopg.connect(server.url) as connection:
                sql = "SELECT title FROM products_product WHERE title = %s OR title = %s ORDER BY 1"
                return [row[0] for row in connection.execute(sql, [title, f"{title}, second"])]

        with KeptShop(directory, database) as shop, killer(server.url):
            shop.stay_closed()
            return tell(shop, look, faults, times=times, at_once=4)
