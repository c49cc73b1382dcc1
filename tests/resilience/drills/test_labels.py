"""A degraded answer says so in its headers and in its body, or the drill says that it does not."""

import json

import pytest

from resilience.drills.load import mislabelled

DEGRADED = {"x-system-degraded": "true", "x-degraded-reason": "unavailable", "age": "3"}


def body(source: str | None) -> bytes:
    said = {"degradation": {"source": source, "reason": "unavailable"}}
    return json.dumps({"count": 1} | ({} if source is None else said)).encode()


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"x-data-source": "live"}, None),
        ({"x-data-source": "cached"}, None),
        ({"x-data-source": "cached"} | DEGRADED, "cached"),
        ({"x-data-source": "static"} | DEGRADED, "static"),
        ({"x-data-source": "mock"} | DEGRADED, "mock"),
        ({"x-system-degraded": "true", "x-degraded-reason": "unavailable"}, "none"),
    ],
)
def test_a_good_label(headers: dict[str, str], said: str | None) -> None:
    assert mislabelled(headers, body(said)) == ""


@pytest.mark.parametrize(
    ("headers", "said", "wrong"),
    [
        ({}, None, "X-Data-Source is none"),
        ({"x-data-source": "static"} | DEGRADED, None, "its body does not say so"),
        ({"x-data-source": "static"} | DEGRADED, "cached", "its body says cached"),
        ({"x-data-source": "live"} | DEGRADED, "live", "X-Data-Source is live"),
        ({"x-data-source": "static", "age": "3"}, "static", "X-System-Degraded is not true"),
        (
            {"x-data-source": "static", "x-system-degraded": "true"},
            "static",
            "X-Degraded-Reason is none, its body says unavailable",
        ),
        (
            {"x-data-source": "static"} | DEGRADED | {"x-degraded-reason": "busy"},
            "static",
            "X-Degraded-Reason is busy, its body says unavailable",
        ),
        (
            {"x-data-source": "static", "x-system-degraded": "true", "x-degraded-reason": "unavailable"},
            "static",
            "its age is not said",
        ),
    ],
)
def test_a_wrong_label(headers: dict[str, str], said: str | None, wrong: str) -> None:
    assert wrong in mislabelled(headers, body(said))


def test_a_body_that_nobody_can_read_is_wrong() -> None:
    assert mislabelled({"x-data-source": "live"}, b"<html>") == "its body is no JSON"
