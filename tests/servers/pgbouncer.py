"""PgBouncer before a PostgreSQL of the suite's own, with the settings that its package ships."""

import shutil
import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal

import psycopg

from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerProcess

# A user's own PATH seldom has the folder in which Debian keeps it.
PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
_SHIPPED = Path("/usr/share/doc/pgbouncer/examples/pgbouncer.ini")
PoolMode = Literal["transaction", "session", "statement"]


class PgBouncerServer(ServerProcess):
    """A pooler before `server`: address, users and `pool_mode` are ours, the rest is the package's.

    `settings` are further ones; a test that gives any says why.
    """

    stop_signal = signal.SIGINT  # SIGTERM would wait for the clients to leave in newer versions.

    def __init__(self, server: PostgresServer, mode: PoolMode, **settings: str) -> None:
        super().__init__()
        self.server = server
        self.user = server.user
        self.directory = Path(tempfile.mkdtemp(prefix="zenow-pgbouncer-"))
        users = self.directory / "users"
        users.write_text(f'"zenow" "{server.password}"\n')
        own = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_file": str(users),
            "admin_users": "zenow",
            "logfile": str(self.directory / "pgbouncer.log"),
            "pidfile": str(self.directory / "pid"),
            "pool_mode": mode,
        } | settings
        lines = [f"* = host=127.0.0.1 port={server.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in own.items()]
        # What stands later wins.
        self._configuration.write_text(f"{_SHIPPED.read_text()}\n[databases]\n" + "\n".join(lines) + "\n")
        if self.user is not None:
            for path in (self.directory, users, self._configuration):
                shutil.chown(path, self.user)

    @property
    def url(self) -> str:
        """The address of the server's database, through the pooler."""
        return self.server.url.replace(f":{self.server.port}", f":{self.port}")

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def _configuration(self) -> Path:
        return self.directory / "pgbouncer.ini"

    def command(self) -> list[str | Path]:
        return [PROGRAM or "pgbouncer", "--quiet", self._configuration]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def console(self, command: str) -> list[dict[str, object]]:
        """Ask the pooler itself (`SHOW SERVERS`, `RECONNECT`); return the rows by their columns' names."""
        with (
            psycopg.connect(self.url.replace("/postgres", "/pgbouncer"), autocommit=True) as connection,
            psycopg.ClientCursor(connection) as cursor,
        ):
            cursor.execute(command)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor] if names else []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.directory)
