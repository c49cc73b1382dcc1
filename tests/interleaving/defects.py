"""Defects planted in the store, one at a time: the search is worth as much as it finds of them."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from resilience.primitives.host_state import HostState
from resilience.primitives.limits import Limits
from resilience.primitives.store import last_errors
from resilience.primitives.store.counters import Counters
from resilience.primitives.store.host import HostStore
from resilience.primitives.store.lease import Lease
from resilience.primitives.store.lock import HostLock
from resilience.primitives.store.marks import Marks
from resilience.primitives.store.names import Names
from resilience.primitives.store.pools import Pools
from resilience.primitives.store.versioned import Versioned
from resilience.primitives.store.wrong_folders import Folders
from resilience.primitives.window import Window
from tests.interleaving.schedule import Bounds

TURNS, DEATHS, STOPS = Bounds(2), Bounds(1, deaths=1), Bounds(2, stops=1)


@dataclass(frozen=True)
class Defect:
    """In one function of the product a text is another one; a scenario must find it within some bounds."""

    name: str
    where: Any
    function: str
    right: str
    wrong: str
    scenario: str
    bounds: Bounds = TURNS

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Run the block with the defect in the product."""
        function = getattr(self.where, self.function)
        lines, line = inspect.getsourcelines(function)
        source = textwrap.dedent("".join(lines))
        if source.count(self.right) != 1:
            raise LookupError(f"{self.function} has {self.right!r} {source.count(self.right)} times")
        # On the same lines as in its file, which is what a report names.
        source = "\n" * (line - 1) + source.replace(self.right, self.wrong)
        made: dict[str, Any] = {}
        exec(compile(source, inspect.getfile(function), "exec"), function.__globals__, made)  # noqa: S102
        with patch.object(self.where, self.function, made[self.function]):
            yield


