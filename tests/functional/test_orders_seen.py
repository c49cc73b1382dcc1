"""An order counts in every worker from the first request after its answer: counted, not timed."""

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.servers.process import descendants
from tests.servers.site import SiteServer

TOKEN = "0123456789abcdef" * 2
SECRET = "c" * 32  # of the form: the cookie and the field hold the same
WORKERS = 4
ROUNDS = 10


@pytest.fixture(scope="module")
def site() -> Iterator[SiteServer]:
    with SiteServer(workers=WORKERS, OPS_TOKEN=TOKEN) as site:
        yield site


@pytest.fixture
def connections(site: SiteServer) -> Iterator[dict[int, list[http.client.HTTPConnection]]]:
    """Connections that stay open, by the worker that has taken them: two at least of each."""
    taken: dict[int, list[http.client.HTTPConnection]] = {}
    with ExitStack() as stack:
        for _ in range(200):
            connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
            stack.enter_context(closing(connection))
            state(connection)  # An answer: somebody has taken it.
            taken.setdefault(worker_of(site, connection), []).append(connection)
            if len(taken) == WORKERS and min(map(len, taken.values())) >= 2:
                break
        yield taken


def worker_of(site: SiteServer, connection: http.client.HTTPConnection) -> int:
    """Return the id of the process that holds the other end."""
    ours = connection.sock.getsockname()[1]
    ends = f":{site.port:04X}", f":{ours:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (socket,) = [f"socket:[{row[9]}]" for row in rows if (row[1][-5:], row[2][-5:]) == ends]
    (worker,) = [pid for pid in descendants(site.pid) if socket in descriptors(pid)]
    return worker


def descriptors(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(f"{entry.readlink()}")
        except FileNotFoundError:
            continue  # Closed meanwhile.
    return found


def state(connection: http.client.HTTPConnection) -> str | None:
    connection.request("GET", "/api/health/live")
    response = connection.getresponse()
    response.read()
    return response.headers["X-Circuit-Breaker-External-API"]


def order(site: SiteServer, action: str) -> None:
    """Give an order at the board, on a connection of its own."""
    form = {"action": action, "breakers": "external_api", "reason": "a drill", "csrfmiddlewaretoken": SECRET}
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Cookie": f"csrftoken={SECRET}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)) as connection:
        connection.request("POST", "/admin/resilience/board/", urlencode(form), headers)
        assert connection.getresponse().status == 302


def test_every_worker_knows_of_an_order_at_its_first_request_after_the_answer(
    site: SiteServer, connections: dict[int, list[http.client.HTTPConnection]]
) -> None:
    assert len(connections) == WORKERS
    for number in range(ROUNDS):
        for action, expected in (("isolate", "OPEN"), ("reset" if number % 2 else "auto", "CLOSED")):
            order(site, action)
            seen = {
                worker: [state(connection) for connection in held] for worker, held in connections.items()
            }
            assert seen == {worker: [expected] * len(held) for worker, held in connections.items()}
