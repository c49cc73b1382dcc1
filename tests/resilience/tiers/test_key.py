"""What asks for the same shares one stored answer; what does not, never does."""

from collections.abc import Mapping
from urllib.parse import urlencode

from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from django.urls import ResolverMatch
from hypothesis import given
from hypothesis import strategies as st

from resilience.tiers.stored import key_of

DEFAULTS = {"page": "1", "search": "", "level": ""}
names = st.sampled_from(["page", "search", "level", "unknown"])
values = st.sampled_from(["", "1", "2", "é", "Ã©", "a&page=2", " "])
queries = st.lists(st.tuples(names, values), max_size=5)


def asked(query: str) -> WSGIRequest:
    return RequestFactory().get(f"/api/courses?{query}")


def key(pairs: list[tuple[str, str]]) -> str:
    return key_of(asked(urlencode(pairs)), DEFAULTS)


def meaning(pairs: list[tuple[str, str]]) -> Mapping[str, list[str]]:
    """Return what the view sees, without what says nothing."""
    said: dict[str, list[str]] = {}
    for name, value in pairs:
        said.setdefault(name, []).append(value)
    return {
        name: given
        for name, given in said.items()
        if name not in DEFAULTS or len(given) > 1 or given[0] not in ("", DEFAULTS[name])
    }


@given(queries, queries)
def test_two_requests_share_an_answer_exactly_if_they_mean_the_same(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    assert (key(one) == key(other)) is (meaning(one) == meaning(other))


@given(queries)
def test_the_order_of_names_does_not_count(pairs: list[tuple[str, str]]) -> None:
    by_name = sorted(pairs, key=lambda pair: pair[0])
    assert key(by_name) == key(pairs)


def test_raw_bytes_are_read_as_the_view_reads_them() -> None:
    raw, once, twice = (
        WSGIRequest({**asked("").environ, "QUERY_STRING": query})
        for query in ("search=\xc3\xa9", "search=%C3%A9", "search=%C3%83%C2%A9")
    )
    assert raw.GET["search"] == once.GET["search"] == "é"
    assert key_of(raw, DEFAULTS) == key_of(once, DEFAULTS) != key_of(twice, DEFAULTS)


def test_host_and_path_count() -> None:
    keys = {
        key_of(RequestFactory().get("/api/courses"), DEFAULTS),
        key_of(RequestFactory().get("/api/fields"), DEFAULTS),
        key_of(RequestFactory().get("/api/courses", headers={"host": "localhost"}), DEFAULTS),
        key_of(RequestFactory().get("/api/courses", secure=True), DEFAULTS),
    }
    assert len(keys) == 4


def test_a_slash_at_the_end_counts_unless_the_route_takes_both() -> None:
    def key_at(path: str, route: str) -> str:
        request = RequestFactory().get(path)
        request.resolver_match = ResolverMatch(lambda _: None, (), {}, route=route)
        return key_of(request, DEFAULTS)

    for either in ("^api/courses/?$", r"^api/courses/?"):
        assert key_at("/api/courses", either) == key_at("/api/courses/", either)
    assert key_at("/api/courses", "api/courses") != key_at("/api/courses/", "api/courses/")
