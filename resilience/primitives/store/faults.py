"""The faults that drills inject into the calls of all processes of the host."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .layout import LARGE_COPY
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store


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
