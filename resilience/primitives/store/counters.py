"""Counts since the store was built, of whatever has a name: calls, transitions, answers."""

import threading
from typing import TYPE_CHECKING

from .names import Names
from .users import CounterUsers

if TYPE_CHECKING:
    from .store import Store


class Counters:
    """Each process counts in its own slot, and reads the sum of all: no count ever goes back."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._users = CounterUsers(store)
        self._names = Names(store, store.layout.counter_names, self._users)
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Look everything up again: the store is another one."""
        self._names.forget()

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def add(self, *labels: str, amount: int = 1) -> bool:
        """Count `amount` under labels such as ("transitions", "database", "CLOSED", "OPEN").

        False when it could not be counted: no slot, no room for the name, or no lock for a new one.
        Raise `ValueError` for a label with a `|`, which parts them.
        """
        at = self.place(*labels)
        if at is not None:
            self.add_at(at, amount)
        return at is not None

    def place(self, *labels: str) -> int | None:
        """Return where this process counts under these labels, for `add_at`; None and errors as for `add`."""
        name = _joined(labels)
        slot, index = self._store.slot(), self._names.index(name)
        if slot is not None and index is not None:
            # See Note [How a name is given back].
            used = self._users.use(index, slot)
            if self._names.holds(index, name, used=used):
                return self._store.layout.counts.of(slot) + index
            self._users.leave(index, slot)
        self._store.say_once(f"{labels[0]} are not all counted: the store has no room, or is busy")
        return None

    def slot_taken(self, slot: int) -> None:
        """Begin in a slot that another process may have had."""
        self._users.leave_all(slot)

    def add_at(self, at: int, amount: int = 1) -> None:
        """Count at a place; it is void after a fork, and once the store was replaced."""
        with self._lock:
            self._store.words[at] += amount

    def totals(self) -> dict[tuple[str, ...], int]:
        """Return the sums over all processes of the host, living or not, by their labels."""
        words, region = self._store.words, self._store.layout.counts
        names = self._names.all()
        sums = [0] * len(names)
        for slot in range(self._store.used_slots):
            row = words[region.of(slot) : region.of(slot) + len(names)].tolist()
            sums = [total + one for total, one in zip(sums, row, strict=True)]
        return {tuple(name.split("|")): total for name, total in zip(names, sums, strict=True) if name}


def _joined(labels: tuple[str, ...]) -> str:
    if any("|" in label for label in labels):
        raise ValueError(f"labels must not hold a |, which parts them: {labels}")
    return "|".join(labels)
