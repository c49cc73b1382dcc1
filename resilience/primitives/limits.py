"""How often something may happen, counted for the whole host, whatever else is down."""

import hashlib
from dataclasses import dataclass

from .clock import SYSTEM_CLOCK, Clock
from .store import layout
from .store.layout import WORD
from .store.store import Store

# An entry: the hash of its key, when its window began (float), and the counts of the window before and this.
_HASH, _BEGAN, _BEFORE, _NOW = range(4)
# A key has eight places that it may take; in them the one that was touched the longest ago gives way.
_WAYS = 8


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may happen, else in how many seconds to ask again; and whether it was counted at all."""

    allowed: bool
    retry_after: float
    counted: bool


class Limits:
    """Count hits by key in a sliding window, of all processes of the host.

    The window slides as two counts do: the one before is weighted by how much of it the window still
    covers, so that no stretch of `per` seconds holds many more hits than the limit. A refused hit is not
    counted. There is room for 65,536 keys on a host; the one untouched the longest gives way. Keys are
    hashed with a secret of the store, so nobody can aim at another's place, and nothing personal is kept.
    """

    def __init__(self, store: Store, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._store = store
        self._clock = clock

    def hit(self, key: str, limit: int, per: float) -> Decision:
        """Count one hit of `key`, of which `limit` are allowed in any `per` seconds.

        Where it cannot be counted within 50 ms, it is allowed, and `counted` says so.
        """
        lock = self._store.limits_lock
        if lock.take() is None:
            return Decision(allowed=True, retry_after=0.0, counted=False)
        try:
            return self._hit_locked(self._hashed(f"{limit}/{per}/{key}"), limit, per)
        finally:
            lock.release()

    def _hit_locked(self, hashed: int, limit: int, per: float) -> Decision:
        words, times, now = self._store.words, self._store.times, self._clock.monotonic()
        at = self._place_locked(hashed)
        if words[at + _HASH] != hashed:
            words[at + _HASH] = hashed
            times[at + _BEGAN] = now
            words[at + _BEFORE] = words[at + _NOW] = 0
        passed = int((now - times[at + _BEGAN]) / per)
        if passed:
            words[at + _BEFORE] = words[at + _NOW] if passed == 1 else 0
            words[at + _NOW] = 0
            times[at + _BEGAN] += passed * per
        before, hits = words[at + _BEFORE], words[at + _NOW]
        into = now - times[at + _BEGAN]
        if hits + before * (1 - into / per) + 1 > limit:
            return Decision(False, self._wait(before, hits, limit, per, into), counted=True)
        words[at + _NOW] = hits + 1
        return Decision(True, 0.0, counted=True)

    @staticmethod
    def _wait(before: int, hits: int, limit: int, per: float, into: float) -> float:
        """Return in how many seconds one more hit fits."""
        if limit < 1:
            return per
        if hits + 1 <= limit:
            # As soon as enough of the window before is out of sight.
            return per * (1 - (limit - hits - 1) / before) - into
        # Only when this window has become the one before.
        return per - into + per * (1 - (limit - 1) / hits)

    def _place_locked(self, hashed: int) -> int:
        """Return the key's entry, or the one that gives way to it."""
        region, words, times = self._store.layout.limit_entries, self._store.words, self._store.times
        first = hashed % (region.room // _WAYS) * _WAYS
        entries = [region.of(first + way) for way in range(_WAYS)]
        for at in entries:
            if words[at + _HASH] == hashed:
                return at
        return min(entries, key=lambda at: times[at + _BEGAN] if words[at + _HASH] else 0.0)

    def _hashed(self, key: str) -> int:
        secret = bytes(self._store.bytes[layout.SECRET * WORD : layout.SECRET * WORD + layout.SECRET_BYTES])
        digest = hashlib.blake2b(key.encode(), key=secret, digest_size=8).digest()
        # Within 62 bits and never 0, which marks an empty entry.
        return (int.from_bytes(digest, "little") >> 2) + 1
