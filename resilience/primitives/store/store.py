"""The store: memory that holds the truth about breakers and what else a host's processes share.

`HostStore` is mapped by all processes of one user and namespace; `LocalStore` is the same in the memory
of one process, for where no host store can be had, and for breakers that nobody declared.
"""

import logging
import os
import re
import threading
import time
import weakref
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

from ..errors import StoreUnavailableError
from . import layout as at
from .counters import Counters
from .layout import FORMAT, HOST, LOCAL, SECRET_BYTES, WORD, Layout
from .lock import HostLock, Lock, ThreadLock
from .mapped import open_mapped
from .names import Names
from .pools import Pools
from .sections import Faults, LastErrors, Lease, Marks, StaticRows
from .slots import SlotLocks

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
    def votes(self) -> bool:
        """Whether this process counts calls and is refused."""
        return self._role == "server"

    @property
    def seats(self) -> int:
        """How many slots were ever used."""
        return int(self.words[at.SEATS])

    @abstractmethod
    def seat(self) -> int | None:
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
        """Make locks anew in a forked child, and give up what is its parent's."""
        self.counters.after_fork()
        self.pools.forget()
        self._detach_tenants()

    @cached_property
    def breaker_names(self) -> Names:
        return Names(self, self.layout.breaker_names)

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
    def static_rows(self) -> StaticRows:
        return StaticRows(self, self.layout.static_rows.at)


class LocalStore(Store):
    """The store of one process, in its own memory."""

    kind = "local"

    def __init__(self, layout: Layout = LOCAL, *, role: Role = "server") -> None:
        super().__init__(layout, role)
        self._use(memoryview(bytearray(layout.size)))
        self.words[at.SEATS] = 1
        self.bytes[at.SECRET * WORD : at.SECRET * WORD + SECRET_BYTES] = os.urandom(SECRET_BYTES)
        self.lock = ThreadLock()
        self.limits_lock = ThreadLock()

    def seat(self) -> int | None:
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


class HostStore(Store):
    """The store of a host, in a mapped file."""

    kind = "host"

    def __init__(self, directory: Path, namespace: str, *, role: Role, create: bool, layout: Layout = HOST):
        """Open it; raise `StoreUnavailableError` where it cannot be had, saying why."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", namespace):
            raise ValueError(
                f"NAMESPACE must be 1 to 64 letters, digits, - or _, not {namespace!r}: it names a file"
            )
        super().__init__(layout, role)
        self.path = directory / f"{namespace}-v{FORMAT}.store"
        self._create = create
        self._seat_lock = threading.Lock()
        # Guarded by _seat_lock.
        self._seat: int | None = None
        self._open()

    def _open(self) -> None:
        memory, self._inode = open_mapped(self.path, self.layout, create=self._create)
        self._use(memoryview(memory))
        self._locks = SlotLocks(self.path, self._inode)
        self.lock = HostLock(self.path.with_suffix(".lock"), self.times, at.HELD)
        self.limits_lock = HostLock(self.path.with_suffix(".limits-lock"), self.times, at.LIMITS_HELD)

    def seat(self) -> int | None:
        with self._seat_lock:
            if self._seat is None:
                self._seat = self._claim_locked()
            return self._seat

    def _claim_locked(self) -> int | None:
        """Claim a slot that was used before, the longest ago first, else the next; None if all live."""
        info, used = self.layout.slot_info, self.seats
        # Not needed to be right (the file locks see to that), but it spares a race for the same slot.
        taken = self.lock.take()
        try:
            free = sorted(range(used), key=lambda slot: self.times[info.of(slot)])
            candidates: list[int] = [*free, *range(used, self.layout.slots)]
            for slot in candidates:
                if self._locks.claim(slot):
                    self.words[at.SEATS] = max(self.words[at.SEATS], slot + 1)
                    self.times[info.of(slot)] = time.monotonic()
                    self.words[info.of(slot) + 1] = os.getpid()
                    self.words[info.of(slot) + 2] += 1
                    return slot
        finally:
            if taken is not None:
                self.lock.release()
        self.say_once(f"all {self.layout.slots} slots of {self.path} are taken: this process counts alone")
        return None

    def me(self) -> int | None:
        seat = self.seat()
        return None if seat is None else self._term(seat) * self.layout.slots + seat

    def alive(self, process: int) -> bool:
        slot = process % self.layout.slots
        # A slot that another one has taken since says nothing of the one that is meant.
        return self._term(slot) == process // self.layout.slots and self.occupied(slot)

    def occupied(self, slot: int) -> bool:
        return slot == self._seat or self._locks.taken(slot)

    def _term(self, slot: int) -> int:
        """Return how many processes have had this slot."""
        return int(self.words[self.layout.slot_info.of(slot) + 2])

    def refresh(self) -> None:
        """Move to the store that the path names now, if it is another one or gone."""
        with self._seat_lock:
            seat = self._seat
            if seat is not None and self.words[at.SEATS] <= seat:
                # Another process raised it at the same time, from a lower number.
                self.words[at.SEATS] = seat + 1
            if self._is_current():
                return
            old = self._locks
            try:
                self._open()
            except StoreUnavailableError as error:
                self.say_once(f"the store was taken away, and its memory is used on: {error}")
                return
            old.close()
            self._seat = None
        log.warning("the store at %s was replaced; this process has moved to the new one", self.path)
        self.breaker_names.forget()
        self.counters.forget()
        self.pools.forget()
        self._detach_tenants()

    def _is_current(self) -> bool:
        try:
            return self.path.stat(follow_symlinks=False).st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Give the slot back; the memory stays mapped while anybody looks into it."""
        with self._seat_lock:
            self._seat = None
            self._locks.close()

    def _after_fork(self) -> None:
        self._seat_lock = threading.Lock()
        self._seat = None
        self._locks.reopen()
        for lock in (self.lock, self.limits_lock):
            lock.forget()
        super()._after_fork()


def open_store(directory: Path, namespace: str, *, role: Role, create: bool) -> Store:
    """Open the host's store; where there is none to be had, say so once and return one of this process.

    Raise `StoreUnavailableError` only without `create`: who may not build one wants that of the servers.
    """
    try:
        return HostStore(directory, namespace, role=role, create=create)
    except StoreUnavailableError as error:
        if not create:
            raise
        store = LocalStore(role=role)
        store.say_once(f"no host store, so this process counts alone: {error}")
        return store


_stores: "weakref.WeakSet[Store]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
