"""Drills whose own requests are held against the schema, as those of tests are.

`python -m tests.functional.heard drill …` is `manage.py drill …`; it also notes each request and answer in
the file that the variable HEARD names. `judged` shows them to the judge.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path
from threading import Lock

from tests.contract.exchange import Exchange
from tests.servers.site import ROOT, SiteServer

PROGRAM = (sys.executable, "-u", "-m", "tests.functional.heard")


def drill(site: SiteServer, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a drill of the site to its end."""
    with judged(site) as heard:
        return subprocess.run(
            [*PROGRAM, "drill", *arguments],
            cwd=ROOT,
            env={**site.environment(), **heard, **variables},
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def judged(site: SiteServer) -> Iterator[dict[str, str]]:
    """Judge what drills have asked and got within the block; yield the variables that they need."""
    path = site.directory / "heard"
    path.write_text("")
    yield {"HEARD": str(path)}
    *whole, _ = path.read_text().split("\n")  # A drill that is killed may leave half a line.
    for line in whole:
        site.overheard(Exchange.on_the_wire(*json.loads(line)))


def main() -> None:
    """Run one command of the project, and note what its drill asks."""
    from resilience.drills import load

    notes, lock, send = Path(os.environ["HEARD"]), Lock(), load.send

    def noted(
        url: str, path: str, *, body: bytes | None = None, token: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        status, headers, answer = send(url, path, body=body, token=token)
        if status:
            asked = {} if body is None else {"Content-Type": "application/json"}
            method, sent = ("GET", "") if body is None else ("POST", body.decode())
            told = [method, path, sent, asked, status, list(headers.items()), answer.decode()]
            with lock, notes.open("a") as file:
                file.write(json.dumps(told) + "\n")
        return status, headers, answer

    load.send = noted
    run_path(str(ROOT / "manage.py"), run_name="__main__")


if __name__ == "__main__":
    main()
