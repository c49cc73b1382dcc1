"""Keep track of a rollback that is due: to which block it belongs, and whether the program asked for it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from django.db.backends.base.base import BaseDatabaseWrapper

# Note [Which block a rollback belongs to]
# Blocks are numbered from the outermost, which is 1. A section begun by `set_autocommit(False)` is
# number 0. A failed `save()` can be undone by the nearest savepoint, so the block with that savepoint is
# rolled back. A lost connection takes all savepoints with it, so the outermost block is rolled back.
#
# `Atomic.__exit__` first takes its block off the stack. Then, if there is no exception, it reads
# `needs_rollback`. When it leaves the block to which the rollback belongs, it reads False, and goes on to
# COMMIT or RELEASE. There we raise `NotStoredError`. Django treats it like any error of a COMMIT: it rolls
# back, and lets the error through.

if TYPE_CHECKING:

    class DjangosWrapper(BaseDatabaseWrapper):  # with what Django's type stubs leave out
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
    """A rollback that is due at the end of `block`. See Note [Which block a rollback belongs to]."""

    block: int
    asked: bool = False  # the program called `set_rollback`: the block then ends without an error
    lost: bool = False  # the database has already rolled back the whole transaction


class DueRollbacks(DjangosWrapper):
    """Mix in before Django's wrapper: keep a `DueRollback` in place of its flag `needs_rollback`."""

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
            self._due = None  # Its block is being left. Within the block only `set_rollback` cancels it.

    def set_rollback(self, rollback: bool) -> None:
        """As Django's: after True the block is rolled back without an error. False cannot undo a loss."""
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
