"""The mapped file, each access to which is a step of the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resilience.primitives.store import layout as at
from resilience.primitives.store.layout import COPIES, WORD, Layout, Region

if TYPE_CHECKING:
    from tests.interleaving.world import World


class Words:
    """Words of eight bytes, as integers or floats: read and written at one go each, as on the processor.

    Several at once are copied in two goes, between which another process may come.
    """

    def __init__(self, world: World, view: memoryview[Any]) -> None:
        self._world = world
        self._view = view
        self._words = memoryview(view.cast("B")).cast("q")

    def __getitem__(self, place: Any) -> Any:
        world = self._world
        if place.__class__ is slice:
            return self._row(place)
        if not world.scheduled:
            return self._view[place]
        world.arrive("read", place)
        value = self._view[place]
        world.observe(value)
        return value

    def __setitem__(self, place: int, value: float) -> None:
        world = self._world
        if not world.scheduled:
            self._view[place] = value
            return
        world.arrive("write", place, value)
        words = self._words
        changed = hash((place, words[place]))
        self._view[place] = value
        world.memory_state ^= changed ^ hash((place, words[place]))

    def _row(self, place: slice) -> Row:
        begin, end = place.start, place.stop
        middle = (begin + end + 1) // 2
        row = Row()
        for first, last in ((begin, middle), (middle, end)):
            if first < last:
                self._world.arrive("read", first, last)
                row += self._view[first:last].tolist()
                self._world.observe(tuple(row))
        return row


class Row(list[Any]):
    """Words that were copied."""

    def tolist(self) -> Row:
        return self


class Bytes:
    """The same memory in bytes; what is longer than a word is copied in two goes."""

    def __init__(self, world: World, view: memoryview[int]) -> None:
        self._world = world
        self._view = view
        self._words = view.cast("q")

    def __getitem__(self, place: Any) -> Any:
        if place.__class__ is not slice:
            self._world.arrive("read byte", place)
            value = self._view[place]
            self._world.observe(value)
            return value
        found = b""
        for first, last in _halves(place):
            self._world.arrive("read bytes", first, last)
            found += bytes(self._view[first:last])
            self._world.observe(found)
        return found

    def __setitem__(self, place: Any, value: Any) -> None:
        if place.__class__ is not slice:
            self._put(place, place + 1, bytes((value,)))
            return
        if len(value) != place.stop - place.start:
            raise ValueError("a mapped file does not grow")
        for first, last in _halves(place):
            self._put(first, last, value[first - place.start : last - place.start])

    def _put(self, first: int, last: int, value: bytes) -> None:
        world = self._world
        world.arrive("write bytes", first, value)
        words = range(first // WORD, -(-last // WORD))
        changed = 0
        for word in words:
            changed ^= hash((word, self._words[word]))
        self._view[first:last] = value
        for word in words:
            changed ^= hash((word, self._words[word]))
        world.memory_state ^= changed


def _halves(place: slice) -> list[tuple[int, int]]:
    begin, end = place.start, place.stop
    if end - begin <= WORD:
        return [(begin, end)] if begin < end else []
    # Where a word ends: within one nothing is torn.
    middle = -(-(begin + end) // 2 // WORD) * WORD
    return [(begin, middle), (middle, end)]


_HEADER = {at.USED_SLOTS: "used slots", at.HELD: "lock held since", at.LIMITS_HELD: "limits' lock held since"}


def place_name(layout: Layout, word: int) -> str:
    """Name a word as people think of it."""
    if word in _HEADER:
        return _HEADER[word]
    for name, region in vars(layout).items():
        if isinstance(region, Region) and region.at <= word < region.end:
            index, rest = divmod(word - region.at, region.stride)
            which = f"{name}[{index}]" if region.room > 1 else name
            if name in _VERSIONED:
                copy, rest_of_copy = divmod(rest - 1, (region.stride - 1) // COPIES)
                return f"{which}.version" if rest == 0 else f"{which}.copy{copy}[{rest_of_copy}]"
            return f"{which}[{rest}]"
    return f"header[{word}]"


_VERSIONED = frozenset(
    ("records", "lease", "marks", "faults", "table_locks", "silences", "lacks", "shed", "folders")
)
