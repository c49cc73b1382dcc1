"""What processes do to a part of the store, and what must hold whatever the order of their steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from resilience.primitives.store import Layout

if TYPE_CHECKING:
    from tests.interleaving.world import Process, World


class Scenario(ABC):
    """One part of the store. Nothing of a run may be kept in the scenario itself: it is run many times."""

    name: ClassVar[str]
    layout: ClassVar[Layout] = Layout(breakers=1, slots=4)
    deaths: ClassVar[bool] = True
    """Whether the claims are also made of runs in which a process dies."""

    def prepare(self, world: World) -> None:  # noqa: B027 - most need nothing
        """Leave in the store what is there before each run."""

    @abstractmethod
    def body(self, process: Process) -> Callable[[], None]:
        """Return what a process does; what it needs for that is made here, before the first step."""

    @abstractmethod
    def verdict(self, world: World) -> None:
        """Claim what must hold of the notes and of the store, once all processes are at their end."""
