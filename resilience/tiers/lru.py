"""A bounded memory of one process. A flood of things that are asked for once cannot empty it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

# The share of the room for things that were asked for at least twice. The rest is for the others.
_PROTECTED = 0.8


class LRU(Generic[T]):
    """Hold the things used last, up to `limit` bytes: a segmented LRU (Karedla, Love and Wherry, 1994).

    A new thing starts on probation and is protected once it is asked for again. One larger than an eighth of
    the room is not taken.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        # Guarded by _lock.
        self._probation: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._protected: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._sizes = [0, 0]  # of both segments, in bytes

    def get(self, key: Hashable) -> T | None:
        """Return the value under the key, or None; this counts as a use."""
        found = self._protected.get(key)
        if found is None and key not in self._probation:
            return None  # Most misses need no lock.
        with self._lock:
            if key in self._protected:
                self._protected.move_to_end(key)
                return self._protected[key][0]
            if key not in self._probation:
                return None
            value, size = self._probation.pop(key)
            self._sizes[0] -= size
            self._protected[key] = value, size
            self._sizes[1] += size
            while self._sizes[1] > self._limit * _PROTECTED:
                old, (other, taken) = self._protected.popitem(last=False)
                self._sizes[1] -= taken
                self._probation[old] = other, taken
                self._sizes[0] += taken
            return value

    def put(self, key: Hashable, value: T, size: int) -> None:
        """Hold a value of `size` bytes under the key, instead of an earlier one."""
        with self._lock:
            protected = key in self._protected
            self._drop_locked(key)
            if size > self._limit // 8:
                return
            (self._protected if protected else self._probation)[key] = value, size
            self._sizes[protected] += size
            while sum(self._sizes) > self._limit:
                segment = 0 if self._probation else 1
                _, (_, taken) = (self._probation, self._protected)[segment].popitem(last=False)
                self._sizes[segment] -= taken

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._probation.clear()
            self._protected.clear()
            self._sizes = [0, 0]

    def _drop_locked(self, key: Hashable) -> None:
        for segment, held in enumerate((self._probation, self._protected)):
            if key in held:
                self._sizes[segment] -= held.pop(key)[1]
