"""Whether a process runs, wants to run, or does neither (Linux, /proc)."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import sysconf
from pathlib import Path

# States of a thread: it runs or waits for a processor; it waits for a disk; it was stopped, or is traced.
_RUNNABLE, _DISK, _STOPPED = "R", "D", "Tt"


@dataclass(frozen=True, slots=True)
class Use:
    """What one look at a process shows."""

    ran: float
    """seconds of processor time of all its threads so far"""
    busy: Mapping[str, int]
    """the threads that run, or wait for a processor or a disk, each with its count of voluntary switches"""

    def wanted_since(self, before: "Use") -> bool:
        """Tell whether a thread has wanted a processor or a disk all the time since the look `before`."""
        # The count of a thread that slept in between has changed, since it gave up the processor for that.
        return any(before.busy.get(thread) == switches for thread, switches in self.busy.items())


def look(pid: int) -> Use | None:
    """Look at a process; return None if it has ended."""
    process = Path("/proc") / str(pid)
    busy = {}
    try:
        _, user, system = _state_and_times(process)
        for thread in (process / "task").iterdir():
            state, switches = _state_and_switches(thread)
            if state in (_RUNNABLE, _DISK):
                busy[thread.name] = switches
    except (OSError, ValueError):  # the process or a thread of it has ended
        return None
    return Use(ran=(user + system) / sysconf("SC_CLK_TCK"), busy=busy)


def is_stopped(pid: int) -> bool:
    """Tell whether a process was stopped by a signal or a debugger."""
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
        return "", 0  # this thread has ended, the others go on
    lines = dict(line.split(":", 1) for line in told.splitlines())
    return lines["State"].split()[0], int(lines["voluntary_ctxt_switches"])
