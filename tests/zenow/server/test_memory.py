"""What a server process keeps after many threads have signed somebody in."""

import subprocess
import sys

import pytest

from tests.servers.site import SiteServer

# Threads that live as long as the server's do, each of which hashes once.
_HASH_IN_EACH_THREAD = """
import importlib, pathlib, threading
importlib.import_module({module!r})
from zenow.accounts.hashers import Argon2idHasher

def resident():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

def work(turn, done):
    turn.wait()
    Argon2idHasher().encode("password", "0123456789abcdef")
    done.set()
    threading.Event().wait()

before = resident()
for _ in range(12):
    turn, done = threading.Event(), threading.Event()
    threading.Thread(target=work, args=(turn, done), daemon=True).start()
    turn.set()
    done.wait()
print((resident() - before) // 1024)
"""


@pytest.mark.parametrize("module", ["zenow.wsgi", "zenow.asgi"])
def test_a_sign_in_in_each_thread_leaves_nothing_behind(module: str) -> None:
    site = SiteServer()
    ran = subprocess.run(
        [sys.executable, "-c", _HASH_IN_EACH_THREAD.format(module=module)],
        env=dict(site.environment()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    megabytes = int(ran.stdout.splitlines()[-1])
    assert megabytes < 40, "twelve threads kept more than two hashes take"
