"""What people have: text of any encoding, tables of any spreadsheet, JSON of any layout."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learn.models import Course, Field
from tests.learn.importer import make_field, run, write

pytestmark = pytest.mark.django_db

WESTERN = "Intitulé;field;summary\r\nCafé – « l’été »;physics;5 €\r\n"


def imported(directory: Path, content: str | bytes, *arguments: str) -> tuple[str, list[Any]]:
    """Import a file whose field is physics; return what was said, and the titles in the file's order."""
    if not Course.objects.exists():
        make_field()
    ended = run(write(directory, content), *arguments)
    assert ended.status == 0, ended.said
    return ended.said, list(Course.objects.order_by("id").values_list("title", flat=True))


class TestEncoding:
    @pytest.mark.parametrize(
        ("encoding", "guessed"),
        [
            ("utf-8", False),
            ("utf-8-sig", False),
            ("utf-16", False),
            ("utf-32", False),
            ("utf-16-le", True),
            ("utf-16-be", True),
            ("cp1252", True),
        ],
    )
    def test_is_told_from_the_bytes_and_a_guess_is_said(
        self, tmp_path: Path, encoding: str, guessed: bool
    ) -> None:
        said, titles = imported(tmp_path, WESTERN.encode(encoding), "--map", "title=intitulé")
        assert titles == ["Café – « l’été »"]
        assert Course.objects.get().summary == "5 €"
        assert ("is a guess" in said) == guessed

    @pytest.mark.parametrize(
        ("encoding", "title"),
        [
            ("windows-1251", "Введение в физику"),
            ("windows-1250", "Životní prostředí"),
            ("shift_jis", "物理学入門"),
            ("gb18030", "物理学导论"),
            ("mac_roman", "Éléments"),
        ],
    )
    def test_may_be_named(self, tmp_path: Path, encoding: str, title: str) -> None:
        content = f"title,field\n{title},physics\n".encode(encoding)
        said, titles = imported(tmp_path, content, "--encoding", encoding)
        assert titles == [title]
        assert "guess" not in said

    @pytest.mark.parametrize("name", ["utf-99", "base64", "rot13", "a\0b"])
    def test_that_does_not_exist_is_refused(self, tmp_path: Path, name: str) -> None:
        ended = run(write(tmp_path, "title,field\nA,physics\n"), "--encoding", name)
        assert ended.status == 2
        assert "there is no such encoding" in ended.said

    @pytest.mark.parametrize("content", [b"t\0i\0t\0l\0e\0,\0f\0i\0e\0l\0d\0\n\0A", b"\xff\xfe\0\xd8A\0"])
    def test_that_does_not_fit_ends_with_a_message(self, tmp_path: Path, content: bytes) -> None:
        ended = run(write(tmp_path, content), "--encoding", "utf-16-le")
        assert ended.status == 2

    def test_is_told_of_json_too(self, tmp_path: Path) -> None:
        content = json.dumps([{"title": "Café", "field": "physics"}], ensure_ascii=False)
        assert imported(tmp_path, content.encode("utf-16"))[1] == ["Café"]


class TestSpreadsheet:
    @pytest.mark.parametrize(
        "content",
        [
            "sep=;\r\ntitle;field;note\r\nOptics;physics;a,b\r\n",
            '"sep=|"\ntitle|field|note\nOptics|physics|a,b;c,d;e\n',
            "SEP=,\ntitle,field\nOptics,physics\n",
            "sep=\t\ntitle\tfield\nOptics\tphysics\n",
            "title|field\nOptics|physics\n",
        ],
    )
    def test_says_its_delimiter(self, tmp_path: Path, content: str) -> None:
        assert imported(tmp_path, content)[1] == ["Optics"]

    def test_may_leave_out_empty_cells_or_write_some_too_many(self, tmp_path: Path) -> None:
        content = "title,field,summary,level\nA,physics\nB,physics,x,y,,\nC,physics,,\n"
        assert imported(tmp_path, content)[1] == ["A", "B", "C"]

    def test_may_name_a_column_twice_that_nobody_asked_for(self, tmp_path: Path) -> None:
        said, titles = imported(tmp_path, "title,note,field,NOTE,,\nA,x,physics,y,,\n")
        assert titles == ["A"]
        assert "Columns not used: note, NOTE" in said

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("2,5", "2.5"),
            ("2.5", "2.5"),
            ("1 234,50", "1234.5"),
            ("1\u202f234,5", "1234.5"),
            ("1\u00a0234", "1234"),
            ("1.234,5", "1234.5"),
            ("1,234.5", "1234.5"),
            ("1'234.50", "1234.5"),
            ("12,00", "12"),
            ("1.234", None),
            ("1,234", None),
            ("1.234.5", None),
            ("1,23,4", None),
        ],
    )
    def test_writes_numbers_as_its_locale_does(self, tmp_path: Path, written: str, read: str | None) -> None:
        """What could be two numbers is read as neither."""
        imported(tmp_path, f"title;field;credits\nA;physics;{written}\n")
        assert Course.objects.get().credits == (None if read is None else Decimal(read))

    @pytest.mark.parametrize(
        ("written", "public"), [("WAHR", True), ("FAUX", False), ("0", False), ("", True)]
    )
    def test_writes_truth_in_its_own_language(self, tmp_path: Path, written: str, public: bool) -> None:
        imported(tmp_path, f"title;field;published\nA;physics;{written}\n")
        assert Course.objects.get().published == public


