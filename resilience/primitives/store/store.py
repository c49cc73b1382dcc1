"""The store: memory that holds the truth about breakers and what else a host's processes share.

`HostStore` (in `host`) is mapped by all processes of one user and namespace; `LocalStore` is the same in
the memory of one process, for where no host store can be had, and for breakers that nobody declared.
"""

import logging
import os
import weakref
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Literal, Protocol

from .counters import Counters
from .faults import Faults
from .last_errors import LastErrors
from .latest import Latest
from .layout import LOCAL, SECRET, SECRET_BYTES, USED_SLOTS, WORD, Layout
from .lease import Lease
from .lock import Lock, ThreadLock
from .marks import Marks
from .names import Names
from .pools import Pools
from .shed import Shed
from .table_locks import TableLocks
from .users import BreakerUsers
from .wrong_folders import Folders

Role = Literal["server", "command"]

log = logging.getLogger("resilience.store")


class Tenant(Protocol):
    """Who keeps addresses into the store's memory, and must give them up when the memory changes."""

    def detach(self) -> None: ...


class Store(ABC):
    """What both kinds have in common: memory as words, floats and bytes, a lock, and typed sections."""

    kind: Literal["host", "local"]
    words: "memoryview[int]"
    times: "memoryview[float]"
    bytes: "memoryview[int]"
    lock: Lock
    """Between all who write what is seldom written."""
    limits_lock: Lock
    why = ""
    """Why it is none of the host, where one was to be had."""

    def __init__(self, layout: Layout, role: Role) -> None:
        self.layout = layout
        self._role: Role = role
        self._tenants: list[weakref.ref[Tenant]] = []
        self._said: set[str] = set()
        _stores.add(self)

    def _use(self, memory: "memoryview[int]") -> None:
        self.bytes = memory
        self.words = memory.cast("q")
        self.times = memory.cast("d")

    @property
    def role(self) -> Role:
        return self._role

    @role.setter
    def role(self, role: Role) -> None:
        self._role = role
        self._detach_tenants()

    @property
    def is_server(self) -> bool:
        """Whether this process counts calls and is refused."""
        return self._role == "server"

    @property
    def used_slots(self) -> int:
        """How many slots were ever used."""
        return int(self.words[USED_SLOTS])

    @abstractmethod
    def slot(self) -> int | None:
        """Return this process's slot, which is claimed if need be; None when there is none to be had."""

    @abstractmethod
    def me(self) -> int | None:
        """Return a number that no other process of the store has or had; None without a slot."""

    @abstractmethod
    def alive(self, process: int) -> bool:
        """Say whether the process that has this number (`me`) lives."""

    @abstractmethod
    def occupied(self, slot: int) -> bool:
        """Say whether any process lives in `slot`."""

    @abstractmethod
    def close(self) -> None:
        """Give back what would keep others waiting."""

    @abstractmethod
    def refresh(self) -> None:
        """Look whether the store is still the one that others use; asked about once a second."""

    def add_tenant(self, tenant: Tenant) -> None:
        """Tell `tenant` when addresses that it keeps are void."""
        self._tenants.append(weakref.ref(tenant))

    def say_once(self, message: str) -> None:
        """Log a warning the first time."""
        if message not in self._said:
            self._said.add(message)
            log.warning("%s", message)

    def _detach_tenants(self) -> None:
        for reference in list(self._tenants):
            if (tenant := reference()) is not None:
                tenant.detach()

    def _after_fork(self) -> None:
        """Make new locks in a forked child, and give up what is its parent's."""
        self.counters.after_fork()
        self.pools.forget()
        self._detach_tenants()

    @cached_property
    def breaker_names(self) -> Names:
        return Names(self, self.layout.breaker_names, BreakerUsers(self))

    @cached_property
    def last_errors(self) -> LastErrors:
        return LastErrors(self, self.layout.last_errors)

    @cached_property
    def counters(self) -> Counters:
        return Counters(self)

    @cached_property
    def pools(self) -> Pools:
        return Pools(self)

    @cached_property
    def lease(self) -> Lease:
        return Lease(self, self.layout.lease.at)

    @cached_property
    def marks(self) -> Marks:
        return Marks(self, self.layout.marks.at)

    @cached_property
    def faults(self) -> Faults:
        return Faults(self, self.layout.faults.at)

    @cached_property
    def silences(self) -> Latest:
        """When a call began that found a kept connection silent, by dependency."""
        return Latest(self, self.layout.silences.at)

    @cached_property
    def lacks(self) -> Latest:
        """When a process of the host last lacked descriptors, memory and the like."""
        return Latest(self, self.layout.lacks.at)

    @cached_property
    def shed(self) -> Shed:
        return Shed(self, self.layout.shed.at)

    @cached_property
    def folders(self) -> Folders:
        return Folders(self, self.layout.folders.at)

    @cached_property
    def table_locks(self) -> TableLocks:
        return TableLocks(self, self.layout.table_locks.at)


class LocalStore(Store):
    """The store of one process, in its own memory."""

    kind = "local"

    def __init__(self, layout: Layout = LOCAL, *, role: Role = "server") -> None:
        super().__init__(layout, role)
        self._use(memoryview(bytearray(layout.size)))
        self.words[USED_SLOTS] = 1
        self.bytes[SECRET * WORD : SECRET * WORD + SECRET_BYTES] = os.urandom(SECRET_BYTES)
        self.lock = ThreadLock()
        self.limits_lock = ThreadLock()

    def slot(self) -> int | None:
        return 0

    def me(self) -> int | None:
        return 0

    def alive(self, process: int) -> bool:
        return process == 0

    def occupied(self, slot: int) -> bool:
        return slot == 0

    def close(self) -> None:
        """Nobody waits for it."""

    def refresh(self) -> None:
        """There is no other."""

    def _after_fork(self) -> None:
        self.lock.forget()
        self.limits_lock.forget()
        super()._after_fork()


_stores: "weakref.WeakSet[Store]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
