"""Which pools of the host have lately sent away requests, and how many in the last minute."""

from typing import TYPE_CHECKING, NamedTuple

from .layout import LARGE_COPY
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store

MINUTE = 60.0
# The least seconds between two notes of one pool, and between two samples of its count.
_NOTES, _SAMPLES = 1.0, 5.0
# The most pools that are remembered.
_MOST = 16


class ShedByPool(NamedTuple):
    """Of one pool: when it last sent away a read (0: never), and samples (when, count before) of a minute."""

    read: float = 0.0
    samples: tuple[tuple[float, int], ...] = ()


class Shed:
    """What pools sent away, in monotonic seconds: any process tells all others, once a second and pool."""

    def __init__(self, store: "Store", at: int) -> None:
        self._value: Versioned[dict[str, ShedByPool]] = Versioned(
            store,
            at,
            LARGE_COPY,
            {},
            encode=lambda value: value,
            decode=lambda value: {
                pool: ShedByPool(read, tuple((when, count) for when, count in samples))
                for pool, (read, samples) in value.items()
            },
        )

    def is_due(self, pool: str, now: float, *, read: bool) -> bool:
        """Tell whether a request that is sent away now has to be noted: most need not, since others were."""
        known = self._value.read().get(pool, ShedByPool())
        return (read and now - known.read >= _NOTES) or _wants_sample(known, now)

    def note(self, pool: str, now: float, count: int, *, read: bool) -> bool:
        """Note that `pool`, which has sent away `count` requests so far, sends away one more.

        False when the lock could not be had, or other pools fill the room.
        """

        def noted(last: dict[str, ShedByPool]) -> dict[str, ShedByPool] | None:
            kept = {name: one for name, one in last.items() if name == pool or _is_recent(one, now)}
            if pool not in kept and len(kept) >= _MOST:
                return None
            known = kept.get(pool, ShedByPool())
            samples = tuple(sample for sample in known.samples if now - sample[0] < MINUTE)
            if _wants_sample(known, now):
                samples += ((round(now, 3), count),)
            return {**kept, pool: ShedByPool(max(known.read, round(now, 3) if read else 0.0), samples)}

        return self._value.update(noted) is not None

    def reads(self) -> dict[str, float]:
        """Return when each pool last sent away a read."""
        return {pool: known.read for pool, known in self._value.read().items() if known.read}

    def counts_before(self, now: float) -> dict[str, int]:
        """Return the count of each pool a minute ago, if it has sent away anything since."""
        return {
            pool: min(counts)
            for pool, known in self._value.read().items()
            if (counts := [count for at, count in known.samples if now - at < MINUTE])
        }


def _wants_sample(known: ShedByPool, now: float) -> bool:
    return not known.samples or now - known.samples[-1][0] >= _SAMPLES


def _is_recent(known: ShedByPool, now: float) -> bool:
    return bool(known.samples) and now - known.samples[-1][0] < MINUTE
