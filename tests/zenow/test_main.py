"""What `python -m zenow` does before the server has a single worker."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def serve(port: int) -> subprocess.CompletedProcess[str]:
    """Start a server that is expected to end at once."""
    variables = {"PATH": os.environ["PATH"], "DEBUG": "1", "PORT": str(port)}
    command = [sys.executable, "-m", "zenow"]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=20)


class TestStart:
    def test_says_in_one_line_that_the_port_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            refused = serve(other.getsockname()[1])
        assert refused.returncode == 1
        assert "choose another by PORT" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1

    def test_shares_no_port_with_another_server_of_its_kind(self) -> None:
        with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
            refused = serve(other.getsockname()[1])
        assert refused.returncode == 1
        assert "choose another by PORT" in refused.stderr
