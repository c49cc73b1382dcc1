"""What the server's processes and folders take, sampled from /proc."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.functional.outages import Site

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process: age in seconds, memory in KiB, open file descriptors, threads."""

    pid: int
    age: float
    rss: int
    pss: int
    descriptors: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The server at one moment (seconds from the beginning). Folders: bytes and files by name."""

    at: float
    masters: tuple[Process, ...]
    """The supervisor, and the server whose workers answer."""
    workers: tuple[Process, ...]
    family: int
    """All processes that the server has started and that still run, itself among them."""
    folders: dict[str, tuple[int, int]]


class _Stat(NamedTuple):
    """From /proc: `started` is in seconds since the boot."""

    state: str
    parent: int
    session: int
    started: float


class Watch:
    """Sample a running site each `step` seconds, from entering the block until leaving it."""

    def __init__(self, site: Site, *, now: Callable[[], float], step: float) -> None:
        self._site = site
        self._now = now
        self._step = step
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._step):
            sample = look(self._site, self._now())
            if sample is not None:
                self.samples.append(sample)


def look(site: Site, at: float) -> Sample | None:
    """Return a sample, or None when the server has just ended."""
    masters = _alive([site.pid, *site.servers()])
    if not masters:
        return None
    return Sample(
        at=at,
        masters=masters,
        workers=_alive(site.workers()),
        family=len(_family(site.pid)),
        folders={
            name: _size(site.directory / folder)
            for name, folder in (("store", "store"), ("journal", "events"), ("static", "static-tier"))
        },
    )


def _alive(pids: list[int]) -> tuple[Process, ...]:
    return tuple(each for each in map(process, pids) if each is not None)


def process(pid: int) -> Process | None:
    """Return what a process takes, or None when there is no such process any more."""
    folder = Path(f"/proc/{pid}")
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()[1:]
        memory = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return Process(
            pid=pid,
            age=float(Path("/proc/uptime").read_text().split()[0]) - _stat(pid).started,
            rss=memory["Rss"],
            pss=memory["Pss"],
            descriptors=sum(1 for _ in (folder / "fd").iterdir()),
            threads=sum(1 for _ in (folder / "task").iterdir()),
        )
    except (FileNotFoundError, ProcessLookupError):
        return None


def _stat(pid: int) -> _Stat:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return _Stat(
        state=fields[0], parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]) / _TICKS
    )


def _family(session: int) -> dict[int, _Stat]:
    """Return the processes of a session that are no zombies."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                stat = _stat(int(entry.name))
                if stat.session == session and stat.state != "Z":
                    found[int(entry.name)] = stat
    return found


def _size(folder: Path) -> tuple[int, int]:
    """Return the bytes and the number of the files below a folder."""
    size = files = 0
    for path in folder.rglob("*"):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            size, files = size + found.st_size, files + 1
    return size, files
