"""A list of names that only grows: which breaker, counter or pool is the n-th."""

from typing import TYPE_CHECKING
from zlib import crc32

from .layout import NAME_WORDS, WORD, Region

if TYPE_CHECKING:
    from .store import Store

_LONGEST = (NAME_WORDS - 1) * WORD


class Names:
    """Names of up to 120 bytes; the first entry of the region holds how many there are."""

    def __init__(self, store: "Store", region: Region) -> None:
        self._store = store
        self._region = region
        # None: there is no room for it.
        self._known: dict[str, int | None] = {}

    def forget(self) -> None:
        """Look everything up anew: the store is another one."""
        self._known = {}

    def index(self, name: str) -> int | None:
        """Return the place of `name`, which is made if need be; None when there is no room or no lock."""
        if name in self._known:
            return self._known[name]
        if self._find(name) is None and not self._append(name):
            return None
        return self._find(name)

    def all(self) -> list[str]:
        """Return the names in the order in which they came; one that cannot be read is empty."""
        used = self._store.words[self._region.at]
        return [self._read(place) for place in range(max(0, min(used, self._region.room - 1)))]

    def _find(self, name: str) -> int | None:
        for place, found in enumerate(self.all()):
            if found == name:
                self._known[name] = place
                return place
        return None

    def _append(self, name: str) -> bool:
        encoded = name.encode()
        if len(encoded) > _LONGEST:
            raise ValueError(
                f"the name {name!r} is longer than the {_LONGEST} bytes that the store has for it"
            )
        lock, words, region = self._store.lock, self._store.words, self._region
        if lock.take() is None:
            return False
        try:
            if self._find(name) is not None:
                return True
            used = max(0, words[region.at])
            if used >= region.room - 1:
                self._known[name] = None
                return False
            if not lock.valid():
                return False
            at = region.of(used + 1)
            words[at] = len(encoded) << 32 | crc32(encoded)
            self._store.bytes[(at + 1) * WORD : (at + 1) * WORD + len(encoded)] = encoded
            words[region.at] = used + 1
            return lock.valid()
        finally:
            lock.release()

    def _read(self, place: int) -> str:
        at = self._region.of(place + 1)
        length, checksum = self._store.words[at] >> 32, self._store.words[at] & 0xFFFFFFFF
        if not 0 <= length <= _LONGEST:
            return ""
        encoded = bytes(self._store.bytes[(at + 1) * WORD : (at + 1) * WORD + length])
        return encoded.decode() if crc32(encoded) == checksum else ""
