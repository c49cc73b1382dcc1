"""A real server on this host, found by its pid file, to kill or freeze in a drill."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resilience.drills import freezer
from resilience.drills.freezer import Tree, parent_of, stat_of

PROGRAMS = {
    "database": ("postgres", "postmaster"),
    "cache": ("redis-server", "valkey-server", "keydb-server"),
}
"""The program names of each dependency's servers. No other program is ever killed or stopped."""

# The most bytes that are read of a pid file, whose first line is a number.
_LINE = 64
# Seconds within which the freezer has to end.
_PATIENCE = 5.0


class PidFileError(ValueError):
    """The pid file names no server that this drill may break."""


@dataclass(frozen=True, kw_only=True)
class LocalServer:
    """A server process, held by a descriptor: if it ends, no other process is mistaken for it."""

    pid: int
    pidfd: int
    program: str

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.pidfd)

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return not select.select([self.pidfd], [], [], 0)[0]

    def kill(self) -> None:
        """Kill it and its descendants at once. Raises ProcessLookupError if it has ended."""
        signal.pidfd_send_signal(self.pidfd, 0)
        tree = Tree(self.pid, self.pidfd)
        tree.kill()
        tree.close()

    @contextmanager
    def frozen(self, *, at_most: float) -> Iterator[None]:
        """Stop it and its descendants during the block; after `at_most` seconds it goes on by itself.

        Its sockets stay open, but it does not answer. Raises RuntimeError if it cannot be stopped, and at the
        end of the block if it went on too soon.
        """
        if not self.running:
            raise RuntimeError(f"{self.program} (pid {self.pid}) has ended, and cannot be frozen")
        keeper = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-I", freezer.__file__, f"{self.pid}", f"{self.pidfd}", f"{at_most}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self.pidfd],
            start_new_session=True,  # Ctrl-C or a closed terminal must reach the drill alone
        )
        try:
            if keeper.stdout is None or not keeper.stdout.readline():
                raise RuntimeError(f"{self.program} (pid {self.pid}) could not be frozen")
            yield
            if stat_of(self.pid)[:1] != ["T"]:
                raise RuntimeError(f"{self.program} (pid {self.pid}) went on before the drill's end")
        finally:
            self._let_go(keeper)

    def _let_go(self, keeper: subprocess.Popen[bytes]) -> None:
        if keeper.stdin is not None:
            keeper.stdin.close()
        try:
            keeper.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        if keeper.stdout is not None:
            keeper.stdout.close()
        # Sent in every case: SIGCONT is harmless to a process that runs.
        tree = Tree(self.pid, self.pidfd)
        tree.look()
        tree.go_on()
        tree.close()


def found(dependency: str, pid_file: Path) -> LocalServer:
    """Return the server of a dependency that a file names; raise PidFileError for anything else."""
    programs = PROGRAMS.get(dependency)
    if programs is None:
        raise PidFileError(f"only a server of {' or '.join(PROGRAMS)} can be killed or frozen")
    pid = _pid(pid_file)
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, AttributeError) as error:
        raise PidFileError(f"{pid_file} names process {pid}, which does not run on this host") from error
    program = _name(pid)
    server = LocalServer(pid=pid, pidfd=pidfd, program=program)
    try:
        _check(server, programs, pid_file)
    except PidFileError:
        server.close()
        raise
    return server


def _check(server: LocalServer, programs: tuple[str, ...], pid_file: Path) -> None:
    pid, program = server.pid, server.program
    if not server.running or not program:
        raise PidFileError(f"{pid_file} names process {pid}, which has ended")
    if program not in programs:
        raise PidFileError(
            f"{pid_file} names process {pid}, which is {program!r}, not one of {', '.join(programs)}"
        )
    if (parent := parent_of(pid)) is not None and _name(parent) in programs:
        raise PidFileError(f"process {pid} is a part of the {program} with pid {parent}: name that one")
    try:
        signal.pidfd_send_signal(server.pidfd, 0)
    except PermissionError as error:
        raise PidFileError(f"{program} (pid {pid}) is another user's: run the drill as that user") from error
    if stat_of(pid)[:1] == ["T"]:
        raise PidFileError(f"{program} (pid {pid}) is stopped already: kill -CONT {pid} lets it go on")


def _pid(pid_file: Path) -> int:
    try:
        # Opening a pipe must not wait for its other end.
        file = os.open(pid_file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise PidFileError(f"{pid_file} is no file")
            line = os.read(file, _LINE).split(b"\n")[0].strip()
        finally:
            os.close(file)
    except OSError as error:
        raise PidFileError(f"the pid file cannot be read: {error}") from error
    if not line.isdigit() or not 1 < int(line) < 2**31:
        raise PidFileError(f"the first line of {pid_file} is no process id")
    return int(line)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""
