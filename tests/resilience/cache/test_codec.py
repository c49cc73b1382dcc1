"""What is stored comes back as it went; what cannot is refused; what others wrote is not trusted."""

import pickle
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.utils.safestring import SafeString, mark_safe
from hypothesis import given
from hypothesis import strategies as st

from resilience.cache.codec import MAX_DEPTH, UndecodableError, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | TEXT.map("$".__add__)
    | st.binary()
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=-3, minutes=-7))))
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
HASHABLE = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(TEXT | TEXT.map("$".__add__), inner, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=4)
    ),
    max_leaves=15,
)


def types_of(value: Any) -> Any:
    """Return the shape of a value: True == 1 == 1.0 must not hide that a type was lost."""
    if isinstance(value, dict):
        return [(types_of(k), types_of(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return (type(value), [types_of(item) for item in value])
    return type(value)


class TestRoundTrip:
    @given(VALUES)
    def test_returns_the_same_value_of_the_same_types(self, value: Any) -> None:
        back = decode(encode(value))

        assert back == value
        assert types_of(back) == types_of(value)

    @given(VALUES)
    def test_of_an_encoded_value_kept_as_bytes_is_exact_too(self, value: Any) -> None:
        stored = encode(value)

        assert decode(encode([stored])) == [stored]

    @pytest.mark.parametrize(
        "value",
        [
            {"$tuple": [1]},
            {"$dict": [[1, 2]]},
            {"$": None},
            {"$nonsense": {"$tuple": [{"$UUID": "x"}]}},
            {"$a": 1, "$b": 2},
            {(1, "a"): UUID(int=1), None: b"\x00\xff", Decimal("1.10"): datetime(2026, 1, 2, tzinfo=UTC)},
            {},
            2**63,
            [-(2**63) - 1, 10**60],
            [float("inf"), float("-inf")],
            -0.0,
        ],
    )
    def test_of_what_looks_like_a_tag_and_of_the_edges(self, value: Any) -> None:
        back = decode(encode(value))

        assert back == value
        assert repr(back) == repr(value)

    def test_of_not_a_number(self) -> None:
        (back,) = decode(encode([float("nan")]))

        assert back != back

    def test_keeps_the_digits_of_a_decimal(self) -> None:
        assert str(decode(encode(Decimal("1.500")))) == "1.500"

    def test_gives_safe_text_back_as_text_that_is_escaped(self) -> None:
        back = decode(encode(mark_safe("<b>")))

        assert back == "<b>"
        assert not isinstance(back, SafeString)


class Colour(IntEnum):
    RED = 1


class TestRefusal:
    @pytest.mark.parametrize(
        ("value", "named"),
        [
            (object(), "object"),
            ({1, 2}, "set"),
            (time(1), "time"),
            (timedelta(1), "timedelta"),
            (Colour.RED, "Colour"),
            (OrderedDict(a=1), "OrderedDict"),
            (bytearray(b"x"), "bytearray"),
            (pickle.loads, "builtin_function_or_method"),
            ([{"deep": (1, [object()])}], "object"),
            ({frozenset(): 1}, "frozenset"),
            (1j, "complex"),
        ],
    )
    def test_names_the_type(self, value: Any, named: str) -> None:
        with pytest.raises(TypeError, match=rf"\b{named} is none of"):
            encode(value)

    def test_of_text_that_is_no_text(self) -> None:
        with pytest.raises(TypeError, match=r"surrogates"):
            encode("\ud800")

    def test_of_a_list_that_holds_itself(self) -> None:
        endless: list[Any] = []
        endless.append(endless)

        with pytest.raises(TypeError, match="nested more than"):
            encode(endless)


class TestForeignBytes:
    @given(st.binary())
    def test_never_raise_anything_but_undecodable(self, junk: bytes) -> None:
        try:
            decode(junk)
        except UndecodableError:
            pass
        else:
            orjson.loads(junk)  # what was accepted was JSON

    @given(st.recursive(SCALARS.filter(lambda v: isinstance(v, str | int | bool)), st.lists))
    def test_in_the_place_of_a_tags_body_are_not_trusted(self, body: Any) -> None:
        for tag in ("tuple", "dict", "bytes", "datetime", "date", "Decimal", "UUID", "int", "float"):
            try:
                decode(orjson.dumps({f"${tag}": body}, option=orjson.OPT_PASSTHROUGH_SUBCLASS))
            except (UndecodableError, orjson.JSONEncodeError):
                continue

    def test_that_are_a_pickle_are_not_executed(self) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[Any, ...]:
                return pytest.fail, ("executed",)

        with pytest.raises(UndecodableError):
            decode(pickle.dumps(Bomb()))

    @pytest.mark.parametrize(
        "stored",
        [
            b"",
            b"nonsense",
            b'{"$set": []}',
            b'{"$tuple": 1}',
            b'{"$tuple": {"a": 1}}',
            b'{"$dict": [[1]]}',
            b'{"$dict": [[1, 2, 3]]}',
            b'{"$dict": [[[], 1]]}',
            b'{"$bytes": "*"}',
            b'{"$date": "yesterday"}',
            b'{"$Decimal": "x"}',
            b'{"$UUID": "x"}',
            b'{"$int": "' + b"9" * 5000 + b'"}',
            b"[" * (MAX_DEPTH + 2) + b'{"$tuple": []}' + b"]" * (MAX_DEPTH + 2),
            b"[" * 100_000,
            "text",
            1.5,
            None,
            date(2026, 1, 1),
        ],
    )
    def test_of_these_kinds_are_undecodable(self, stored: Any) -> None:
        with pytest.raises(UndecodableError):
            decode(stored)
