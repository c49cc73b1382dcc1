"""A value of many words that all processes read without a lock, and few write.

Note [How a value is read whole]
One word names the version in force; the value itself lies in one of four copies, which the version
chooses. A writer fills the next copy and names the version last, so one that dies in between has changed
nothing. A reader takes the copy that is named and checks its version and its sum.

Note [A version that goes back]
A process that was stopped between its last look at the lock and its write cannot be fenced off by any
look. So a version is the time at which its writer took the lock (microseconds, at least one more than
the last): what comes late is always lower than what was written while its writer slept. And it lies in
another copy: two copies are for those who took the lock in its even generations, two for the odd ones.
Everybody ignores a version lower than one it has seen, and puts back what it has seen; and who holds the
lock looks at all four copies for the newest, before it writes.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar
from zlib import crc32

from .layout import COPIES, WORD
from .lock import LONGEST_WAIT

if TYPE_CHECKING:
    from .store import Store

T = TypeVar("T")


class Versioned(Generic[T]):
    """A value at word `at` of the store, in copies of `stride` words each.

    `encode` turns it into what JSON can carry, `decode` back; `initial` is what it is before any write.
    """

    def __init__(
        self,
        store: "Store",
        at: int,
        stride: int,
        initial: T,
        *,
        encode: Callable[[T], object],
        decode: Callable[..., T],
    ) -> None:
        self._store = store
        self._at = at
        self._stride = stride
        self._encode = encode
        self._decode = decode
        # One tuple, so that a thread sees the two together.
        self._seen: tuple[int, T] = (0, initial)

    @property
    def version(self) -> int:
        """The version that this process has seen last."""
        return self._seen[0]

    def move(self, store: "Store", at: int) -> None:
        """Look into another store, or elsewhere, and bring along what was seen."""
        self._store = store
        self._at = at

    def read(self) -> T:
        """Return the newest value."""
        version, value = self._seen
        if self._store.words[self._at] == version:
            return value
        return self._catch_up()

    def update(self, change: Callable[[T], T | None], *, longest_wait: float = LONGEST_WAIT) -> T | None:
        """Write what `change` makes of the newest value; return it once it counts, else None.

        None when `change` says so, when the lock could not be had within `longest_wait` seconds, and
        when it was lost meanwhile. Raise `ValueError` when the value has no room.
        """
        lock = self._store.lock
        taken = lock.take(longest_wait)
        if taken is None:
            return None
        try:
            self._adopt_newest()
            value = change(self._seen[1])
            if value is None:
                return None
            version = self._next_version(taken)
            payload = self._payload(value)
            if not lock.valid():
                return None
            self._write(version, payload)
            if not lock.valid():
                # It does not count, so it is taken back; others may have built on it meanwhile.
                self._store.words[self._copy(version)] = -1
                self._adopt_newest()
                return None
            self._seen = (version, value)
            if self._store.words[self._at] != version:
                # Another one was late.
                self._adopt_newest()
            return value
        finally:
            lock.release()

    def put_locked(self, value: T, taken: float) -> None:
        """Write a value in place of whatever is there, for who holds the lock since it was `taken`."""
        self._adopt_newest()
        version = self._next_version(taken)
        self._write(version, self._payload(value))
        self._seen = (version, value)

    def _next_version(self, taken: float) -> int:
        """See Note [A version that goes back]; never one that lies in the copy that is in force."""
        seen = self._seen[0]
        first = self._store.lock.generation % 2 * 2
        copy = first + (seen % COPIES == first)
        version = max(seen + 1, int(taken * 1e6))
        return version + (copy - version) % COPIES

    def _catch_up(self) -> T:
        seen, value = self._seen
        version = self._store.words[self._at]
        while version > seen:
            found = self._parse(version)
            if found is not None:
                self._seen = found
                return found[1]
            # Its copy may have been written over while it was read: then another version is in force by now.
            before, version = version, self._store.words[self._at]
            if version == before:
                break
        if version != seen:
            # Older than what was seen, or not to be read at all.
            self._put_right()
            return self._seen[1]
        return value

    def _put_right(self) -> None:
        """See Note [A version that goes back]; with no lock to be had the next reader tries again."""
        self._look_at_all()
        lock = self._store.lock
        if lock.take(0) is None:
            return
        try:
            self._adopt_newest()
        finally:
            lock.release()

    def _adopt_newest(self) -> None:
        """Put the newest value that can be read, or was seen, in force."""
        # Before the copies: what is named while they are looked at is newer than they are.
        named = self._store.words[self._at]
        self._look_at_all()
        while named != self._seen[0]:
            named, value = self._seen
            if named and self._parse(named) is not None:
                self._store.words[self._at] = named
            elif self._store.lock.valid():
                # Not by who has lost the lock: others may be writing there.
                self._write(named, self._payload(value))
            # Once more: while the lock was lost others may have named a newer one.
            self._look_at_all()

    def _look_at_all(self) -> None:
        for copy in range(COPIES):
            stamp = self._store.words[self._copy(copy)]
            if stamp > self._seen[0]:
                self._seen = self._parse(stamp) or self._seen

    def _copy(self, version: int) -> int:
        return self._at + 1 + version % COPIES * self._stride

    def _parse(self, version: int) -> tuple[int, T] | None:
        """Read one version whole, or not at all."""
        words, at = self._store.words, self._copy(version)
        if words[at] != version:
            return None
        length, checksum = words[at + 1] >> 32, words[at + 1] & 0xFFFFFFFF
        if not 0 <= length <= (self._stride - 2) * WORD:
            return None
        payload = bytes(self._store.bytes[(at + 2) * WORD : (at + 2) * WORD + length])
        if words[at] != version or crc32(payload) != checksum:
            return None
        return version, self._decode(json.loads(payload))

    def _payload(self, value: T) -> bytes:
        payload = json.dumps(self._encode(value), ensure_ascii=False, separators=(",", ":")).encode(
            errors="replace"
        )
        room = (self._stride - 2) * WORD
        if len(payload) > room:
            raise ValueError(f"{len(payload)} bytes do not fit into the {room} of this record of the store")
        return payload

    def _write(self, version: int, payload: bytes) -> None:
        # See Note [How a value is read whole].
        words, at = self._store.words, self._copy(version)
        words[at] = -1
        words[at + 1] = len(payload) << 32 | crc32(payload)
        start = (at + 2) * WORD
        self._store.bytes[start : start + len(payload)] = payload
        words[at] = version
        words[self._at] = version
