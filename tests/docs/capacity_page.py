"""The example and the table of `docs/capacity.md`, made by the code that the checks use."""

from resilience.conf import capacity
from resilience.defaults import BULKHEADS
from resilience.primitives import BulkheadConfig
from tests.docs.blocks import ROOT
from tests.docs.settings_page import table

PAGE = ROOT / "docs" / "capacity.md"
# Below it stands what is made, up to the line of the end.
MARK = "<!-- Made by `make settings-page` from resilience/conf/capacity.py and the usual pools. -->\n"
END = "<!-- The end of what is made. -->\n"
WORKERS = (1, 2, 4, 8)
RESERVED = 3  # superuser_reserved_connections, as PostgreSQL comes
TAKEN = 100 - RESERVED  # its max_connections
POOLS = {name: BulkheadConfig(**size) for name, size in BULKHEADS.items()}


def made() -> str:
    """Return the page as it ought to be: what people wrote, and what is made in it."""
    before, _, rest = PAGE.read_text().partition(MARK)
    return f"{before}{MARK}\n{example()}\n{workers()}\n{END}{rest.partition(END)[2]}"


def example() -> str:
    """Return what the checks say of four workers and a server as it comes."""
    places = capacity.places(POOLS)
    wanted, fitting = capacity.connections(POOLS, 4), capacity.workers(POOLS, TAKEN)
    smaller = capacity.places(capacity.within_connections(POOLS, 4, TAKEN))
    return (
        f"**An example.** Four workers on one host, PostgreSQL as it comes, which takes {TAKEN} connections "
        f"beside those that it\nreserves. The usual pools have {places} places, so four workers open up to "
        f"4 × ({places} + {capacity.BESIDE}) = {wanted}. "  # noqa: RUF001
        "`check --database default`\nsays so (W051), and three remedies: "
        f"`max_connections = {wanted + RESERVED}`; or {fitting} workers; or smaller pools, of "
        f"{smaller} places a worker.\n"
    )


def workers() -> str:
    """Return what numbers of workers need with the usual pools."""
    heads = ("workers", "places", "waiting", "`WEB_THREADS` of each", "connections", "`max_connections`")
    places, threads = capacity.places(POOLS), capacity.threads(POOLS)
    rows = []
    for number in WORKERS:
        connections = capacity.connections(POOLS, number)
        waiting = number * (threads - 1 - places)
        rows.append((number, number * places, waiting, threads, connections, connections + RESERVED))
    return table(heads, [list(map(str, row)) for row in rows])
