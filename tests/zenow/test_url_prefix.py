"""Below a prefix that the proxy takes off, all addresses that the site gives out carry it."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.servers.site import SiteServer

FILLED = """
from learn.models import Category
for title in ("Arts", "Science"):
    Category.objects.create(title=title)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[SiteServer]:
    site = SiteServer(workers=1, URL_PREFIX="/learn/")
    for command in (["migrate"], ["shell", "-c", FILLED]):
        assert site.manage(*command, "--verbosity=0").returncode == 0
    with site:
        yield site


@pytest.mark.timeout(180)
class TestPrefix:
    def test_is_in_the_links_of_pages(self, site: SiteServer) -> None:
        for _ in range(2):  # from the database, then from what is kept
            page = json.loads(site.get("/api/categories?page_size=1").body)
            assert page["next"] == f"{site.url}/learn/api/categories?page=2&page_size=1"
        last = json.loads(site.get("/api/categories?page_size=1&page=2").body)
        assert last["previous"] == f"{site.url}/learn/api/categories?page_size=1"

    def test_is_in_pages_and_where_they_load_from(self, site: SiteServer) -> None:
        assert 'href="/learn/api/docs"' in site.get("/").body
        assert site.get("/admin/").headers["Location"] == "/learn/admin/login/?next=/learn/admin/"
        found = re.search(r'href="/learn(/static/[^"]+\.css)"', site.get("/admin/login/").body)
        assert found is not None
        assert site.get(found[1]).status == 200

    def test_is_not_there_for_probes(self, site: SiteServer) -> None:
        for path in ("/api/health/live", "/api/health", "/api/schema"):
            assert site.get(path).status == 200
