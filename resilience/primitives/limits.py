"""Limits on how often something may happen, counted for the whole host without any server."""

import hashlib
from dataclasses import dataclass

from .clock import SYSTEM_CLOCK, Clock
from .store import layout
from .store.layout import WORD
from .store.store import Store

# An entry: the hash of its key, the start of its window (float), the counts of the last window and this one.
_HASH, _BEGAN, _BEFORE, _NOW = range(4)
# A key has eight possible places. If all are taken, it replaces the entry whose window began first.
_WAYS = 8


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a hit is allowed, if not the seconds until one is, and whether it was counted at all."""

    allowed: bool
    retry_after: float
    counted: bool


class Limits:
    """Count hits by key in a sliding window, for all processes of the host.

    There is a count for this window and one for the last; the last is weighted by the share of it that the
    sliding window still covers. So no span of `per` seconds holds many more hits than the limit. A refused
    hit is not counted. There is room for 65,536 keys on a host; a new one replaces an old one. Keys are
    hashed with a secret of the store. So nobody can choose a key to displace another, and nothing personal is
    kept.
    """

    def __init__(self, store: Store, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._store = store
        self._clock = clock

    def hit(self, key: str, limit: int, per: float) -> Decision:
        """Count one hit of `key`, of which `limit` are allowed in any `per` seconds.

        If it cannot be counted within 50 ms, it is allowed, and `counted` is False.
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
            # Empty until all is in place: a process that dies in between leaves nobody the hits of another.
            words[at + _HASH] = 0
            times[at + _BEGAN] = now
            words[at + _BEFORE] = words[at + _NOW] = 0
            words[at + _HASH] = hashed
        passed = int((now - times[at + _BEGAN]) / per)
        if passed:
            words[at + _BEFORE] = words[at + _NOW] if passed == 1 else 0
            # Before the count: a process that dies in between forgets no hit.
            times[at + _BEGAN] += passed * per
            words[at + _NOW] = 0
        before, hits = words[at + _BEFORE], words[at + _NOW]
        into = now - times[at + _BEGAN]
        if hits + before * (1 - into / per) + 1 > limit:
            return Decision(False, self._wait(before, hits, limit, per, into), counted=True)
        words[at + _NOW] = hits + 1
        return Decision(True, 0.0, counted=True)

    @staticmethod
    def _wait(before: int, hits: int, limit: int, per: float, into: float) -> float:
        """Return the seconds until one more hit is allowed."""
        if limit < 1:
            return per
        if hits + 1 <= limit:
            # As soon as the sliding window covers little enough of the last window.
            return per * (1 - (limit - hits - 1) / before) - into
        # Only when this window has become the last one.
        return per - into + per * (1 - (limit - 1) / hits)

    def _place_locked(self, hashed: int) -> int:
        """Return the place of the key's entry, or of the entry that it replaces."""
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
