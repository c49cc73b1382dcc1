"""A drill against the real server: it breaks, it is answered all the same, it recovers, and it is told."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional import heard
from tests.functional.drill_reports import missed
from tests.servers.site import ROOT, SiteServer

FIXTURES = ["fixtures/categories.json", "fixtures/fields.json"]
PATHS = ["--path=/api/fields?page_size={n}", "--path=/api/categories"]
PASSWORD = "correct horse battery"
PERSON = f"""
from django.contrib.auth.models import User
User.objects.create_user("ada", password={PASSWORD!r})
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def site() -> Iterator[SiteServer]:
    server = SiteServer(DEBUG="1", DJANGO_SETTINGS_MODULE="tests.functional.settings", OUTAGE_OPEN_FOR="1")
    person = ["shell", "-c", PERSON]
    for command in (["migrate"], ["loaddata", *FIXTURES], ["fallback", "export"], person):
        server.manage(*command).check_returncode()
    with server:
        yield server


def test_reads_go_on_while_the_database_is_down(site: SiteServer, tmp_path: Path) -> None:
    drilled = heard.drill(
        site, "database", "--seconds=3", "--around=1.5", "--rate=10", *PATHS, f"--report={tmp_path}"
    )
    (page,) = tmp_path.glob("*-database-error.html")
    assert str(page) in drilled.stdout
    report = json.loads(page.with_suffix(".json").read_text())
    assert missed(report) == [], drilled.stdout
    assert {"cached", "static"} & set(report["phases"]["during"]["sources"])
    assert [state for _, name, state in report["states"] if name == "database"][:2] == ["CLOSED", "OPEN"]
    assert drilled.returncode == (not report["passed"])


def test_whoever_has_signed_in_reads_on_while_sign_in_is_down(site: SiteServer, tmp_path: Path) -> None:
    drilled = heard.drill(
        site,
        *("auth", "--user=ada", "--seconds=5", "--around=1", "--rate=5", *PATHS),
        f"--report={tmp_path}",
        DRILL_PASSWORD=PASSWORD,
    )
    (path,) = tmp_path.glob("*-auth-error.json")
    report = json.loads(path.read_text())
    assert missed(report) == [], drilled.stdout
    begin, end = report["fault"]
    during = {each["status"] for each in report["sign_ins"] if begin + 1 < each["at"] < end - 1}
    assert during <= {503}
    assert 503 in {each["status"] for each in report["sign_ins"]}
    assert 2 <= [each["how"] for each in report["sign_ins"]].count("password") <= 4
    assert PASSWORD not in path.read_text() + path.with_suffix(".html").read_text() + site.log.read_text()


def test_an_interrupt_ends_the_fault_first(site: SiteServer, tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "drill", "cache", "--seconds=60", "--around=0.5", "--rate=10"]
    with subprocess.Popen(
        [*command, *PATHS, f"--report={tmp_path}"],
        env=dict(site.environment()),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as drill:
        assert drill.stdout is not None
        assert any(" fault " in line for line in drill.stdout)
        os.kill(drill.pid, signal.SIGINT)
        said = drill.stdout.read()
    assert (drill.returncode, "the fault has ended" in said) == (130, True), said
    # Were it still there, another would be refused.
    again = heard.drill(site, "cache", "--seconds=1", "--around=1", *PATHS, f"--report={tmp_path}")
    assert "under way" not in again.stderr
    assert list(tmp_path.glob("*-cache-error.json"))
