"""What is unpublished is gone at once from what is live and stored, and soon from the static copy."""

import json
import subprocess
import sys
import time

from tests.patience import ROOM
from tests.servers.site import SiteServer

# Of a healthy database, in seconds.
LIMIT = 15.0 + 15 * ROOM


def _manage(site: SiteServer, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env={**site.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _rows(site: SiteServer) -> int:
    rows: int = json.loads(_manage(site, "fallback", "status", "--json"))["courses"]["rows"]
    return rows


def test_an_unpublished_course_leaves_every_tier() -> None:
    site = SiteServer()
    _manage(site, "migrate", "--verbosity=0")
    fixtures = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
    _manage(site, "loaddata", *fixtures, "--verbosity=0")
    _manage(site, "fallback", "export")
    before = _rows(site)
    slug = "dance-107-topics-in-rhythm-in-dance"
    with site:
        deadline = time.monotonic() + 10
        while site.get(f"/api/courses/{slug}").headers["X-Data-Source"] != "cached":
            assert time.monotonic() < deadline
        hide = f"from learn.models import Course; Course.objects.filter(slug={slug!r}).unpublish()"
        _manage(site, "shell", "--verbosity=0", "-c", hide)
        began = time.monotonic()
        assert site.get(f"/api/courses/{slug}").status == 404
        while _rows(site) == before:
            assert time.monotonic() - began < LIMIT, site.log.read_text()
        assert _rows(site) == before - 1
