"""A count in one word of a store. Only one process raises it, from any of its threads, without a lock."""

from operator import length_hint

# Larger than any count.
_END = 2**62


class Tally:
    """The count at word `at`. Each `add` takes the next number of a range, in one step, and stores it.

    Two threads at once may store their numbers in the wrong order. So `value` goes by the numbers that are
    left in the range, and `put_right` stores that.
    """

    __slots__ = ("_at", "_numbers", "_words")

    def __init__(self, words: "memoryview[int]", at: int) -> None:
        self._words = words
        self._at = at
        self._numbers = iter(range(words[at] + 1, _END))

    def add(self) -> None:
        self._words[self._at] = next(self._numbers)

    def value(self) -> int:
        """Return the count, with that of earlier owners of the word."""
        return _END - 1 - length_hint(self._numbers)

    def put_right(self) -> int:
        """Store the value, and return it."""
        self._words[self._at] = value = self.value()
        return value
