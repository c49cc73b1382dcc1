"""A count that all threads of a process raise without a lock."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from resilience.primitives.tally import Tally


@pytest.fixture
def words() -> "memoryview[int]":
    return memoryview(bytearray(64)).cast("q")


class TestTally:
    def test_stores_each_count_at_once(self, words: "memoryview[int]") -> None:
        tally = Tally(words, 3)
        for _ in range(5):
            tally.add()
        assert list(words) == [0, 0, 0, 5, 0, 0, 0, 0]

    def test_goes_on_from_what_is_there(self, words: "memoryview[int]") -> None:
        words[3] = 41
        tally = Tally(words, 3)
        assert tally.value() == 41
        tally.add()
        assert (words[3], tally.value()) == (42, 42)

    def test_puts_right_what_a_thread_has_stored_too_late(self, words: "memoryview[int]") -> None:
        tally = Tally(words, 3)
        for _ in range(5):
            tally.add()
        words[3] = 4
        assert tally.put_right() == 5
        assert words[3] == 5

    def test_loses_nothing_of_many_threads(self, words: "memoryview[int]") -> None:
        tally = Tally(words, 3)

        def add(_: int) -> None:
            for _ in range(5_000):
                tally.add()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(8)))
        assert tally.put_right() == 40_000
