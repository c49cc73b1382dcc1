"""Tell the story on each database: `python -m tests.kept [TIMES]`; status 1 when an answer was not true."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.kept import postgresql, sqlite

_FAULTS = {
    "kill": "connections killed",
    "cut": "cut by the budget",
    "limit": "ended by the server's limit",
    "": "no fault",
}


def main(times: int) -> int:
    wrong = 0
    for fault, what in _FAULTS.items():
        say(f"PostgreSQL, {what}:")
        with tempfile.TemporaryDirectory() as directory:
            verdict = postgresql.run(Path(directory), [fault], times)
        say("\n".join(verdict.lines()))
        wrong += bool(verdict.untrue)
    say("SQLite, the disk fills:")
    with tempfile.TemporaryDirectory() as directory:
        wrong += bool(subprocess.run(sqlite.command(Path(directory), times), check=False).returncode)
    return 1 if wrong else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
