"""Processor time of servers, as the scheduler counts it: what else runs on the machine changes it little."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_of(pid: int) -> float:
    """Return the seconds of processor of a process and its children, of those that have ended too."""
    while True:
        try:
            return _sum(pid)
        except (
            FileNotFoundError,
            ProcessLookupError,
        ):  # One has ended meanwhile: its parent has its time now.
            if not Path(f"/proc/{pid}").exists():
                raise


def _sum(pid: int) -> float:
    # `cutime` and `cstime` of proc(5), counted after the name, which may hold blanks.
    ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
    total = sum(map(int, ended)) / _TICKS
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0]) / 1e9
        for child in (task / "children").read_text().split():
            total += _sum(int(child))
    return total
