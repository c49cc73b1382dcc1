"""`make demo`: a server with a database of its own, a drill, and what to try meanwhile; nothing is left."""

import argparse
import subprocess
import sys
from pathlib import Path

from tests.servers.site import ROOT, SiteServer

FIXTURES = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]


def main() -> None:
    """Run it; exit with the drill's status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", default="30", help="how long the database is down")
    parser.add_argument("--around", default="10", help="seconds of reads before and after")
    parser.add_argument("--report", default=str(ROOT / "var" / "drills"), help="folder of the report")
    options = parser.parse_args()
    site = SiteServer(DEBUG="1")
    (ROOT / "staticfiles").mkdir(exist_ok=True)
    print("A server with a catalogue of its own is made ready …", flush=True)
    for command in (["migrate"], ["loaddata", *FIXTURES], ["fallback", "export"]):
        site.manage(*command).check_returncode()
    with site:
        print(
            f"\nTry, in another terminal, while the database is down:\n"
            f"  curl -i '{site.url}/api/courses?search=jazz'\n"
            f"  curl -s {site.url}/api/health\n"
            f"  curl -i -X POST {site.url}/api/admin/reset-circuit-breakers\n",
            flush=True,
        )
        drill = [sys.executable, "manage.py", "drill", "database", "--fault", "error"]
        drill += ["--seconds", options.seconds, "--around", options.around]
        drill += ["--report", str(Path(options.report).resolve())]
        status = _run(drill, site)
    sys.exit(status)


def _run(command: list[str], site: SiteServer) -> int:
    """Run the drill before one's eyes. Ctrl-C reaches it as well: it ends the fault, and then we go on."""
    with subprocess.Popen(command, env=dict(site.environment()), cwd=ROOT) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


if __name__ == "__main__":
    main()
