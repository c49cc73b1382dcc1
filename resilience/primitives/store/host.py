"""The store of a host: a mapped file, a lock beside it, and a slot for this process."""

import logging
import os
import re
import threading
import time
from pathlib import Path

from ..errors import StoreUnavailableError
from .layout import FORMAT, HELD, HOST, LIMITS_HELD, USED_SLOTS, Layout
from .lock import HostLock, try_locks
from .mapped import open_mapped
from .slots import SlotLocks
from .store import LocalStore, Role, Store

log = logging.getLogger("resilience.store")


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
        self._slot_lock = threading.Lock()
        # Set under _slot_lock alone; read without it.
        self._slot: int | None = None
        self._open()

    def _open(self) -> None:
        memory, self._inode = open_mapped(self.path, self.layout, create=self._create)
        try_locks(self.path)
        self._use(memoryview(memory))
        self._locks = SlotLocks(self.path, self._inode)
        self.lock = HostLock(self.path.with_suffix(".lock"), self.times, HELD)
        self.limits_lock = HostLock(self.path.with_suffix(".limits-lock"), self.times, LIMITS_HELD)

    def slot(self) -> int | None:
        # Each count asks for it: without a lock, which threads would wait for in line.
        if (slot := self._slot) is not None:
            return slot
        with self._slot_lock:
            if self._slot is None:
                self._slot = self._claim_locked()
            return self._slot

    def _claim_locked(self) -> int | None:
        """Claim a slot that was used before, the longest ago first, else the next; None if all live."""
        info, used = self.layout.slot_info, self.used_slots
        # Not needed to be right (the file locks see to that), but it spares a race for the same slot.
        taken = self.lock.take()
        try:
            free = sorted(range(used), key=lambda slot: self.times[info.of(slot)])
            candidates: list[int] = [*free, *range(used, self.layout.slots)]
            for slot in candidates:
                if self._locks.claim(slot):
                    self.words[USED_SLOTS] = max(self.words[USED_SLOTS], slot + 1)
                    self.times[info.of(slot)] = time.monotonic()
                    self.words[info.of(slot) + 1] = os.getpid()
                    self.words[info.of(slot) + 2] += 1
                    self.counters.slot_taken(slot)
                    self.pools.slot_taken(slot)
                    return slot
        finally:
            if taken is not None:
                self.lock.release()
        self.say_once(f"all {self.layout.slots} slots of {self.path} are taken: this process counts alone")
        return None

    def me(self) -> int | None:
        slot = self.slot()
        return None if slot is None else self._term(slot) * self.layout.slots + slot

    def alive(self, process: int) -> bool:
        slot = process % self.layout.slots
        # A slot that another one has taken since says nothing of the one that is meant.
        return self._term(slot) == process // self.layout.slots and self.occupied(slot)

    def occupied(self, slot: int) -> bool:
        return slot == self._slot or self._locks.taken(slot)

    def _term(self, slot: int) -> int:
        """Return how many processes have had this slot."""
        return int(self.words[self.layout.slot_info.of(slot) + 2])

    def refresh(self) -> None:
        """Move to the store that the path names now, if it is another one or gone."""
        slot = self._slot
        if slot is not None and self.words[USED_SLOTS] <= slot:
            # Another process raised it at the same time, from a lower number.
            self.words[USED_SLOTS] = slot + 1
        # Looked for without the lock: the look lets other threads run, and they would all wait for this one.
        if self._is_current():
            return
        with self._slot_lock:
            if self._is_current():
                return  # another thread was first
            # No thread may take its number in the old store for one in the new.
            old, slot, self._slot = self._locks, self._slot, None
            try:
                self._open()
            except StoreUnavailableError as error:
                self._slot = slot
                self.say_once(f"the store was taken away, and its memory is used on: {error}")
                return
            old.close()
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
        with self._slot_lock:
            self._slot = None
            self._locks.close()

    def _after_fork(self) -> None:
        self._slot_lock = threading.Lock()
        self._slot = None
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
        store.why = str(error)
        store.say_once(f"no host store, so this process counts alone: {error}")
        return store
