"""What a host's processes tell each other beside the breakers: small typed values, one each."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from .layout import ERROR_WORDS, LARGE_COPY, SMALL_COPY, WORD, Region
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store

# A lease that was not renewed for so long is void, in seconds.
LEASE_LASTS = 2.0
_ERROR = Struct("=dqd")


class Holder(NamedTuple):
    """Who holds the lease (`Store.me`), in which epoch, and when it was renewed (monotonic seconds)."""

    epoch: int
    process: int
    renewed: float


class Lease:
    """The steward's lease: at most one process of the host holds it."""

    def __init__(self, store: "Store", at: int) -> None:
        self._store = store
        self._value = Versioned(
            store, at, SMALL_COPY, Holder(0, -1, 0.0), encode=tuple, decode=lambda value: Holder(*value)
        )

    def holder(self, now: float) -> Holder | None:
        """Return who holds it; None once it was not renewed for 2 s, or its holder is dead."""
        holder = self._value.read()
        held = (
            holder.process >= 0 and now - holder.renewed < LEASE_LASTS and self._store.alive(holder.process)
        )
        return holder if held else None

    def take(self, now: float) -> int | None:
        """Take or renew it; return the epoch, which rises with each new holder, or None if it is not ours."""
        me = self._store.me()
        if me is None:
            return None

        def taken(last: Holder) -> Holder | None:
            holder = self.holder(now)
            if holder is None:
                return Holder(last.epoch + 1, me, now)
            return Holder(last.epoch, me, now) if holder.process == me else None

        holder = self._value.update(taken)
        return None if holder is None else holder.epoch

    def release(self, epoch: int) -> None:
        """Give it up, if it is still that of `epoch`."""
        self._value.update(lambda last: Holder(epoch, -1, 0.0) if last.epoch == epoch else None)


class Mark(NamedTuple):
    """The catalogue version and the number of removals, as the host knows them; both only rise."""

    version: int = 0
    removals: int = 0


class Marks:
    """The host's copy of what the database counts: any write, and what was taken out of sight."""

    def __init__(self, store: "Store", at: int) -> None:
        self._value = Versioned(
            store, at, SMALL_COPY, Mark(), encode=tuple, decode=lambda value: Mark(*value)
        )

    def read(self) -> Mark:
        return self._value.read()

    def rise(self, *, version: int = 0, removals: int = 0) -> bool:
        """Raise what is lower; False when the lock could not be had, so that it has to be tried again."""

        def risen(last: Mark) -> Mark:
            return Mark(max(last.version, version), max(last.removals, removals))

        last = self.read()
        return risen(last) == last or self._value.update(risen) is not None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done to calls of a dependency on purpose: to a `share` of them, until `until` (monotonic).

    A drill renews it until `ends`, so that it is soon over when the drill was killed.
    """

    kind: str
    until: float
    share: float = 1.0
    seconds: float = 0.0
    who: str = ""
    ends: float = 0.0

    def left(self, now: float) -> float:
        """Return for how many seconds it is meant to go on."""
        return max(0.0, (self.ends or self.until) - now)


class Faults:
    """The faults that drills inject, by dependency. Each ends by itself."""

    def __init__(self, store: "Store", at: int) -> None:
        self._value: Versioned[dict[str, Fault]] = Versioned(
            store,
            at,
            LARGE_COPY,
            {},
            encode=lambda faults: {name: asdict(fault) for name, fault in faults.items()},
            decode=lambda value: {name: Fault(**fault) for name, fault in value.items()},
        )

    def active(self, now: float) -> dict[str, Fault]:
        """Return the faults that have not ended."""
        faults = self._value.read()
        return {name: fault for name, fault in faults.items() if now < fault.until} if faults else faults

    def get(self, name: str, now: float) -> Fault | None:
        """Return the fault of one dependency, if there is one that has not ended."""
        fault = self._value.read().get(name)
        return fault if fault is not None and now < fault.until else None

    def put(self, name: str, fault: Fault, now: float) -> bool:
        """Begin or replace a fault; False when the lock could not be had."""
        return self._value.update(lambda _: {**self.active(now), name: fault}) is not None

    def end(self, name: str | None = None) -> bool:
        """End the fault of one dependency, or all; False when the lock could not be had."""
        return (
            self._value.update(
                lambda faults: {other: fault for other, fault in faults.items() if name not in (None, other)}
            )
            is not None
        )


class Latest:
    """When each of a few things was met last, in monotonic seconds: any process tells all others."""

    def __init__(self, store: "Store", at: int) -> None:
        self._value: Versioned[dict[str, float]] = Versioned(
            store, at, LARGE_COPY, {}, encode=lambda value: value, decode=lambda value: value
        )

    def latest(self, name: str) -> float:
        """Return when it was met last; 0 when it never was."""
        return self._value.read().get(name, 0.0)

    def note(self, name: str, at: float) -> bool:
        """Note a later time; False when the lock could not be had."""

        def noted(last: dict[str, float]) -> dict[str, float]:
            return {**last, name: max(at, last.get(name, 0.0))}

        return self.latest(name) >= at or self._value.update(noted) is not None


class TableLock(NamedTuple):
    """Reads that waited in vain for one table: when (monotonic seconds), since when nobody else waits
    (0: everybody still does), and when a read last tried in spite of that."""

    waits: tuple[float, ...] = ()
    since: float = 0.0
    tried: float = 0.0


class TableLocks:
    """Tables that another client of a database has locked, by database and table."""

    def __init__(self, store: "Store", at: int) -> None:
        self._value: Versioned[dict[str, TableLock]] = Versioned(
            store,
            at,
            LARGE_COPY,
            {},
            encode=lambda locks: locks,
            decode=lambda value: {
                name: TableLock(tuple(waits), since, tried) for name, (waits, since, tried) in value.items()
            },
        )

    def read(self) -> dict[str, TableLock]:
        """Return what is known; costs next to nothing while nothing changes."""
        return self._value.read()

    def update(self, change: Callable[[dict[str, TableLock]], dict[str, TableLock] | None]) -> bool:
        """Write what `change` makes of it; False when it returned None, or the lock could not be had."""
        return self._value.update(change) is not None


class Folders:
    """What is wrong with the folders that a server writes, by name; "" for one that is well."""

    def __init__(self, store: "Store", at: int) -> None:
        self._value: Versioned[dict[str, str]] = Versioned(
            store, at, LARGE_COPY, {}, encode=lambda wrong: wrong, decode=lambda value: value
        )

    def read(self) -> dict[str, str]:
        """Return what was found last; a folder that was not tried yet is not in it."""
        return self._value.read()

    def write(self, wrong: dict[str, str]) -> bool:
        """Replace it, each text cut to 1,000 characters; False when the lock could not be had."""
        short = {name: why[:1000] for name, why in wrong.items()}
        return self._value.update(lambda _: short) is not None


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
