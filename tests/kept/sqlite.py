"""The story on SQLite: the disk fills while the optional query runs. The disk is a small tmpfs.

    python -m tests.kept.sqlite DIRECTORY TIMES

in a mount namespace of its own (see `command`), so that the kernel takes the disk away with the process.
"""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.kept.project import KeptShop
from tests.kept.story import Verdict, tell

REFUSED = 77  # exit status: the kernel mounts nothing for us


def command(directory: Path, times: int) -> list[str]:
    """Return what tells the story: as root, or as what looks like root in a namespace of its own."""
    unshare = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    )
    return [*unshare, sys.executable, "-m", "tests.kept.sqlite", str(directory), str(times)]


def run(directory: Path, times: int) -> Verdict:
    """Tell the story in a project in `directory`, whose database lies on a disk of 2 MB."""
    disk = directory / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False)
    if mounted.returncode:
        raise SystemExit(REFUSED)
    file = disk / "db.sqlite3"

    def look(title: str) -> list[str]:
        connection = sqlite3.connect(file)
        try:
            sql = "SELECT title FROM products_product WHERE title = ? OR title = ? ORDER BY 1"
            return [row[0] for row in connection.execute(sql, [title, f"{title}, second"])]
        finally:
            connection.close()

    with KeptShop(directory, settings=f"DATABASES['default']['NAME'] = {str(file)!r}") as shop:
        shop.stay_closed()
        return tell(shop, look, ["disk"], times=times, at_once=1)


if __name__ == "__main__":
    verdict = run(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write("\n".join(verdict.lines()) + "\n")
    sys.exit(bool(verdict.untrue))
