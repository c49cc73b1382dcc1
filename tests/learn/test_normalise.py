"""Text is folded so that what people take for the same word is the same word."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn.normalise import fingerprint, normalise, numbered, slugify

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


class TestNormalise:
    @pytest.mark.parametrize(
        ("text", "folded"),
        [
            ("Éléments  D'ALGÈBRE\n", "elements d'algebre"),
            ("Straße", "strasse"),
            ("İstanbul ISPARTA ısparta", "istanbul isparta isparta"),
            ("Ёлка Йод", "елка иод"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("Łódź Smørrebrød", "lodz smorrebrod"),
            ("ﬁnance ①", "finance 1"),
            ("❤\ufe0f", "❤"),
            ("c# 100%_\\", "c# 100%_\\"),
        ],
    )
    def test_folds_case_accents_and_compatibility_forms(self, text: str, folded: str) -> None:
        assert normalise(text) == folded

    @pytest.mark.parametrize(
        ("one", "other"), [("か", "が"), ("ハ", "パ"), ("कि", "कु"), ("ปา", "ป่า"), ("한", "하")]
    )
    def test_keeps_marks_that_are_letters(self, one: str, other: str) -> None:
        assert normalise(one) != normalise(other)

    @given(texts)
    def test_twice_is_once(self, text: str) -> None:
        assert normalise(normalise(text)) == normalise(text)

    @given(texts)
    def test_does_not_depend_on_composition_or_case(self, text: str) -> None:
        assert normalise(unicodedata.normalize("NFD", text)) == normalise(text)
        assert normalise(text.casefold()) == normalise(text)


class TestSlug:
    @given(texts)
    def test_is_a_slug_already(self, text: str) -> None:
        slug = slugify(text, max_length=20)
        assert slugify(slug, max_length=20) == slug
        assert len(slug) <= 20
        assert not re.search(r"[\s/?#%.&]|--|^-|-$", slug)

    def test_numbers_fit_into_its_length(self) -> None:
        slugs = numbered("x" * 20, max_length=20)
        assert [next(slugs) for _ in range(3)] == ["x" * 20, "x" * 18 + "-2", "x" * 18 + "-3"]


class TestFingerprint:
    def test_tells_parts_apart(self) -> None:
        assert fingerprint("a", "bc") != fingerprint("ab", "c")
        assert fingerprint("É", "x") == fingerprint("e ", "X")
        assert len(fingerprint("x" * 10_000)) == 32
