"""Stop a server for a drill, and let it go on when the drill ends, however that ends.

A process that stops a server may be killed before it lets it go on. So this file is also a program of its own
(`python -I freezer.py PID PIDFD SECONDS`), which outlives the drill by as long as that takes: it lets the
server go on when its standard input ends, as it does with the drill, when it is told to end, and in any case
after SECONDS. It imports nothing of ours: it starts at once, and nothing else can stop it halfway.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

# Within this many seconds a process has stopped, unless it waits for a broken disk.
_SOON = 1.0


class Tree:
    """A process and those below it, each by a descriptor: a mere number may be another's by now."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self._pid = pid
        self._known = {pid: pidfd}

    def look(self) -> bool:
        """Find those below; return whether there are new ones."""
        found = [pid for pid in below(self._pid) if pid not in self._known]
        for pid in found:
            with suppress(ProcessLookupError):
                self._known[pid] = os.pidfd_open(pid)
        return any(pid in self._known for pid in found)

    def stop(self) -> int:
        """Stop all, those that start others first, and return how many.

        Raises ProcessLookupError when the first one has ended.
        """
        signal.pidfd_send_signal(self._known[self._pid], signal.SIGSTOP)
        until = time.monotonic() + _SOON
        while stat_of(self._pid)[:1] != ["T"] and time.monotonic() < until:
            time.sleep(0.001)  # Until it has stopped, it may start another.
        while self.look():
            _send(self._below(), signal.SIGSTOP)
        return len(self._known)

    def go_on(self) -> None:
        """Let all go on; the first one last, so that until then no number below it is used again."""
        _send([*self._below(), self._known[self._pid]], signal.SIGCONT)

    def kill(self) -> None:
        """Kill all, the first one first, so that it tidies nothing up."""
        self.look()
        _send([self._known[self._pid], *self._below()], signal.SIGKILL)

    def close(self) -> None:
        """Close the descriptors of those below."""
        for pidfd in self._below():
            os.close(pidfd)
        self._known = {self._pid: self._known[self._pid]}

    def _below(self) -> list[int]:
        return [pidfd for pid, pidfd in self._known.items() if pid != self._pid]


def below(pid: int) -> list[int]:
    """Return the ids of all processes below this one."""
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
    """Return the id of a process's parent; None when there is no such process."""
    fields = stat_of(pid)
    return int(fields[1]) if fields else None


def stat_of(pid: int) -> list[str]:
    """Return what the kernel says of a process, from its state on; nothing when there is none."""
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
    """Stop them, say how many on standard output, and let them go on in time."""
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
