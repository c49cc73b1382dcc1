"""What a process does with the processor: whether it runs, wants to run, or does neither (Linux, /proc)."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import sysconf
from pathlib import Path

# States of a thread: it runs or waits for a processor; it waits for a disk; it was stopped, or is traced.
_RUNNABLE, _DISK, _STOPPED = "R", "D", "Tt"


@dataclass(frozen=True, slots=True)
class Use:
    """One look at a process."""

    ran: float
    """seconds of processor time, so far, of all its threads"""
    busy: Mapping[str, int]
    """the threads that run, or wait for a processor or a disk; with how often they have let go of it"""

    def wanted_since(self, before: "Use") -> bool:
        """Say whether one thread has wanted a processor or a disk without a break since the look before."""
        # One that woke up in between has let go of the processor before, and its number is another.
        return any(before.busy.get(thread) == switches for thread, switches in self.busy.items())


def look(pid: int) -> Use | None:
    """Look at a process; None when it has ended."""
    process = Path("/proc") / str(pid)
    busy = {}
    try:
        _, user, system = _state_and_times(process)
        for thread in (process / "task").iterdir():
            state, switches = _state_and_switches(thread)
            if state in (_RUNNABLE, _DISK):
                busy[thread.name] = switches
    except (OSError, ValueError):  # ended, as a whole or a thread of it
        return None
    return Use(ran=(user + system) / sysconf("SC_CLK_TCK"), busy=busy)


def is_stopped(pid: int) -> bool:
    """Say whether a process was stopped by a signal or a debugger."""
    try:
        state, _, _ = _state_and_times(Path("/proc") / str(pid))
    except (OSError, ValueError):
        return False
    return state in _STOPPED


def _state_and_times(process: Path) -> tuple[str, int, int]:
    # proc(5): a name in parentheses, then the state as field 3, utime and stime as fields 14 and 15.
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[11]), int(fields[12])


def _state_and_switches(thread: Path) -> tuple[str, int]:
    try:
        told = (thread / "status").read_text()
    except OSError:
        return "", 0  # It has ended, and the others go on.
    lines = dict(line.split(":", 1) for line in told.splitlines())
    return lines["State"].split()[0], int(lines["voluntary_ctxt_switches"])
