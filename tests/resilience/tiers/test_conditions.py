"""Conditions in the order of the standard, whatever the answer says of itself."""

import pytest

from resilience.tiers.conditions import failed

EARLY, LATE = "Thu, 01 Jan 1970 00:01:39 GMT", "Thu, 01 Jan 1970 00:01:41 GMT"
AT, CURRENT = 100, '"a"'


@pytest.mark.parametrize(
    ("condition", "given"),
    [
        (None, {}),
        (None, {"IF_MATCH": '"a"'}),
        ("If-Match", {"IF_MATCH": 'W/"a"'}),
        ("If-Match", {"IF_MATCH": "a"}),
        ("If-Match", {"IF_MATCH": '*, "b"'}),
        (None, {"IF_MATCH": '"a"', "IF_UNMODIFIED_SINCE": EARLY}),
        ("If-Unmodified-Since", {"IF_UNMODIFIED_SINCE": EARLY}),
        (None, {"IF_UNMODIFIED_SINCE": LATE}),
        (None, {"IF_UNMODIFIED_SINCE": "yesterday"}),
        ("If-None-Match", {"IF_UNMODIFIED_SINCE": LATE, "IF_NONE_MATCH": 'W/"a"'}),
        ("If-None-Match", {"IF_MATCH": "*", "IF_NONE_MATCH": "*"}),
        ("If-Match", {"IF_MATCH": '"b"', "IF_NONE_MATCH": "*"}),
        (None, {"IF_NONE_MATCH": '"b", W/"c"'}),
    ],
)
def test_the_first_that_does_not_hold_is_named(condition: str | None, given: dict[str, str]) -> None:
    meta = {f"HTTP_{name}": value for name, value in given.items()}
    assert failed(meta, lambda tag: tag == CURRENT, modified=AT) == condition


def test_a_weak_tag_never_matches_strongly() -> None:
    assert failed({"HTTP_IF_MATCH": 'W/"a"'}, lambda tag: tag == 'W/"a"') == "If-Match"


def test_of_what_is_not_there_nothing_matches() -> None:
    for given, condition in ((("HTTP_IF_MATCH", "*"), "If-Match"), (("HTTP_IF_NONE_MATCH", "*"), None)):
        assert failed(dict([given]), lambda tag: True, exists=False) == condition


def test_a_condition_on_time_is_ignored_where_nothing_says_when() -> None:
    assert failed({"HTTP_IF_UNMODIFIED_SINCE": EARLY}, lambda tag: False) is None