ENTRIES = [
    {
        "course": {"name": {"en": "Optics"}, "hours": 12.5},
        "field": "physics",
        "sections": [{"term": "2025-autumn", "staff": [{"title": "Dr."}]}, {"term": "2026-spring"}, {"x": 1}],
    },
    {"course": {"name": {"en": "Heat"}}, "field": "physics", "sections": []},
]
MAP = [
    *("--map", "title=course.name.en", "--map", "duration_hours=course.hours"),
    *("--map", "terms=sections.term", "--map", "level=sections.0.staff.0.title"),
]


class TestJson:
    @pytest.mark.parametrize("indent", [None, 0, 1, 4, "\t"])
    @pytest.mark.parametrize("around", [None, "results", "data.courses"])
    def test_means_the_same_in_any_layout(self, tmp_path: Path, indent: Any, around: str | None) -> None:
        whole: Any = ENTRIES
        for name in reversed(around.split(".") if around else []):
            whole = {
                "total": 2,
                "skipped": [{"a": ["]"]}],
                name: whole,
                "next": {"results": [{"title": "no"}]},
            }
        where = ["--rows", around] if around else []
        _, titles = imported(tmp_path, json.dumps(whole, indent=indent), *MAP, *where)
        assert titles == ["Optics", "Heat"]
        course = Course.objects.get(title="Optics")
        assert course.terms == ["2025-autumn", "2026-spring"]
        assert (course.duration_hours, course.level) == (Decimal("12.5"), "Dr.")

    def test_lines_may_follow_each_other_in_any_layout(self, tmp_path: Path) -> None:
        content = "\r\n".join(json.dumps(entry, indent=2) for entry in ENTRIES)
        assert imported(tmp_path, content, *MAP)[1] == ["Optics", "Heat"]

    def test_a_list_that_nobody_named_is_told_by_its_name(self, tmp_path: Path) -> None:
        ended = run(write(tmp_path, json.dumps({"page": 1, "data": {"items": ENTRIES}})), *MAP)
        assert ended.status == 2
        assert "read them with --rows data.items" in ended.said

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"a": []}', "there is no 'rows'. There is: a."),
            ('{"rows": {"a": 1}}', "there is no list of that name"),
            ("[1]", "there is no object with 'rows'"),
            ('{"a": nonsense}', "line 1 is not a JSON object"),
            ('{"a": [', "there is no 'rows'"),
            ("title,field\n", "--rows names a list in a JSON file"),
        ],
    )
    def test_a_list_that_is_not_there_is_explained(self, tmp_path: Path, content: str, message: str) -> None:
        ended = run(write(tmp_path, content), "--rows", "rows")
        assert ended.status == 2
        assert message in ended.said

    def test_a_value_that_is_no_text_costs_the_value(self, tmp_path: Path) -> None:
        content = json.dumps(
            [{"title": "A", "field": "physics", "summary": {"en": "x"}, "level": ["a", None]}]
        )
        said, titles = imported(tmp_path, content)
        assert titles == ["A"]
        assert "line 1, summary: is neither a text nor a number nor a list of texts" in said

    @pytest.mark.parametrize("indent", [None, 0, 2])
    @pytest.mark.parametrize(
        "harm", [('"Heat"', "Heat"), ('"Heat"', '"Heat'), ('"Heat"', '"Heat",'), ('"x"', '"x"]')]
    )
    def test_a_broken_row_gives_no_object_within_it(
        self, tmp_path: Path, indent: int | None, harm: tuple[str, str]
    ) -> None:
        make_field()
        inner = [{"title": f"Inner {n}", "field": "physics"} for n in range(3)]
        entries = [
            {"sections": inner, "title": title, "rest": {"x": "x"}, "parts": inner, "field": "physics"}
            for title in ("Optics", "Heat", "Waves")
        ]
        head, tail = json.dumps(entries[:1], indent=indent)[:-1], json.dumps(entries[2:], indent=indent)[1:]
        broken = json.dumps(entries[1:2], indent=indent)[1:-1].replace(*harm)
        ended = run(write(tmp_path, f"{head},{broken},{tail}"))
        assert ended.status == 1
        titles = set(Course.objects.values_list("title", flat=True))
        assert "Optics" in titles
        assert titles <= {"Optics", "Waves"}
        assert titles == {"Optics", "Waves"} or '"Heat' in harm[1]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
        ),
        st.sampled_from([None, 0, 2]),
    )
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_what_a_row_holds_besides_is_never_a_row(self, tmp_path: Path, besides: Any, indent: Any) -> None:
        Course.objects.all().delete()
        if not Field.objects.exists():
            make_field()
        entries = [{"title": f"T{n}", "other": besides, "field": "physics"} for n in range(3)]
        ended = run(write(tmp_path, json.dumps(entries, indent=indent)))
        assert (ended.status, Course.objects.count()) == (0, 3)
