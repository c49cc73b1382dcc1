"""A site whose cache and whose partner lie behind proxies: asked for ratings, which need both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.faultproxy import FaultProxy
from tests.functional.outages import Seen, open_for
from tests.functional.outages import Site as DatabaseSite
from tests.servers.site import SiteServer

COURSE = "russn-262-20th-century-russian-literature"
Rated = TypeVar("Rated", bound="RatedSite")


class RatedSite(DatabaseSite):
    """Two workers on SQLite; `proxy` is the wire to the dependency that a test breaks."""

    threshold = 5
    writes = False

    def __init__(self, *, cache: FaultProxy, partner: FaultProxy) -> None:
        SiteServer.__init__(
            self,
            REDIS_URL=f"redis://127.0.0.1:{cache.port}/0",
            RATINGS_URL=f"http://127.0.0.1:{partner.port}/",
            DJANGO_SETTINGS_MODULE="tests.functional.settings",
            OUTAGE_OPEN_FOR=str(open_for()),
        )

    def ask(self) -> Seen:
        """Ask for a rating: the partner is asked each time, the cache is told each time."""
        started = time.monotonic()
        answer = self.get(f"/api/courses/{COURSE}/rating", timeout=10)
        at = time.monotonic()
        clean = answer.status == 200
        source = answer.headers.get("X-Data-Source", "live" if clean else "none")
        return Seen(at, at - started, answer.status, source, answer.headers[self.header], clean)

    def is_refusal(self, seen: Seen) -> bool:
        return seen.breaker == "OPEN"


class CacheSite(RatedSite):
    dependency = "cache"
    header = "X-Circuit-Breaker-Cache"

    def is_well(self, seen: Seen) -> bool:
        return seen.status == 200 and seen.breaker == "CLOSED"


class PartnerSite(RatedSite):
    dependency = "external_api"
    header = "X-Circuit-Breaker-External-API"


@contextmanager
def ready(site: Rated) -> Iterator[Rated]:
    """Start a site with the catalogue in it."""
    fixtures = [f"fixtures/{name}.json" for name in ("categories", "fields", "courses")]
    for command in (["migrate"], ["loaddata", *fixtures]):
        ran = site.manage(*command, "--verbosity=0")
        assert ran.returncode == 0, ran.stderr
    with site:
        yield site
