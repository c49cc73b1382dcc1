"""A count in one word of a store, raised by one process alone, from any of its threads and without a lock."""

from operator import length_hint

# Beyond every count.
_END = 2**62


class Tally:
    """The count at word `at`. Each `add` takes the next number of a range, which is one step, and stores it.

    Of two threads at once the first may store last; so `value` asks how many numbers are left, and
    `put_right` stores that.
    """

    __slots__ = ("_at", "_numbers", "_words")

    def __init__(self, words: "memoryview[int]", at: int) -> None:
        self._words = words
        self._at = at
        self._numbers = iter(range(words[at] + 1, _END))

    def add(self) -> None:
        self._words[self._at] = next(self._numbers)

    def value(self) -> int:
        """Return how much was counted, by whoever had the word before too."""
        return _END - 1 - length_hint(self._numbers)

    def put_right(self) -> int:
        """Store the value, and return it."""
        self._words[self._at] = value = self.value()
        return value
