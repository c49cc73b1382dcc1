"""Text is folded so that what people take for the same word is the same word."""

import re
import sys
import unicodedata
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learn.normalise import _VISIBLE, FOLDING, fingerprint, normalise, numbered, slugify

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
            ("Homer’s ‘Iliad’", "homer's 'iliad'"),
            ("l´été d`or ′", "l'ete d'or '"),
            ("“Jazz” «bop» „cool‟ ″", '"jazz" "bop" "cool" "'),
            ("1990–2000 — well‐known −5", "1990-2000 - well-known -5"),
            ("soft\u00adware zero\u200bwidth \u200eleft\u2060", "software zerowidth left"),
            ("Ｆｕｌｌ’ｗｉｄｔｈ ｶﾀｶﾅ", "full'width カタカナ"),
            ("½ a\u00a0b\u2009c", "1/2 a b c"),
            ("می\u200cخواهم", "میخواهم"),
            ("ĳ ŉ", "ij 'n"),
        ],
    )
    def test_folds_case_accents_and_compatibility_forms(self, text: str, folded: str) -> None:
        assert normalise(text) == folded

    @pytest.mark.parametrize(
        ("one", "other"), [("か", "が"), ("ハ", "パ"), ("कि", "कु"), ("ปา", "ป่า"), ("한", "하")]
    )
    def test_keeps_marks_that_are_letters(self, one: str, other: str) -> None:
        assert normalise(one) != normalise(other)

    @pytest.mark.parametrize(
        ("one", "other"), [("a", "\u0430"), ("\u06dd1", "1"), ("a.b", "a,b"), ("co-op", "coop")]
    )
    def test_keeps_apart_what_is_only_alike(self, one: str, other: str) -> None:
        assert normalise(one) != normalise(other)

    def test_leaves_nothing_that_is_not_seen_and_one_of_each_mark(self) -> None:
        """Whatever Unicode calls a dash or a format, also what this Python's edition has added."""
        for character in map(chr, range(sys.maxunicode + 1)):
            if unicodedata.category(character) == "Pd":
                assert normalise(f"a{character}b") == "a-b"
            elif unicodedata.category(character) == "Cf" and ord(character) not in _VISIBLE:
                assert normalise(f"a{character}b") == "ab"

    def test_has_a_new_version_when_it_folds_otherwise(self) -> None:
        """Of characters that Unicode 3.2 has, whose folding no later edition changes."""
        known = [
            c for c in map(chr, range(0x30000)) if unicodedata.ucd_3_2_0.category(c) not in {"Cn", "Cs", "Co"}
        ]
        told = blake2b("\n".join(map(normalise, known)).encode(), digest_size=8).hexdigest()
        assert (FOLDING, told) == (2, "969457685876fac5")

    @given(texts)
    def test_twice_is_once(self, text: str) -> None:
        assert normalise(normalise(text)) == normalise(text)

    @given(texts)
    def test_does_not_depend_on_composition_or_case(self, text: str) -> None:
        assert normalise(unicodedata.normalize("NFD", text)) == normalise(text)
        assert normalise(text.casefold()) == normalise(text)


class TestSlug:
    def test_has_no_hyphen_for_what_is_not_seen(self) -> None:
        assert slugify("Soft\u00adware zero\u200bwidth", max_length=40) == "software-zerowidth"

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
