"""The last error of each breaker, as all processes of the host see it."""

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from .layout import ERROR_WORDS, WORD, Region

if TYPE_CHECKING:
    from .store import Store

_ERROR = Struct("=dqd")


class LastError(NamedTuple):
    """When (wall seconds), what, in which window of its breaker (`Record.window`), and when (monotonic)."""

    at: float
    what: str
    window: int = 0
    seen: float = 0.0


class LastErrors:
    """The last error of each breaker. Written without a lock: of two at a time one may be lost, or both."""

    _room = min(200, (ERROR_WORDS - 4) * WORD)

    def __init__(self, store: "Store", region: Region) -> None:
        self._store = store
        self._region = region

    def put(self, index: int, wall: float, what: str, window: int = 0, seen: float = 0.0) -> None:
        """Note the error of the `index`-th breaker, cut to 200 bytes."""
        text = what.encode()[: self._room].decode(errors="ignore").encode()
        at = self._region.of(index)
        self._store.times[at] = wall
        self._store.times[at + ERROR_WORDS - 2] = seen
        self._store.words[at + ERROR_WORDS - 1] = window
        self._store.words[at + 1] = len(text) << 32 | _checksum(text, wall, window, seen)
        self._store.bytes[(at + 2) * WORD : (at + 2) * WORD + len(text)] = text

    def get(self, index: int) -> LastError | None:
        at = self._region.of(index)
        length, checksum = self._store.words[at + 1] >> 32, self._store.words[at + 1] & 0xFFFFFFFF
        if not 0 < length <= self._room:
            return None
        text = bytes(self._store.bytes[(at + 2) * WORD : (at + 2) * WORD + length])
        window, seen = self._store.words[at + ERROR_WORDS - 1], self._store.times[at + ERROR_WORDS - 2]
        wall = self._store.times[at]
        if _checksum(text, wall, window, seen) != checksum:
            return None
        return LastError(wall, text.decode(), window, seen)


def _checksum(text: bytes, wall: float, window: int, seen: float) -> int:
    """Sum all parts, or those of two errors could be taken for one.

    Workers of the release before sum the text alone: beside them an error of the other kind counts as none.
    """
    return crc32(text, crc32(_ERROR.pack(wall, window, seen)))
