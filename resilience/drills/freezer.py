"""Stop a server for a drill, and let it go on when the drill ends in any way.

The drill may be killed while the server is stopped. So this file is also a program (`python -I freezer.py PID
PIDFD SECONDS`), which outlives the drill. It lets the server go on when its standard input ends, as it does
with the drill, when a signal tells it to end, and at the latest after SECONDS. It imports nothing of the
project, so it starts at once, and no other code can make it fail halfway.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

# Seconds within which a process stops, unless it waits for a broken disk.
_SOON = 1.0


class Tree:
    """A process and its descendants, each by a descriptor, since a process id may be used again."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self._pid = pid
        self._known = {pid: pidfd}

    def look(self) -> bool:
        """Find the descendants; return whether there are new ones."""
        found = [pid for pid in below(self._pid) if pid not in self._known]
        for pid in found:
            with suppress(ProcessLookupError):
                self._known[pid] = os.pidfd_open(pid)
        return any(pid in self._known for pid in found)

    def stop(self) -> int:
        """Stop all, parents before children, and return how many there are.

        Raises ProcessLookupError if the first process has ended.
        """
        signal.pidfd_send_signal(self._known[self._pid], signal.SIGSTOP)
        until = time.monotonic() + _SOON
        while stat_of(self._pid)[:1] != ["T"] and time.monotonic() < until:
            time.sleep(0.001)  # until it has stopped, it may start another
        while self.look():
            _send(self._below(), signal.SIGSTOP)
        return len(self._known)

    def go_on(self) -> None:
        """Let all go on. The first process is last: until then it reaps no child, so no id is used again."""
        _send([*self._below(), self._known[self._pid]], signal.SIGCONT)

    def kill(self) -> None:
        """Kill all. The first process is first, so that it does no cleaning up."""
        self.look()
        _send([self._known[self._pid], *self._below()], signal.SIGKILL)

    def close(self) -> None:
        """Close the descriptors of the descendants."""
        for pidfd in self._below():
            os.close(pidfd)
        self._known = {self._pid: self._known[self._pid]}

    def _below(self) -> list[int]:
        return [pidfd for pid, pidfd in self._known.items() if pid != self._pid]


def below(pid: int) -> list[int]:
    """Return the ids of all descendants of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = parent_of(int(entry.name))
            if parent is not None:
                children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below_it = children.get(waiting.pop(), [])
        found += below_it
        waiting += below_it
    return found


def parent_of(pid: int) -> int | None:
    """Return the id of a process's parent; None if there is no such process."""
    fields = stat_of(pid)
    return int(fields[1]) if fields else None


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return stat.rpartition(")")[2].split()


def _send(pidfds: list[int], number: signal.Signals) -> None:
    for pidfd in pidfds:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, number)


def main(pid: int, pidfd: int, seconds: float) -> None:
    """Stop the processes, write how many to standard output, and let them go on in time."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # `select` sees it; nothing is cut off halfway
    tree = Tree(pid, pidfd)
    try:
        count = tree.stop()
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()
        select.select([sys.stdin, woken], [], [], seconds)
    finally:
        tree.go_on()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
