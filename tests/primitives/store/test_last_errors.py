"""The last error of each breaker: whole, or none."""

import pytest

from resilience.primitives import HostStore


class TestLastErrors:
    @pytest.mark.parametrize("part", [0, 1, 2, 30, 31])
    def test_two_that_were_written_at_a_time_are_not_taken_for_one(self, one: HostStore, part: int) -> None:
        at = one.layout.last_errors.of(0)
        one.last_errors.put(0, 1.0, "first", 1, 1.0)
        first = one.words[at + part]
        one.last_errors.put(0, 2.0, "other", 2, 2.0)
        one.words[at + part] = first
        assert one.last_errors.get(0) is None

    def test_are_kept_for_each_breaker(self, one: HostStore, two: HostStore) -> None:
        assert one.last_errors.get(0) is None
        one.last_errors.put(0, 1_700.0, "OperationalError 57P01")
        one.last_errors.put(1, 1_800.0, "TimeoutError", window=7, seen=9.5)
        assert two.last_errors.get(0) == (1_700.0, "OperationalError 57P01", 0, 0.0)
        assert two.last_errors.get(1) == (1_800.0, "TimeoutError", 7, 9.5)

    def test_are_cut_to_200_bytes_at_a_whole_character(self, one: HostStore) -> None:
        one.last_errors.put(0, 1.0, "x" + "\u6587" * 100)
        found = one.last_errors.get(0)
        assert found is not None
        assert found.what == "x" + "\u6587" * 66

    @pytest.mark.parametrize("damage", [-1, 201 << 32, 5 << 32, 0])
    def test_that_cannot_be_read_are_none(self, one: HostStore, damage: int) -> None:
        one.last_errors.put(0, 1.0, "error")
        one.words[one.layout.last_errors.of(0) + 1] = damage
        assert one.last_errors.get(0) is None
