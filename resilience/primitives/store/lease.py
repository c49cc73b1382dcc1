"""The steward's lease: at most one process of the host holds it."""

from typing import TYPE_CHECKING, NamedTuple

from .layout import SMALL_COPY
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store

# A lease that was not renewed for so long is void, in seconds.
LEASE_LASTS = 2.0


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
