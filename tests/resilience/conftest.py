"""What tests of the wire share."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.http import GuardedSession
from tests.servers.partner import Partner


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that neither answers nor refuses: its backlog is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            waiting.append(client)
        yield listener.getsockname()[1]
        for client in waiting:
            client.close()


@pytest.fixture
def partner() -> Iterator[Partner]:
    with Partner() as server:
        yield server


@pytest.fixture
def api() -> GuardedSession:
    """A session with a total of half a second, so that nobody has to wait for three."""
    return GuardedSession("external_api", total=0.5)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of `localhost`, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate", folder / "key"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-out",
            files[0],
            "-keyout",
            files[1],
        ],
        check=True,
        capture_output=True,
    )
    return files
