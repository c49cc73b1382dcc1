"""Wait for another thread, and look meanwhile whether there still is something to wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from resilience.primitives.clock import SYSTEM_CLOCK, Clock

# Seconds after which a waiter looks again. The cause may lie in another process, which wakes nobody.
LOOKS_EVERY = 0.1

Look = Callable[[], None]


class Event(Protocol):
    """What can be waited for: `threading.Event`, say."""

    def wait(self, timeout: float) -> bool: ...


def wait(event: Event, seconds: float, look: Look | None = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Wait for the event, up to `seconds`. `look` is called ten times a second, and at the end.

    Raises what `look` raises: that ends the wait.
    """
    if look is None:
        event.wait(seconds)
        return
    left, ends = seconds, clock.monotonic() + seconds
    while left > 0.0 and not event.wait(min(left, LOOKS_EVERY)):
        look()
        left = ends - clock.monotonic()
    look()
