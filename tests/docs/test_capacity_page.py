"""`docs/capacity.md` has the numbers that the checks compute."""

from resilience.conf import capacity
from resilience.defaults import BULKHEADS
from resilience.primitives import BulkheadConfig
from tests.docs import capacity_page

POOLS = {name: BulkheadConfig(**size) for name, size in BULKHEADS.items()}


def test_the_table_is_the_one_that_the_code_makes() -> None:
    assert capacity_page.made() == capacity_page.PAGE.read_text(), "run `make settings-page`"


def test_the_example_is_computed_as_the_check_does() -> None:
    said = capacity_page.PAGE.read_text()
    places, wanted = capacity.places(POOLS), capacity.connections(POOLS, 4)
    assert f"({places} + {capacity.BESIDE}) = {wanted} connections" in said
    assert f"`max_connections = {wanted + capacity_page.RESERVED}`" in said
    assert capacity.workers(POOLS, 97) == 2
    smaller = capacity.within_connections(POOLS, 4, 97)
    assert f"for example {capacity.places(smaller)} places a worker" in said
