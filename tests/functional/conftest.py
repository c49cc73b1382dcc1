"""One site for all outages of the database, with a server and a wire that they may break."""

from collections.abc import Iterator

import pytest

from tests.faultproxy import FaultProxy
from tests.functional.forgotten import Load
from tests.functional.outages import Outage, Site
from tests.servers import PostgresServer


@pytest.fixture(scope="package")
def outage_site() -> Iterator[Site]:
    with PostgresServer() as server, FaultProxy(server.port) as proxy:
        site = Site(server, proxy)
        fixtures = [f"fixtures/{name}.json" for name in FIXTURES]
        for command in (["migrate"], ["loaddata", *fixtures], ["fallback", "export"]):
            ran = site.manage(*command, "--verbosity=0")
            assert ran.returncode == 0, ran.stderr
        with site:
            yield site


FIXTURES = ("categories", "fields", "courses")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for row in Load.rows:
        terminalreporter.write_line(row)
    if not Outage.rows:
        return
    terminalreporter.section("outages")
    for line in (
        "| outage | requests | answers | slowest | refusal: median, slowest | liveness: median | "
        "connects and sends | backends left | opened by | live again after |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *Outage.rows,
    ):
        terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave time for what the first test of a file starts: servers, a migrated database, a catalogue."""
    for item in items:
        if "/functional/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(240))
