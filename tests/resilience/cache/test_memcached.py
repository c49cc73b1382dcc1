"""Values of memcached: bytes and numbers, and no pickle, whatever the server says."""

import pickle

import pytest

from resilience.cache.memcached import Serde


class TestSerde:
    @pytest.mark.parametrize("value", [b"", b"[1]", b"7", 7, -7, 2**63])
    def test_gives_back_what_it_was_given(self, value: bytes | int) -> None:
        stored, flags = Serde().serialize("k", value)

        assert type(stored) is bytes
        assert Serde().deserialize("k", stored, flags) == value

    def test_reads_what_the_server_has_counted_with(self) -> None:
        """A smaller number keeps its length, with blanks at its end."""
        assert Serde().deserialize("k", b"9 ", Serde().serialize("k", 10)[1]) == 9

    @pytest.mark.parametrize("flags", range(8))
    def test_unpickles_nothing(self, flags: int) -> None:
        pickled = pickle.dumps([1])

        assert Serde().deserialize("k", pickled, flags) == pickled

    def test_takes_no_endless_number(self) -> None:
        assert Serde().deserialize("k", b"9" * 5000, 1) == b"9" * 5000
