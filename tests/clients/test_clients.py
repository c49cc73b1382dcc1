"""Clients that generators make of the schema do all that there is to do, while all is well and in outages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.clients.generators import GENERATORS, Client, missing
from tests.servers.partner import Partner
from tests.servers.site import ROOT, SiteServer

PASSWORD = "correct horse battery staple"
COURSES = 130
FOUND = 2  # of them, by the search of the journeys
WELL_RATED, BADLY_RATED = (
    "afad-231-africa-and-the-americas-the-diaspora-experience",
    "afad-294-academic-internship",
)
# One for each journey: an account has five attempts a minute to sign in.
ACCOUNTS = f"""
import json
from django.contrib.auth.models import User
from zenow.accounts import access
names = [f"ada-{{number}}" for number in range(3 * {len(GENERATORS)})]
accounts = [User.objects.create_superuser(name, "", "{PASSWORD}") for name in names]
print(json.dumps([(account.username, access.mint(account)) for account in accounts]))
"""

pytestmark = [
    pytest.mark.timeout(300),
    # CI may not do without.
    pytest.mark.skipif(bool(missing()) and "CI" not in os.environ, reason=missing() or "none"),
]


class Catalogue(SiteServer):
    """A site with some courses, an account that may do everything, and a partner that rates."""

    def __init__(self, partner: Partner) -> None:
        super().__init__(workers=1, RATINGS_URL=partner.url)
        some = json.loads((ROOT / "fixtures" / "courses.json").read_text())[:COURSES]
        courses = self.directory / "courses.json"
        courses.write_text(json.dumps(some))
        load = ["loaddata", "fixtures/categories.json", "fixtures/fields.json", str(courses)]
        for command in (["migrate"], load, ["fallback", "export"]):
            self._done(*command, "--verbosity=0")
        accounts = self._done("shell", "--verbosity=0", "-c", ACCOUNTS)
        self.accounts: Iterator[tuple[str, str]] = iter(json.loads(accounts))
        """Names and access tokens of accounts that nobody has signed in to."""

    def _done(self, *command: str) -> str:
        ran = self.manage(*command)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    @contextmanager
    def isolated(self, *dependencies: str) -> Iterator[None]:
        """Let nobody ask these dependencies during the block."""
        self._done("breakers", "isolate", *dependencies, "--reason", "an outage")
        try:
            yield
        finally:
            self._done("breakers", "auto", *dependencies)


@pytest.fixture(scope="module")
def partner() -> Iterator[Partner]:
    with Partner() as partner:
        yield partner


@pytest.fixture(scope="module")
def site(partner: Partner) -> Iterator[Catalogue]:
    with Catalogue(partner) as site:
        yield site


@pytest.fixture(scope="module", params=GENERATORS)
def client(
    request: pytest.FixtureRequest, site: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> Client:
    """A client that was made of the schema of the running site."""
    folder = tmp_path_factory.mktemp("client")
    schema = folder / "schema.json"
    schema.write_text(site.get("/api/schema", Accept="application/vnd.oai.openapi+json").body)
    return GENERATORS[request.param](schema, folder)


def journey(client: Client, site: Catalogue, course: str) -> dict[str, Any]:
    """Return what the client met on its journey; `who` is whether it is told its own name."""
    name, token = next(site.accounts)
    seen = client.journey(site.url, name, PASSWORD, token, course)
    return seen | {"who": seen["who"] == name}


def met(course: str, **otherwise: Any) -> dict[str, Any]:
    """Return what there is to meet while all is well, or otherwise."""
    return {
        "list": [20, COURSES, None],
        "filter": FOUND,
        "pages": COURSES,
        "entry": [course, None],
        "missing": [404, None],
        "nobody": [401, None],
        "sign in": 200,
        "who": True,
        "create": [201, True, "true"],
        "change of another": [412, None],
        "change": "Another title",
        "delete": 204,
        "sign out": 204,
        "rating": [True, None],
        "health": "healthy",
    } | otherwise


def test_a_generated_client_does_everything_while_all_is_well(client: Client, site: Catalogue) -> None:
    assert journey(client, site, WELL_RATED) == met(WELL_RATED)


def test_a_generated_client_understands_stand_ins_and_refusals_while_the_database_is_isolated(
    client: Client, site: Catalogue
) -> None:
    not_stored = [503, "not_stored"]
    with site.isolated("database", "auth"):
        assert journey(client, site, WELL_RATED) == met(WELL_RATED) | {
            "list": [20, COURSES, "static"],
            "entry": [WELL_RATED, "static"],
            "missing": [503, None],
            "sign in": 503,
            "create": not_stored,
            "change of another": not_stored,
            "change": not_stored,
            "delete": not_stored,
            "sign out": [503, None],
            "health": "degraded",
        }


def test_a_generated_client_understands_that_a_rating_is_not_known_while_the_partner_is_broken(
    client: Client, site: Catalogue, partner: Partner
) -> None:
    partner.mode = "broken"
    try:
        seen = journey(client, site, BADLY_RATED)
    finally:
        partner.mode = "well"
    assert seen == met(BADLY_RATED) | {"rating": [False, "none"]}
