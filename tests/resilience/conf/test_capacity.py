"""Sizes that are proposed fit, and leave each pool a place."""

import pytest

from resilience import defaults
from resilience.conf import capacity
from resilience.primitives import BulkheadConfig

POOLS = {name: BulkheadConfig(**size) for name, size in defaults.BULKHEADS.items()}
NEEDED = capacity.threads(POOLS)
PLACES = capacity.places(POOLS)


class TestWithinThreads:
    @pytest.mark.parametrize("threads", range(len(POOLS) + 1, NEEDED + 3))
    def test_fits_and_keeps_a_place_for_each(self, threads: int) -> None:
        sizes = capacity.within_threads(POOLS, threads)
        assert list(sizes) == list(POOLS)
        assert all(pool.running >= 1 and pool.waiting >= 0 for pool in sizes.values())
        assert min(threads, NEEDED) - 2 * len(POOLS) <= capacity.threads(sizes) <= threads

    def test_keeps_the_proportions(self) -> None:
        pools = {
            "read": BulkheadConfig(running=20, waiting=50),
            "write": BulkheadConfig(running=4, waiting=4),
        }
        assert capacity.in_words(capacity.within_threads(pools, 40)) == "read 10 + 25, write 2 + 2"

    def test_of_too_few_is_nothing(self) -> None:
        assert capacity.within_threads(POOLS, len(POOLS)) == {}

    def test_keeps_how_long_is_waited(self) -> None:
        sizes = capacity.within_threads(POOLS, len(POOLS) + 4)
        assert {name: pool.max_wait for name, pool in sizes.items()} == {
            name: pool.max_wait for name, pool in POOLS.items()
        }


class TestWithinConnections:
    @pytest.mark.parametrize("workers", [1, 2, 8])
    @pytest.mark.parametrize("each", range(len(POOLS) + capacity.BESIDE, PLACES + capacity.BESIDE + 2))
    def test_fits_and_keeps_all_threads_at_work(self, workers: int, each: int) -> None:
        sizes = capacity.within_connections(POOLS, workers, workers * each)
        assert list(sizes) == list(POOLS)
        assert all(pool.running >= 1 for pool in sizes.values())
        assert capacity.connections(sizes, workers) <= workers * each
        assert capacity.threads(sizes) == NEEDED

    def test_of_too_few_is_nothing(self) -> None:
        assert capacity.within_connections(POOLS, 10, 10 * (len(POOLS) + capacity.BESIDE) - 1) == {}


def test_as_many_workers_are_proposed_as_fit() -> None:
    fitting = capacity.workers(POOLS, 500)
    assert capacity.connections(POOLS, fitting) <= 500 < capacity.connections(POOLS, fitting + 1)
