"""One Idempotency-Key by several at once, on two workers and on each database: one stores, nobody twice."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.functional.outages import MINT
from tests.ledger.storm import SLOW_COMMIT
from tests.servers import PostgresServer
from tests.servers.site import SiteServer

ASKERS = 4
Said = tuple[int, str | None, bytes]  # status, Idempotent-Replayed, body


def prepared(site: SiteServer) -> str:
    """Migrate; return the token of somebody who may write."""
    for arguments in (["migrate", "--verbosity=0"], ["shell", "--verbosity=0", "-c", MINT]):
        ran = site.manage(*arguments)
        assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def post(site: SiteServer, token: str) -> Said:
    own = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": "k"}
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    try:
        connection.request("POST", "/api/categories", json.dumps({"title": "Arts"}), own)
        response = connection.getresponse()
        return response.status, response.headers.get("Idempotent-Replayed"), response.read()
    finally:
        connection.close()


def at_once(site: SiteServer, token: str) -> list[Said]:
    with ThreadPoolExecutor(ASKERS) as pool:
        return list(pool.map(lambda _: post(site, token), range(ASKERS)))


def firsts(said: list[Said]) -> list[Said]:
    return [each for each in said if each[0] == 201 and each[1] is None]


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.mark.timeout(120)
def test_on_postgresql_the_others_are_told_that_it_is_under_way(postgresql: PostgresServer) -> None:
    site = SiteServer(DATABASE_URL=postgresql.url)
    token = prepared(site)
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute(SLOW_COMMIT.replace("0.2", "0.5"))
    with site:
        said = at_once(site, token)
        assert len(firsts(said)) == 1
        assert 409 in {status for status, _, _ in said}
        assert {status for status, _, _ in said} <= {201, 409, 503}  # 503: the pool of a worker is full
        assert post(site, token) == (201, "true", firsts(said)[0][2])


@pytest.mark.timeout(120)
def test_on_sqlite_the_others_wait_and_get_the_first_answer() -> None:
    site = SiteServer()
    token = prepared(site)
    with site:
        said = at_once(site, token)
        assert len(firsts(said)) == 1
        assert {status for status, _, _ in said} <= {201, 503}
        assert {body for status, _, body in said if status == 201} == {firsts(said)[0][2]}
        assert post(site, token) == (201, "true", firsts(said)[0][2])
