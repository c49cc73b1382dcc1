"""Processor time of servers, as the scheduler counts it: what else runs on the machine changes it little."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_of(pid: int) -> float:
    """Return the seconds of processor of a process and its children, of those that have ended too."""
    # After the name, which may hold blanks, fields 14 and 15 of those that stat(5) counts from 3.
    ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
    total = sum(map(int, ended)) / _TICKS
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0]) / 1e9
        for child in (task / "children").read_text().split():
            total += processor_of(int(child))
    return total
