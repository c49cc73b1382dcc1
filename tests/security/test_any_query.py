"""Nothing that an address says is an error of ours: on every address, from PostgreSQL, SQLite and the copy.

Queries and the parameters of paths are drawn by a seed, so a run finds what the last one found. `FUZZ_SEED`
and `FUZZ_CASES` draw others, and more.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote, quote_from_bytes

import pytest
from django.contrib import admin
from django.db import transaction

from learn.filters import CourseFilter
from resilience import registry
from resilience.tiers.static_copy import building
from tests.security.conftest import Person
from tests.security.routes import filled, routes

SEED = os.environ.get("FUZZ_SEED", "7")
# For each address; a list of the admin, which takes the most parameters, gets five times as many.
CASES = int(os.environ.get("FUZZ_CASES", "2"))

VALUES = [
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "1.5",
        "9" * 19,
        "9" * 30,
        "-" + "9" * 30,
        "9" * 5_000,
        "1e400",
        "1e-400",
        "NaN",
    ),
    *("Infinity", "0x10", "0b1", "1_0", "\N{ARABIC-INDIC DIGIT THREE}", "1" + ",1" * 500, f"1,{'9' * 30}"),
    *("10000", "9999", "0000-00-00", "9999-12-31", "2024-13-45", "9999-12-31T23:59:59-23:59", "24:61"),
    *("\0", "a\0b", "a\r\nb: c", "\x7f", "\N{RIGHT-TO-LEFT OVERRIDE}", "e\N{COMBINING ACUTE ACCENT}" * 300),
    *(
        "(",
        "[",
        "(a+)+$",
        "*",
        "%",
        "%s",
        "_",
        "\\",
        "'",
        '"',
        "' OR 1=1--",
        "${x}",
        "{{ x }}",
        "<a>",
        "../..",
    ),
    *("[" * 2_000, "{" * 500 + "}" * 500, '{"a": 1}', "null", "True", "None", "undefined", "a" * 5_000),
    *(
        "title",
        "-title",
        "title," * 300,
        "1.-2.99",
        "__all__",
        "pk",
        "id",
        "user__password",
        "//evil.example/",
    ),
]
# Bytes that are no UTF-8: half a surrogate pair, what is cut off, what is never.
BYTES = [b"\xed\xa0\x80", b"\xc3", b"\xff\xfe\x00", b"\xf4\x90\x80\x80", b"\xc0\xaf"]
LOOKUPS = [
    *(
        "",
        "__exact",
        "__iexact",
        "__in",
        "__range",
        "__gt",
        "__gte",
        "__lt",
        "__lte",
        "__isnull",
        "__regex",
        "__iregex",
    ),
    *(
        "__contains",
        "__icontains",
        "__startswith",
        "__year",
        "__month",
        "__day",
        "__week_day",
        "__date",
        "__time",
    ),
    *(
        "__hour",
        "__id__exact",
        "__id",
        "__pk__in",
        "__slug",
        "__category__id__exact",
        "__a",
        "__0",
        "__password",
    ),
]
OF_ADMIN = ["p", "o", "all", "e", "q", "_facets", "_popup", "_to_field", "_changelist_filters", "next", "ids"]
OF_AUTOCOMPLETE = ["term", "page", "app_label", "model_name", "field_name"]
OF_API = [
    *CourseFilter.base_filters,
    "page",
    "page_size",
    "span",
    "format",
    "lang",
    "version",
    "limit",
    "offset",
    "x",
]

MODELS = {
    f"/admin/{model._meta.app_label}/{model._meta.model_name}/": [
        field.name for field in model._meta.get_fields()
    ]
    for model in admin.site._registry
}
OF_ROWS = re.compile(r"/admin/\w+/\w+/")


@cache
def names(route: str) -> list[str]:
    """Return the parameters that an address takes, and some that it does not."""
    if not route.startswith("/admin/"):
        return OF_API
    found = OF_ROWS.match(route)
    fields = MODELS.get(found[0], []) if found else []
    return [*OF_ADMIN, *OF_AUTOCOMPLETE, *(field + lookup for field in fields for lookup in LOOKUPS)]


def value(draw: random.Random) -> str:
    """Return a value, percent-encoded."""
    if draw.random() < 0.1:
        return quote_from_bytes(draw.choice(BYTES))
    return quote(draw.choice(VALUES), safe="")


def addresses(route: str, examples: dict[str, dict[str, str]], cases: int) -> Iterator[str]:
    """Yield addresses of a route with made-up queries, some of them with made-up paths too."""
    draw = random.Random(f"{SEED} {route}")  # noqa: S311 (a draw, no secret)
    usual = filled(route, examples)
    for _ in range(cases * 5 if route in MODELS else cases):
        told = [
            f"{quote(draw.choice(names(route)), safe='')}={value(draw)}"
            for _ in range(draw.choice([1, 1, 1, 2, 3]))
        ]
        if draw.random() < 0.1:
            told.append(told[0])
        odd = filled(route, {"/": dict.fromkeys(PARAMETERS, value(draw))})
        yield f"{odd if '<' in route and draw.random() < 0.5 else usual}?{'&'.join(told)}"


PARAMETERS = ("object_id", "id", "app_label", "url", "content_type_id", "slug")


@pytest.mark.timeout(60 + 60 * CASES)
@pytest.mark.lenient(reason="some addresses pass over parameters that they do not have")
class TestNothingIsAnErrorOfOurs:
    @pytest.mark.django_db
    def test_from_a_live_database(
        self,
        on_both_databases: str,
        people: dict[str, Person],
        examples: dict[str, dict[str, str]],
    ) -> None:
        failed = {}
        for route in routes():
            for path in addresses(route, examples, CASES):
                before = transaction.savepoint()
                status = people["superuser"].asks("GET", path).status_code
                transaction.savepoint_rollback(before)
                if status >= 500:
                    failed[path[:300]] = status
        assert failed == {}

    @pytest.mark.django_db(transaction=True)
    def test_from_the_copy(self, people: dict[str, Person], examples: dict[str, dict[str, str]]) -> None:
        building.from_live()
        for name in registry.breakers():
            registry.breaker(name).isolate(who="test", why="an outage")
        failed, sources = {}, set()
        for route in routes():
            for path in addresses(route, examples, 1 if route.startswith("/admin/") else 10 * CASES):
                answer = people["anonymous"].asks("GET", path)
                sources.add(answer.get("X-Data-Source"))
                if answer.status_code >= 500 and not (answer.status_code == 503 and "Retry-After" in answer):
                    failed[path[:300]] = answer.status_code
        assert failed == {}
        assert "static" in sources


@pytest.mark.django_db
class TestAValueThatNoColumnHolds:
    @pytest.mark.parametrize(
        "query",
        [
            "category=" + "9" * 30,
            "category__in=" + "9" * 30,
            "created__year=0",
            "created__year=" + "9" * 30,
            "created__range=(",
            "title__regex=(",
        ],
    )
    def test_is_refused_by_the_admin(
        self, on_both_databases: str, people: dict[str, Person], query: str
    ) -> None:
        answer = people["superuser"].asks("GET", f"/admin/learn/field/?{query}")
        # Django leads back to the whole list from what it finds itself to be no value. PostgreSQL compares
        # numbers of any length.
        long = "category" in query and on_both_databases == "postgresql"
        assert answer.status_code in ((200,) if long else (302, 400))

    def test_is_refused_in_a_selection(self, on_both_databases: str, people: dict[str, Person]) -> None:
        asks = people["superuser"]
        asks.client.cookies.load(asks.cookies)
        sent = {"action": "publish", "_selected_action": ["1", "9" * 30]}
        status = asks.client.post("/admin/learn/field/", sent).status_code
        assert status == (302 if on_both_databases == "postgresql" else 400)

    @pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "utf-7", "utf-16", "utf-32"])
    def test_is_not_made_by_an_odd_charset(
        self, on_both_databases: str, people: dict[str, Person], charset: str
    ) -> None:
        client = people["anonymous"].client
        sent = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % field
            for field in ((b"username", rb"\ud800 +2AA-"), (b"password", b"x"))
        )
        kind = f"multipart/form-data; boundary=x; charset={charset}"
        answer = client.generic("POST", "/admin/login/?next=%5Cud800", sent + b"--x--\r\n", content_type=kind)
        assert answer.status_code < 500
