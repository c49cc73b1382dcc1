"""Commands that fail at a database, or take long, move no breaker of a running server."""

from pathlib import Path

import pytest

from tests.functional.outages import Site
from tests.servers.process import free_port


@pytest.mark.parametrize(
    "command",
    [
        ["migrate"],
        ["import_catalogue", "FILE", "--create-parents"],
        ["shell", "-c", "from learn.models import Course; print(Course.objects.count())"],
    ],
    ids=["migrate", "import", "shell"],
)
def test_a_command_with_a_wrong_address_moves_no_breaker(
    outage_site: Site, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "courses.csv").write_text("category,field,title\nA,B,C\n")
    arguments = [str(tmp_path / "courses.csv") if part == "FILE" else part for part in command]
    outage_site.manage("breakers", "reset", "database")
    before = outage_site.breaker()
    for _ in range(3):
        failed = outage_site.manage(*arguments, DATABASE_URL=f"postgres://x:y@127.0.0.1:{free_port()}/z")
        assert failed.returncode != 0
        assert "refused" in failed.stderr
    after = outage_site.breaker()
    assert (after["state"], after["failures"]) == ("CLOSED", 0)
    assert after["generation"] == before["generation"]
    assert outage_site.is_well(outage_site.ask())
