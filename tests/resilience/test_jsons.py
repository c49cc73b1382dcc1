"""JSON by Python's own module is what orjson makes and takes, so that a project may do without orjson."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.primitives import jsons

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES)
def test_what_one_writes_the_other_reads(value: Any) -> None:
    assert orjson.loads(jsons.plain_dumps(value)) == value
    assert jsons.plain_loads(orjson.dumps(value)) == value


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", "\ud800"])
def test_what_json_cannot_hold_is_refused_by_both(value: Any) -> None:
    for dumps in (orjson.dumps, jsons.plain_dumps):
        with pytest.raises((TypeError, ValueError)):
            dumps(value)


def test_a_number_that_is_none_is_written_by_neither() -> None:
    assert orjson.dumps(math.nan) == b"null"
    with pytest.raises(ValueError, match="JSON compliant"):
        jsons.plain_dumps(math.nan)


@pytest.mark.parametrize(
    "data", [b"NaN", b"[Infinity]", b'"\\ud800"', b"\xff", b"{", b"", b"[" * 100_000, '"é"'.encode("utf-16")]
)
def test_what_is_no_json_is_refused_by_both(data: bytes) -> None:
    for loads in (orjson.loads, jsons.plain_loads):
        with pytest.raises((TypeError, ValueError)):
            loads(data)


def test_orjson_is_used_where_it_is_installed() -> None:
    assert (jsons.dumps, jsons.loads) == (orjson.dumps, orjson.loads)
