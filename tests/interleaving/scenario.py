"""What processes do to a part of the store, and what must hold whatever the order of their steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from resilience.primitives.store import Layout
from tests.interleaving.schedule import Bounds

if TYPE_CHECKING:
    from tests.interleaving.world import Process, World


class Scenario(ABC):
    """One part of the store. Nothing of a run may be kept in the scenario itself: it is run many times."""

    name: ClassVar[str]
    layout: ClassVar[Layout] = Layout(breakers=1, slots=4)
    short: ClassVar[Bounds] = Bounds(2)
    """What the short form of the search runs of it; all bounds of the long form lie in `__main__`."""

    def prepare(self, world: World) -> None:  # noqa: B027 - most begin with an empty store
        """Leave in the store what is there before each run."""

    @abstractmethod
    def body(self, process: Process) -> Callable[[], None]:
        """Return what a process does; what it needs for that is made here, before the first step."""

    @abstractmethod
    def verdict(self, world: World) -> None:
        """Claim what must hold of the notes and of the store, once all processes are at their end."""
