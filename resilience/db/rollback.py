"""Which block the rollback that is due belongs to, and whether somebody asked for it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from django.db.backends.base.base import BaseDatabaseWrapper

# Note [Which block a rollback belongs to]
# Blocks are counted from the outermost, which is 1; a section between `set_autocommit(False)` and `(True)` is
# 0. A failed `save()` can be undone by the nearest savepoint: the block that has it is rolled back. A lost
# connection takes all savepoints with it: the outermost is. `Atomic.__exit__` first takes its block off the
# stack and then, if no exception is on its way, asks for `needs_rollback`. Where it leaves the very block
# that the rollback belongs to, it is told "no", and goes on to COMMIT or RELEASE. There we raise
# `NotStoredError`, which it treats as any error of a COMMIT: it rolls back, and lets the error through.

if TYPE_CHECKING:

    class DjangosWrapper(BaseDatabaseWrapper):  # what its stubs leave out
        health_check_enabled: bool
        health_check_done: bool
        rollback_exc: BaseException | None
        Database: ModuleType

        def _commit(self) -> None: ...
        def _rollback(self) -> None: ...
        def _savepoint(self, sid: str) -> None: ...
        def _savepoint_rollback(self, sid: str) -> None: ...
        def _savepoint_commit(self, sid: str) -> None: ...
else:
    DjangosWrapper = BaseDatabaseWrapper


@dataclass(slots=True)
class DueRollback:
    """A rollback that is to come. See Note [Which block a rollback belongs to] on `block`."""

    block: int
    asked: bool = False  # by `set_rollback`: then the block ends in silence
    lost: bool = False  # nothing of the transaction is left


class DueRollbacks(DjangosWrapper):
    """Replace the flag `needs_rollback` of Django's wrapper by what it stands for."""

    _due: DueRollback | None = None
    _by_hand = False  # between set_autocommit(False) and set_autocommit(True)

    @property
    def needs_rollback(self) -> bool:
        due = self._due
        return due is not None and (due.asked or len(self.atomic_blocks) >= due.block)

    @needs_rollback.setter
    def needs_rollback(self, value: bool) -> None:
        if value:
            if self._due is None:
                self._due = DueRollback(self._nearest())
                self.rollback_exc = sys.exc_info()[1] or self.rollback_exc
        elif self._due is not None and len(self.atomic_blocks) < self._due.block:
            self._due = None  # Its block is being left. Within the block only `set_rollback` takes it back.

    def set_rollback(self, rollback: bool) -> None:
        """As Django's: what was asked for ends in silence. Nothing brings back what was lost."""
        super().set_rollback(rollback)
        if self._due is not None and self._due.block == self._nearest():
            self._due.asked = rollback
            if not (rollback or self._due.lost):
                self._due = None

    def _nearest(self) -> int:
        """Return the innermost block that has a savepoint to go back to, else the outermost."""
        for number in range(len(self.savepoint_ids), 0, -1):
            if self.savepoint_ids[number - 1] is not None:
                return min(number + self._outermost, len(self.atomic_blocks))
        return self._outermost

    @property
    def _outermost(self) -> int:
        return 0 if self._by_hand else 1

    @property
    def _lost(self) -> bool:
        return self._due is not None and self._due.lost

    def _lose(self) -> None:
        due = self._due
        asked = due is not None and due.asked and due.block == self._outermost
        self._due = DueRollback(self._outermost, asked=asked, lost=True)

    def _forget(self) -> None:
        self._due = None
        self.rollback_exc = None  # Its traceback would keep the whole request alive.
        self._logged = False
