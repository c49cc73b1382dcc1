"""A drill against the real server: it breaks, it is answered all the same, it recovers, and it is told."""

import json
from pathlib import Path

import pytest

from tests.servers.site import SiteServer

FIXTURES = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]


@pytest.mark.timeout(120)
def test_a_drill_of_the_database_shows_that_reads_go_on(tmp_path: Path) -> None:
    site = SiteServer(DEBUG="1", DJANGO_SETTINGS_MODULE="tests.functional.settings", OUTAGE_OPEN_FOR="1")
    for command in (["migrate"], ["loaddata", *FIXTURES], ["fallback", "export"]):
        site.manage(*command).check_returncode()
    with site:
        drilled = site.manage(
            "drill", "database", "--seconds=3", "--around=1.5", "--rate=10", f"--report={tmp_path}"
        )
        health = json.loads(site.get("/api/health").body)
    assert (drilled.returncode, drilled.stderr) == (0, ""), drilled.stdout
    (page,) = tmp_path.glob("*-database-error.html")
    assert str(page) in drilled.stdout
    report = json.loads(page.with_suffix(".json").read_text())
    assert report["passed"]
    assert {"cached", "static"} & set(report["phases"]["during"]["sources"])
    assert [state for _, name, state in report["states"] if name == "database"][:2] == ["CLOSED", "OPEN"]
    assert health["services"]["database"]["state"] == "CLOSED"
