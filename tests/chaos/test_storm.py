"""A short storm: what `make chaos` does with a thousand deaths, with as many as go into a few seconds."""

import json
import subprocess
import sys


def test_nothing_that_is_promised_breaks_while_workers_die_stop_and_are_interrupted() -> None:
    """In an interpreter of its own: a storm forks, and a test run has threads and connections."""
    command = [sys.executable, "-m", "tests.chaos", "--deaths", "80", "--seconds", "12", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["broken"] == []
    assert found["deaths"] >= 20
    assert found["looked_at"]["an open breaker never calls"] > 500
    assert found["looked_at"]["at most 1 call runs on a valid permit"] > 5
