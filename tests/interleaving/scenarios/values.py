"""The small values that a host's processes tell each other: lease, marks, faults, folders and their like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resilience.primitives.store import Fault, Mark, TableLock
from resilience.primitives.store.lease import LEASE_LASTS
from tests.interleaving.scenario import Scenario
from tests.interleaving.schedule import Bounds
from tests.interleaving.world import Process, World


class LeaseHeld(Scenario):
    """Processes take the lease, renew it, give it up and take it again."""

    name = "lease"
    short = Bounds(1)

    def body(self, process: Process) -> Callable[[], None]:
        process.store.slot()
        lease = process.store.lease

        def takes() -> int | None:
            now = process.now()
            epoch = lease.take(now)
            if epoch is not None:
                process.says("holds", epoch, now, process.now())
            return epoch

        def holds_and_gives_up() -> None:
            takes()
            process.wait(1.5)
            epoch = takes()
            if epoch is not None:
                process.says("gives up")
                lease.release(epoch)

        def takes_twice() -> None:
            takes()
            process.wait(1.0)
            takes()

        return takes_twice if process.index else holds_and_gives_up

    def verdict(self, world: World) -> None:
        holder, until, last = -1, 0.0, 0
        of: dict[int, int] = {}
        for who, what, *more in world.log:
            if what in ("dies", "gives up") and who == holder:
                holder = -1
            elif what == "holds":
                epoch, now, had = more
                world.claim("an epoch is one holder's", of.setdefault(epoch, who) == who, epoch, world.log)
                # Who waited for the lock asks by a clock of before, and may come after one who died before
                # saying so: that one had found the last lease over.
                skipped = world.deaths > 0 and epoch > last + 1
                over = now >= until or (skipped and had >= until)
                last = max(last, epoch)
                # Who was stopped meanwhile, and comes back when its lease is over, is no holder.
                if had - now < LEASE_LASTS:
                    alone = holder in (-1, who) or over
                    world.claim("one holds the lease at a time", alone, who, holder)
                    world.claim("epochs rise", epoch == last, epoch, last)
                    holder, until = who, now + LEASE_LASTS
        newcomer = world.newcomer()
        world.kernel.now += LEASE_LASTS + 1
        epoch = newcomer.lease.take(world.kernel.now)
        world.claim("the lease is had again", epoch is not None and epoch > last, last)


class MarksRise(Scenario):
    """Processes store in the database's rows, tell the host of it, and take the database's word for all rows.

    What is stored in which row stands in the log: the database has no steps of its own.
    """

    name = "marks"
    short = Bounds(1)

    def body(self, process: Process) -> Callable[[], None]:
        marks, own = process.store.marks, 2 + process.index

        def writes(row: int) -> None:
            value = _stored(process.world).get(row, 0) + 1
            process.says("stored", row, value)
            if process.until(lambda: marks.rise(row, version=value)):
                process.says("told", row, value)

        def asks() -> None:
            noted = marks.rows()
            told = _stored(process.world)
            process.says("asked", *sorted(told.items()))
            marks.correct(noted, {row: Mark(value) for row, value in told.items()})

        def looks() -> None:
            process.says("looks")
            process.says("saw", *((row, mark.version) for row, mark in sorted(marks.rows().items())))

        def stewards() -> None:
            asks()
            looks()
            writes(1)
            asks()
            looks()

        def writer() -> None:
            writes(own)
            looks()
            writes(1)
            looks()

        return writer if process.index else stewards

    def verdict(self, world: World) -> None:
        told: dict[int, int] = {}
        before: dict[int, dict[int, int]] = {}
        seen: dict[int, dict[int, int]] = {}
        for who, what, *more in world.log:
            if what == "looks":
                before[who] = dict(told)
            elif what == "told":
                told[more[0]] = max(told.get(more[0], 0), more[1])
            elif what == "saw":
                rows = dict(more)
                if not world.replaced:
                    world.claim("what was told is seen from then on", _reaches(rows, before[who]), rows)
                    world.claim("no row falls that the database has", _reaches(rows, seen.get(who, {})), rows)
                seen[who] = rows
        stored = _stored(world)
        for process in world.living():
            world.enter(process)
            rows = {row: mark.version for row, mark in process.store.marks.rows().items()}
            world.claim("nobody knows what was not stored", _reaches(stored, rows), rows, stored)
        last = world.newcomer().marks
        if not world.replaced:
            # Else one may have told what it read of another one that wrote too late.
            rows = {row: mark.version for row, mark in last.rows().items()}
            world.claim("no update that was told is lost", _reaches(rows, told), rows, told)
        lost = {row: Mark(value - 1) for row, value in stored.items() if value > 1}
        # Twice, as the first may find what somebody who died had begun to tell.
        corrected = [last.correct(last.rows(), lost) for _ in range(2)]
        world.claim("what a failover lost is forgotten", all(corrected))
        world.claim("what a failover lost is forgotten", last.rows() == lost, last.rows(), lost)


def _stored(world: World) -> dict[int, int]:
    """Return what the database has stored by now, by row: it only rises."""
    return {more[0]: more[1] for _, what, *more in world.log if what == "stored"}


def _reaches(rows: dict[int, int], others: dict[int, int]) -> bool:
    return all(rows.get(row, 0) >= value for row, value in others.items())


class Shared(Scenario):
    """A value in which each process has something of its own."""

    def puts(self, process: Process, name: str) -> bool:
        raise NotImplementedError

    def names(self, process: Process) -> Any:
        raise NotImplementedError

    def body(self, process: Process) -> Callable[[], None]:
        def put(name: str) -> bool:
            done = self.puts(process, name)
            if done:
                process.says("told", name)
            return done

        def body() -> None:
            for number in range(2):
                name = f"{process.letter}{number}"
                process.until(put, name)
            process.says("saw", *sorted(self.names(process)))

        return body

    def verdict(self, world: World) -> None:
        told: set[Any] = set()
        for who, what, *more in world.log:
            if what == "told":
                told.add(more[0])
            elif what == "saw":
                own = {name for name in told if name[0] == "abc"[who]}
                world.claim("one sees what one has told", own <= set(more), own, more)
        for process in world.living():
            self.names(world.enter(process))
        last = Process(world, 2)
        last.store = world.newcomer()
        self.puts(last, "end")
        for process in [*world.living(), last]:
            names = set(self.names(world.enter(process)))
            world.claim("no update that was told is lost", told <= names, told, names)


class FaultsPut(Shared):
    name = "faults"

    def puts(self, process: Process, name: str) -> bool:
        now = process.now()
        return process.store.faults.put(name, Fault(kind="latency", until=now + 900), now)

    def names(self, process: Process) -> Any:
        return process.store.faults.active(process.now())


class LatestNoted(Shared):
    """`silences` and `lacks` are one thing at two places."""

    name = "latest"
    short = Bounds(1)

    def puts(self, process: Process, name: str) -> bool:
        return process.store.silences.note(name, process.now())

    def names(self, process: Process) -> Any:
        silences = process.store.silences
        return [name for name in ("a0", "a1", "b0", "b1", "c0", "c1") if silences.latest(name)]


class TableLocksMet(Shared):
    name = "table-locks"

    def puts(self, process: Process, name: str) -> bool:
        now = process.now()
        return process.store.table_locks.update(lambda last: {**last, name: TableLock((now,), now, now)})

    def names(self, process: Process) -> Any:
        return process.store.table_locks.read()


class FoldersWritten(Scenario):
    """What was found of the folders is replaced as a whole."""

    name = "folders"

    def body(self, process: Process) -> Callable[[], None]:
        folders = process.store.folders

        def writes(why: str) -> bool:
            done = folders.write({"journal": why, "copies": why})
            if done:
                process.says("told", why)
            return done

        def looks() -> None:
            process.says("looks")
            found = folders.read()
            process.says("saw", *sorted(set(found.values())))

        def body() -> None:
            for number in range(2):
                process.until(writes, f"{process.letter}{number}")
                looks()

        return body

    def verdict(self, world: World) -> None:
        last: Any = None
        before: dict[int, Any] = {}
        for who, what, *more in world.log:
            if what == "looks":
                before[who] = last
            elif what == "saw":
                world.claim("nobody sees a mixture", len(more) <= 1, more)
                # Where a lock was replaced, who could not write three times may look before anybody has.
                unwritten = bool(world.replaced) and before[who] is None
                world.claim(
                    "nothing is seen only where nothing was told", bool(more) or unwritten, before[who]
                )
            last = more[0] if what == "told" else last
        for process in [*world.living(), *world.living()]:
            world.enter(process)
            process.store.folders.read()
        final = set(world.newcomer().folders.read().values())
        world.claim("nobody sees a mixture", len(final) <= 1, final)
        if not world.deaths and not world.replaced:
            world.claim("what was told last is in force", final == {last}, final, last)


class LastErrorsPut(Scenario):
    """Written and read without a lock: one of two may be lost, and none is a mixture."""

    name = "last-errors"

    def body(self, process: Process) -> Callable[[], None]:
        errors = process.store.last_errors

        def looks() -> None:
            found = errors.get(0)
            if found is not None:
                process.says("saw", *found)

        def body() -> None:
            for number in range(2):
                mark = 10 * (process.index + 1) + number
                errors.put(0, float(mark), f"module.Error{process.letter} {number}", mark, float(mark))
                looks()

        return body

    def verdict(self, world: World) -> None:
        for _, what, *more in world.log:
            if what == "saw":
                _claim_whole(world, more)
        if (found := world.newcomer().last_errors.get(0)) is not None:
            _claim_whole(world, list(found))


def _claim_whole(world: World, found: list[Any]) -> None:
    wall, text, window, seen = found
    letter, number = "abc"[window // 10 - 1], window % 10
    whole = wall == window == seen and text == f"module.Error{letter} {number}"
    world.claim("nobody sees a mixture", whole, found)
