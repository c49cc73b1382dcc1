"""Every address that the resolver knows, as RFC 9110 has it: methods, bodies, what is accepted.

It is the running server that is asked. A new address is tried by itself. Of views of the admin only that is
looked at which is true of all answers: Django's admin takes any method for a GET.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from resilience.problems import MEDIA_TYPE
from tests.security.routes import filled, routes
from tests.servers.site import Answer, SiteServer

OPS_TOKEN = "0123456789abcdef" * 2
MINT = """
from django.contrib.auth.models import User
from learn.models import Category, Course, Field
from zenow.accounts import access
music = Field.objects.create(title="Music", category=Category.objects.create(title="Arts"))
Course.objects.create(title="Jazz", field=music)
print(access.mint(User.objects.create_superuser("writer")))
"""
EXAMPLES = {
    "/admin/": dict.fromkeys(("object_id", "id", "app_label", "url", "content_type_id"), "1"),
    "/api/categories/": {"slug": "arts"},
    "/api/fields/": {"slug": "music"},
    "/api/courses/": {"slug": "jazz"},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND")
PROBES = ("/api/health/live", "/api/health/ready")


class Walked(SiteServer):
    token = ""

    def asks(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        """Ask as somebody who may do everything here."""
        operates = path.startswith("/api/admin/") or path == "/metrics"
        bearer = OPS_TOKEN if operates else self.token
        said: Any = {"Authorization": f"Bearer {bearer}"} if path.startswith(("/api/", "/metrics")) else {}
        named: Any = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask_for(method, path, body, **said, **named)


@pytest.fixture(scope="module")
def site() -> Iterator[Walked]:
    site = Walked(workers=1, OPS_TOKEN=OPS_TOKEN)
    assert site.manage("migrate", "--verbosity=0").returncode == 0
    site.token = site.manage("shell", "--verbosity=0", "-c", MINT).stdout.strip()
    with site:
        yield site
        log = site.log.read_text()
        assert "Traceback" not in log, log[-3000:]


def addresses() -> list[str]:
    return [*(filled(route, EXAMPLES) for route in routes()), *PROBES, "/nowhere", "/api/nowhere"]


def ours() -> list[str]:
    """Return the addresses whose views ask for the method."""
    there = [path for path in addresses() if "nowhere" not in path]
    return [path for path in there if not path.startswith("/admin") or "/board" in path]


def methods_in(answer: Answer) -> set[str]:
    return {name.strip() for name in answer.headers.get("Allow", "").split(",")}


@pytest.mark.timeout(180)
class TestMethods:
    def test_that_an_address_has_are_told_by_options(self, site: Walked) -> None:
        for path in ours():
            answer = site.asks("OPTIONS", path)
            told = methods_in(answer)
            assert (answer.status, answer.body) == (204, ""), path
            assert "OPTIONS" in told, path
            assert ("GET" in told) == ("HEAD" in told), path
            assert ("PATCH" in told) == ("Accept-Patch" in answer.headers), path

    def test_that_it_lacks_are_refused_and_no_others(self, site: Walked) -> None:
        for path in ours():
            told = methods_in(site.asks("OPTIONS", path))
            for method in METHODS:
                # Nothing is changed by a body that is none, and under this condition.
                said = {"Content_Type": "text/plain", "If_Match": '"x"'}
                answer = site.asks(method, path, "" if method == "GET" else "[", **said)
                forged = answer.status == 403 and not path.startswith("/api/")  # a form without its token
                assert forged or (answer.status == 405) == (method not in told), (method, path, answer)
                if answer.status == 405:
                    assert methods_in(answer) >= told - {"OPTIONS"}, (method, path)

    def test_head_is_get_without_its_body(self, site: Walked) -> None:
        own = {"date", "x-request-id", "age", "cache-status", "x-data-source", "transfer-encoding"}
        for path in addresses():
            got, head = site.asks("GET", path), site.asks("HEAD", path)
            assert (head.status, head.body) == (got.status, ""), path
            if got.status >= 400 or "no-store" in got.headers.get("Cache-Control", ""):
                continue  # A refusal names the method; and what no cache may keep is another each time.
            of_both = [
                {name.lower(): value for name, value in one.headers.items() if name.lower() not in own}
                for one in (got, head)
            ]
            assert of_both[0] == of_both[1], path


@pytest.mark.timeout(180)
class TestBodies:
    @pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip"])
    def test_that_are_compressed_are_refused_everywhere(self, site: Walked, coding: str) -> None:
        sent: Any = gzip.compress(b'{"title": "Packed", "refresh_token": "x"}')
        for path in addresses():
            for method in ("POST", "PATCH"):
                answer = site.asks(
                    method, path, sent, Content_Encoding=coding, Content_Type="application/json"
                )
                probes = path in PROBES or path == "/metrics"
                assert answer.status == (405 if probes else 415), (method, path)
                assert probes or answer.headers["Accept-Encoding"] == "identity"

    def test_that_are_none_or_as_they_are_may_say_anything(self, site: Walked) -> None:
        path = "/api/courses/jazz"
        said = {"Content_Type": "application/json"}
        assert site.asks("PATCH", path, "{}", Content_Encoding="identity", **said).status == 200
        assert site.asks("GET", path, Content_Encoding="gzip").status == 200

    def test_of_another_kind_are_told_what_is_taken(self, site: Walked) -> None:
        for path in ours():
            for method in methods_in(site.asks("OPTIONS", path)) & {"POST", "PUT", "PATCH"}:
                answer = site.asks(method, path, "<a/>", Content_Type="text/xml")
                if not path.startswith("/api/"):
                    continue
                assert answer.status == 415, (method, path)
                assert "application/json" in answer.headers["Accept"]
                patches = "application/merge-patch+json"
                assert (patches in answer.headers["Accept"]) == (method == "PATCH")
                if method == "PATCH":
                    assert patches in answer.headers["Accept-Patch"]

    def test_may_be_merge_patches_of_patch(self, site: Walked) -> None:
        path, said = "/api/courses/jazz", {"Content_Type": "application/merge-patch+json"}
        patched = site.asks("PATCH", path, '{"summary": "Swing", "level": null}', **said)
        assert (patched.status, json.loads(patched.body)["summary"]) == (200, "Swing")
        assert json.loads(site.asks("PATCH", path, '{"summary": null}', **said).body)["summary"] is None
        for method, where in (("PUT", path), ("POST", "/api/courses")):
            assert site.asks(method, where, '{"title": "Other"}', **said).status == 415


@pytest.mark.timeout(180)
class TestAnswers:
    def test_an_empty_accept_says_nothing(self, site: Walked) -> None:
        for path in ours():
            assert site.asks("GET", path, Accept="").status == site.asks("GET", path).status, path

    @pytest.mark.lenient(reason="some addresses pass over parameters that they do not have")
    def test_that_are_errors_are_not_kept_by_chance(self, site: Walked) -> None:
        for path in addresses():
            for answer in (
                site.asks("GET", path),
                site.asks("PROPFIND", path),
                site.asks("GET", f"{path}?x=1"),
            ):
                if answer.status >= 400:
                    assert "Cache-Control" in answer.headers, (path, answer)

    def test_without_a_body_are_given_to_whoever_takes_problems(self, site: Walked) -> None:
        takes, sent = {"Accept": MEDIA_TYPE}, {"Content_Type": "application/json"}
        assert (
            site.asks("POST", "/api/auth/logout", '{"refresh_token": "x.y"}', **takes, **sent).status == 204
        )
        made = site.asks("POST", "/api/categories", '{"title": "Gone"}', **sent)
        assert made.status == 201
        assert site.asks("DELETE", "/api/categories/gone", **takes).status == 204
        assert site.asks("GET", "/api/categories", **takes).status == 406
