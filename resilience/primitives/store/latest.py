"""When something was last met by any process of the host."""

from typing import TYPE_CHECKING

from .layout import LARGE_COPY
from .versioned import Versioned

if TYPE_CHECKING:
    from .store import Store

# The name under which it is noted that a silence of `name` is suspected, and not yet known.
SUSPECTED = "{name}?"


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
