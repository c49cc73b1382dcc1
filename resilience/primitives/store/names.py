"""Lists of names: which breaker, counter or pool is the n-th.

Note [How a name is given back]
A list has room for so many names. When it is full, a new name takes the place of one that no living process
uses: of those, the one that is missed the least (see `users`). Nothing else takes a name away, so a name that
is known needs no lock. Who gives one back holds the store's lock, and

1. marks the name, so that nobody finds it;
2. asks again whether a living process uses it, and if so takes the mark away;
3. clears what lies at the place;
4. writes the new name.

Who wants to use a place says so there *first*, and then looks whether it still has the name (`holds`): either
the look finds the mark or another name, or step 2 finds the user. Who has found the name there before need
not mind a mark: step 2 finds it. A process that dies in between leaves a mark, which the next look at all
names takes away. One that was stopped in between, and comes back after its lock was replaced, may yet take a
name from its user, or write over it; who uses a place of a breaker looks once a second.
"""

import time
from typing import TYPE_CHECKING
from zlib import crc32

from .layout import NAME_WORDS, WORD, Region

if TYPE_CHECKING:
    from .store import Store
    from .users import Users

_LONGEST = (NAME_WORDS - 1) * WORD
# In the word of length and checksum: no name has such a length, so it cannot be read.
_MARKED = 1 << 62
# A name that found no room is not looked for again for so long, in seconds.
_PAUSE = 1.0


class Names:
    """Names of up to 120 bytes; the first entry of the region holds how many there are."""

    def __init__(self, store: "Store", region: Region, users: "Users") -> None:
        self._store = store
        self._region = region
        self._users = users
        self._known: dict[str, int] = {}
        # Names without a place, and when to look again (monotonic seconds).
        self._without: dict[str, float] = {}

    def forget(self) -> None:
        """Look everything up again: the store is another one."""
        self._known = {}
        self._without = {}

    def index(self, name: str) -> int | None:
        """Return the place of `name`, which is made if need be; None when there is no room or no lock.

        Say at the place that it is used, and then ask whether it `holds` the name.
        """
        known = self._known.get(name)
        if known is not None and self.holds(known, name):
            return known
        if self._without.get(name, 0.0) > time.monotonic():
            return None
        place = self._find(name)
        if place is None:
            place = self._append(name)
        if place is not None:
            self._known[name] = place
        return place

    def holds(self, place: int, name: str, *, used: bool = False) -> bool:
        """Say whether the place is still that of `name`.

        A mark is passed over for who has `used` it since it was asked before: step 2 finds that.
        """
        head = self._store.words[self._region.of(place + 1)]
        return bool((head & ~_MARKED if used else head) == _head(name.encode()))

    def all(self) -> list[str]:
        """Return the names by their places; one that cannot be read, or is being given back, is empty."""
        if any(self._is_marked(place) for place in range(self._used())):
            lock = self._store.lock
            # Who marked it holds the lock, or is dead.
            if lock.take(0) is not None:
                try:
                    self._take_marks_away()
                finally:
                    lock.release()
        return [self._read(place) for place in range(self._used())]

    def _used(self) -> int:
        return max(0, min(self._store.words[self._region.at], self._region.room - 1))

    def _find(self, name: str) -> int | None:
        for place, found in enumerate(self.all()):
            if found == name:
                return place
        return None

    def _append(self, name: str) -> int | None:
        encoded = name.encode()
        if len(encoded) > _LONGEST:
            raise ValueError(
                f"the name {name!r} is longer than the {_LONGEST} bytes that the store has for it"
            )
        lock = self._store.lock
        taken = lock.take()
        if taken is None:
            return None
        try:
            return self._append_locked(name, encoded, taken)
        finally:
            lock.release()

    def _append_locked(self, name: str, encoded: bytes, taken: float) -> int | None:
        lock, words = self._store.lock, self._store.words
        self._take_marks_away()
        place = self._find(name)
        if place is not None:
            return place
        if not lock.valid():
            return None
        used = self._used()
        if used < self._region.room - 1:
            place = used
        else:
            place = self._give_back(taken)
            if place is None:
                self._without[name] = time.monotonic() + _PAUSE
            if place is None or not lock.valid():
                return None
        at = self._region.of(place + 1)
        self._store.bytes[(at + 1) * WORD : (at + 1) * WORD + len(encoded)] = encoded
        words[at] = _head(encoded)
        if place == self._used():
            words[self._region.at] = place + 1
        if lock.valid():
            return place
        # Others may have given the name a place meanwhile: it must not have two.
        if words[at] == _head(encoded):
            words[at] = 0
        return None

    def _give_back(self, taken: float) -> int | None:
        """See Note [How a name is given back]; the lock is held."""
        words, users, lock = self._store.words, self._users, self._store.lock
        unused = [place for place in range(self._used()) if not users.any(place)]
        for place in sorted(unused, key=users.missed):
            at = self._region.of(place + 1)
            head = words[at]
            if not lock.valid():
                return None
            words[at] = head | _MARKED
            if users.any(place):
                words[at] = head
            elif lock.valid():
                users.clear(place, taken)
                return place
        return None

    def _take_marks_away(self) -> None:
        """Give names back to their places that a process left marked when it died; the lock is held."""
        for place in range(self._used()):
            if self._is_marked(place):
                self._store.words[self._region.of(place + 1)] &= ~_MARKED

    def _is_marked(self, place: int) -> bool:
        head = self._store.words[self._region.of(place + 1)]
        return head > 0 and head & _MARKED != 0

    def _read(self, place: int) -> str:
        at = self._region.of(place + 1)
        length, checksum = self._store.words[at] >> 32, self._store.words[at] & 0xFFFFFFFF
        if not 0 <= length <= _LONGEST:
            return ""
        encoded = bytes(self._store.bytes[(at + 1) * WORD : (at + 1) * WORD + length])
        return encoded.decode() if crc32(encoded) == checksum else ""


def _head(encoded: bytes) -> int:
    """Return what the first word of an entry says: length and checksum."""
    return len(encoded) << 32 | crc32(encoded)
