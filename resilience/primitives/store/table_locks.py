"""Tables that another client of a database has locked, as all processes of the host know them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .layout import LARGE_COPY
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store


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
