"""The table of `docs/capacity.md`, made by the code that the checks use."""

from resilience.conf import capacity
from resilience.defaults import BULKHEADS
from resilience.primitives import BulkheadConfig
from tests.docs.blocks import ROOT
from tests.docs.settings_page import table

PAGE = ROOT / "docs" / "capacity.md"
# The table stands between this line and the next empty one.
MARK = "<!-- Made by `make settings-page` from resilience/conf/capacity.py and the usual pools. -->\n"
WORKERS = (1, 2, 4, 8)
RESERVED = 3  # superuser_reserved_connections, as PostgreSQL comes


def made() -> str:
    """Return the page as it ought to be: what people wrote, and the table in it."""
    before, _, rest = PAGE.read_text().partition(MARK)
    return before + MARK + workers() + rest.partition("\n\n")[2]


def workers() -> str:
    """Return what numbers of workers need with the usual pools, and an empty line."""
    pools = {name: BulkheadConfig(**size) for name, size in BULKHEADS.items()}
    heads = ("workers", "places", "waiting", "`WEB_THREADS` of each", "connections", "`max_connections`")
    places, threads = capacity.places(pools), capacity.threads(pools)
    rows = []
    for number in WORKERS:
        connections = capacity.connections(pools, number)
        waiting = number * (threads - 1 - places)
        rows.append((number, number * places, waiting, threads, connections, connections + RESERVED))
    return table(heads, [list(map(str, row)) for row in rows])
