"""How full the bulkheads are, in all processes of the host."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .layout import GAUGE_WORDS
from .names import Names
from .users import PoolUsers

if TYPE_CHECKING:
    from .store import Store


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """Calls that run and wait, how many may run at once, and refusals since the store was built."""

    in_use: int = 0
    waiting: int = 0
    limit: int = 0
    rejected: int = 0


class Pools:
    """Each process writes its own gauges; the sum is over those that live, of refusals over all."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._users = PoolUsers(store)
        self._names = Names(store, store.layout.pool_names, self._users)
        # By pool: its place, where this process writes, and how many refusals its slot had before; None as
        # long as the place is not surely this pool's.
        self._places: dict[str, tuple[int, int, int | None]] = {}

    def forget(self) -> None:
        """Look everything up again: the store is another one, or the process a forked child."""
        self._names.forget()
        self._places = {}

    def put(self, name: str, *, in_use: int, waiting: int, limit: int, rejected: int) -> bool:
        """Write this process's gauges of one pool; False when there is no slot, room or lock for them.

        `rejected` is how many calls this process has refused since it began.
        """
        found = self._places.get(name) or self._place(name)
        if found is None:
            return False
        (place, at, before), words = found, self._store.words
        words[at], words[at + 1], words[at + 2] = in_use, waiting, limit
        # See Note [How a name is given back].
        if not self._names.holds(place, name, used=before is not None):
            words[at] = words[at + 1] = words[at + 2] = 0
            del self._places[name]
            return False
        if before is None:
            # Only now: what the last pool of this place has left there is cleared by now.
            before = words[at + 3]
            self._places[name] = place, at, before
        words[at + 3] = before + rejected
        return True

    def slot_taken(self, slot: int) -> None:
        """Begin in a slot that another process may have had."""
        self._users.leave_all(slot)

    def totals(self) -> dict[str, Gauge]:
        """Return the sums over the host, by pool."""
        places = {place: name for place, name in enumerate(self._names.all()) if name}
        sums = {name: [0, 0, 0, 0] for name in places.values()}
        region = self._store.layout.gauges
        for slot in range(self._store.used_slots):
            living = self._store.occupied(slot)
            for place, name in places.items():
                at = region.of(slot) + place * GAUGE_WORDS
                row = self._store.words[at : at + GAUGE_WORDS].tolist()
                for part in range(GAUGE_WORDS):
                    if living or part == 3:
                        sums[name][part] += row[part]
        return {
            name: Gauge(in_use=total[0], waiting=total[1], limit=total[2], rejected=total[3])
            for name, total in sums.items()
        }

    def _place(self, name: str) -> tuple[int, int, int | None] | None:
        slot, index = self._store.slot(), self._names.index(name)
        if slot is None or index is None:
            self._store.say_once("bulkheads are not all shown: the store has no room, or is busy")
            return None
        at = self._store.layout.gauges.of(slot) + index * GAUGE_WORDS
        self._places[name] = index, at, None
        return self._places[name]
