"""`manage.py fallback`: what it prints, and how it fails."""

import json
import os
import select
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from learn.models import Category
from resilience.tiers.static_copy import building

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings) -> Path:
    settings.RESILIENCE = {**settings.RESILIENCE, "STATIC_DIR": str(tmp_path / "tier")}
    return tmp_path / "tier"


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("fallback", *arguments, stdout=output)
    return output.getvalue()


class TestFallback:
    def test_status_says_that_there_is_none(self) -> None:
        with pytest.raises(CommandError, match="no static copy has been built yet") as caught:
            run("status")
        assert caught.value.returncode == 1

    def test_shows_rows_time_and_source_of_each_resource(self) -> None:
        Category.objects.create(title="Physics")
        run("export")
        found = json.loads(run("status", "--json"))
        assert list(found) == ["categories", "fields", "courses"]
        assert (found["categories"]["rows"], found["categories"]["source"]) == (1, "export")
        assert found["categories"]["as_of"].endswith("+00:00")
        lines = run("build").splitlines()
        assert lines[0].split() == ["RESOURCE", "ROWS", "SOURCE", "AS", "OF"]
        assert [line.split()[2] for line in lines[1:]] == ["fixtures"] * 3

    def test_export_of_what_has_not_changed_is_none(self, folder: Path) -> None:
        Category.objects.create(title="Physics")
        run("export")
        before = sorted(folder.iterdir())
        run("export", "--if-changed")
        assert sorted(folder.iterdir()) == before

    def test_has_a_status_of_its_own_beside_another_builder(self) -> None:
        with building.alone(), pytest.raises(CommandError, match="another process") as caught:
            run("build")
        assert caught.value.returncode == 4

    def test_says_where_it_cannot_write(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.write_text("a file stands in its place")
        monkeypatch.setenv("TMPDIR", str(folder))
        with pytest.raises(CommandError, match="cannot be written"):
            run("build")

    def test_without_an_export_says_what_is_missing(self, settings: Settings) -> None:
        settings.RESILIENCE = {**settings.RESILIENCE, "FALLBACK": None}
        with pytest.raises(CommandError, match="FALLBACK"):
            run("status")


class TestWithAParent:
    """A server that ends must not leave a process behind that goes on writing into its folder."""

    END_WITH = (
        "import os, time, django; django.setup();"
        "from resilience.management.commands.fallback import _end_with;"
    )

    def test_ends_when_it_is_killed(self) -> None:
        child = f"{self.END_WITH} _end_with(os.getppid()); print(os.getpid(), flush=True); time.sleep(120)"
        parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
        with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as started:
            assert started.stdout is not None
            handle = os.pidfd_open(int(started.stdout.readline()))
            started.kill()
            ended = select.select([handle], [], [], 30)[0]
            os.close(handle)
        assert ended

    def test_does_not_begin_when_it_has_ended_before(self) -> None:
        late = f"{self.END_WITH} _end_with(os.getpid())"
        ran = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        assert "has ended" in ran.stderr
