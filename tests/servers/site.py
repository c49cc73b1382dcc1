"""The project itself, as production serves it: a supervisor, granian, worker processes."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from email.message import Message
from pathlib import Path
from typing import NamedTuple, Self

from tests.contract.exchange import Exchange
from tests.servers.process import ServerProcess, children_of

ROOT = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    status: int
    headers: Message
    body: str


class SiteServer(ServerProcess):
    """A running site. `variables` are those of the README, beside them nothing of ours is inherited."""

    death_signal = signal.SIGTERM  # Killed, it would leave its workers behind.

    def __init__(self, *, workers: int = 2, threads: int = 112, **variables: str) -> None:
        super().__init__()
        self.variables = {
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(workers),
            "WEB_THREADS": str(threads),
            "DRAIN_SECONDS": "0",  # Who is stopped here has no load balancer to tell.
            "SECRET_KEY": "only-for-tests-" + "0123456789" * 5,
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            "DATABASE_URL": f"sqlite:///{self.directory / 'site.sqlite3'}",
            "RESILIENCE_DIR": str(self.directory / "store"),
            "RESILIENCE_EVENTS_DIR": str(self.directory / "events"),
            "STATIC_DIR": str(self.directory / "static-tier"),
            "TMPDIR": str(self.directory),
        } | variables

    @staticmethod
    def overheard(exchange: Exchange) -> None:
        """Is told of each request that was answered; the suite puts a judge here."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str | Path]:
        return [sys.executable, "-m", "zenow"]

    def environment(self) -> Mapping[str, str]:
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return own | self.variables | {"PYTHONPATH": str(ROOT)}

    def answers(self) -> bool:
        try:
            return self.get("/api/schema").status < 500
        except (OSError, http.client.HTTPException):
            return False

    def servers(self) -> list[int]:
        """Return the ids of the servers behind the socket: one, and two while one replaces the other."""
        return children_of(self.pid)

    def workers(self) -> list[int]:
        """Return the ids of the processes that answer."""
        return [worker for server in self.servers() for worker in children_of(server)]

    def roll(self) -> Self:
        """Replace the server; return once the old one has ended. Raises RuntimeError with its log."""
        old = set(self.servers())
        os.kill(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + 2 * self.patience
        while old & set(self.servers()) or not self.servers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server was not replaced:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def manage(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the project beside the workers."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            env={**self.environment(), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def get(self, path: str, *, timeout: float = 10.0, **headers: str) -> Answer:
        """Ask once, on a connection of its own."""
        return self.ask_for("GET", path, timeout=timeout, **headers)

    def post(self, path: str, body: str = "", *, timeout: float = 10.0, **headers: str) -> Answer:
        """Send a body, by default none at all, on a connection of its own."""
        return self.ask_for("POST", path, body, timeout=timeout, **headers)

    def ask_for(
        self, method: str, path: str, body: str = "", *, timeout: float = 10.0, **headers: str
    ) -> Answer:
        """Ask by any method."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body or None, headers=headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()
        said = (answer.status, answer.headers.items(), answer.body)
        self.overheard(Exchange.on_the_wire(method, path, body, headers, *said))
        return answer