DEFECTS = (
    Defect(
        "the lock excludes nobody",
        HostLock,
        "_take_locked",
        "fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        "record",
    ),
    Defect(
        "a value is changed that was read before the lock was had",
        Versioned,
        "update",
        "    taken = lock.take(longest_wait)\n"
        "    if taken is None:\n"
        "        return None\n"
        "    try:\n"
        "        self._adopt_newest()\n",
        "    self._adopt_newest()\n"
        "    taken = lock.take(longest_wait)\n"
        "    if taken is None:\n"
        "        return None\n"
        "    try:\n",
        "record",
    ),
    Defect(
        "a version is named before it is written",
        Versioned,
        "_write",
        "words[at] = -1\n",
        "words[at] = words[self._at] = version\n",
        "record",
    ),
    Defect(
        "a version is written over the one in force",
        Versioned,
        "_next_version",
        "first + (seen % COPIES == first)",
        "seen % COPIES",
        "record",
        DEATHS,
    ),
    Defect(
        "a reader looks neither at the sum nor twice at the stamp",
        Versioned,
        "_parse",
        "if words[at] != version or crc32(payload) != checksum:",
        "if False:",
        "newcomer",
    ),
    Defect(
        "a reader takes an older version for the newest",
        Versioned,
        "_catch_up",
        "while version > seen:",
        "while version != seen:",
        "late",
        Bounds(3, stops=1),
    ),
    Defect(
        "whoever lost the lock counts what it wrote",
        Versioned,
        "update",
        "if not lock.valid():\n            # It",
        "if False:\n            # It",
        "record",
        STOPS,
    ),
    Defect(
        "whoever lost the lock writes where its successor does",
        Versioned,
        "_next_version",
        "self._store.lock.generation % 2 * 2",
        "0",
        "record",
        STOPS,
    ),
    Defect(
        "whoever has the lock looks at the version alone that is named",
        Versioned,
        "_look_at_all",
        "for copy in range(COPIES):",
        "for copy in [self._store.words[self._at] % COPIES]:",
        "record",
        Bounds(1, deaths=1, stops=1),
    ),
    Defect(
        "the lease is given by what was known before the lock",
        Lease,
        "take",
        "    def taken(last: Holder) -> Holder | None:\n        holder = self.holder(now)\n",
        "    holder = self.holder(now)\n\n    def taken(last: Holder) -> Holder | None:\n",
        "lease",
    ),
    Defect(
        "the database's word counts for rows that rose after it was asked, too",
        Marks,
        "correct",
        "if _of(last.rows, row) == _of(noted, row)",
        "if True",
        "marks",
    ),
    Defect(
        "a row is raised from what was known before the lock",
        Marks,
        "rise",
        "    def risen(last: _Known) -> _Known:\n",
        "    before = self._value.read()\n\n    def risen(_: _Known) -> _Known:\n        last = before\n",
        "marks",
    ),
    Defect(
        "a write is told that was not made",
        Folders,
        "write",
        "self._value.update(lambda _: short) is not None",
        "self._value.update(lambda _: short) != {}",
        "folders",
        STOPS,
    ),
    Defect(
        "a last error is summed by its text alone",
        last_errors,
        "_checksum",
        "crc32(text, crc32(_ERROR.pack(wall, window, seen)))",
        "crc32(text)",
        "last-errors",
    ),
    Defect(
        "a new name is not looked for again under the lock",
        Names,
        "_append_locked",
        "place = self._find(name)",
        "place = None",
        "counters",
    ),
    Defect(
        "a name is read without its sum",
        Names,
        "_read",
        "if crc32(encoded) == checksum else",
        "if True else",
        "counters-full",
    ),
    Defect(
        "a name that is given back is not marked",
        Names,
        "_give_back",
        "words[at] = head | _MARKED",
        "pass",
        "counters-full",
    ),
    Defect(
        "nobody looks for users once a name is marked",
        Names,
        "_give_back",
        "    if users.any(place):",
        "    if False:",
        "counters-full",
    ),
    Defect(
        "a mark stays when its process dies",
        Names,
        "_take_marks_away",
        "if self._is_marked(place):",
        "if False:",
        "counters-full",
        DEATHS,
    ),
    Defect(
        "a place is used before that is said",
        Counters,
        "place",
        "used = self._users.use(index, slot)\n        if self._names.holds(index, name, used=used):",
        "held = self._names.holds(index, name)\n        self._users.use(index, slot)\n        if held:",
        "counters-full",
    ),
    Defect(
        "all processes count in one row",
        Counters,
        "place",
        "counts.of(slot)",
        "counts.of(0)",
        "counters",
    ),
    Defect(
        "refusals are counted before the place is sure",
        Pools,
        "_place",
        "self._places[name] = index, at, None",
        "self._places[name] = index, at, self._store.words[at + 3]",
        "pools-full",
    ),
    Defect(
        "a slot is claimed without its lock",
        HostStore,
        "_claim_locked",
        "if self._locks.claim(slot):",
        "if True:",
        "slots",
    ),
    Defect(
        "a process has the number of the dead one whose slot it has",
        HostStore,
        "_claim_locked",
        "self.words[info.of(slot) + 2] += 1",
        "pass",
        "slots",
    ),
    Defect(
        "a limit's entry is the new key's before the old one's hits are gone",
        Limits,
        "_hit_locked",
        "words[at + _HASH] = 0",
        "words[at + _HASH] = hashed",
        "limits",
        DEATHS,
    ),
    Defect(
        "a limit's hits are forgotten before its window has moved on",
        Limits,
        "_hit_locked",
        "words[at + _BEFORE] = words[at + _NOW] if passed == 1 else 0\n",
        "words[at + _BEFORE] = words[at + _NOW] if passed == 1 else 0\n        words[at + _NOW] = 0\n",
        "limits",
        DEATHS,
    ),
    Defect(
        "a process looks at the others' failures before it tells its own",
        Window,
        "add_failure",
        "words[row + RUN] = run = words[row + RUN] + 1 if words[row + RUN_AT] == total else 1\n"
        "        words[row + RUN_AT] = total\n"
        "        # The others' are read only now: of two that fail at one instant the later one sees both.\n"
        "        trouble, unbroken = self._host_trouble(total)\n",
        "trouble, unbroken = self._host_trouble(total)\n"
        "        words[row + RUN] = run = words[row + RUN] + 1 if words[row + RUN_AT] == total else 1\n"
        "        words[row + RUN_AT] = total\n",
        "failures",
    ),
    Defect(
        "a record that was found in order is not looked at again",
        HostState,
        "current",
        " and self._words[self._at] == version",
        "",
        "orders",
    ),
    Defect(
        "an order is given to whatever breaker has the place",
        HostState,
        "change",
        "if self._holds() else None",
        "if True else None",
        "breakers-full",
    ),
)
